"""Settings given as one line of text have their declared types, or one clear error."""

from dataclasses import dataclass
from typing import Literal

import pytest

from secondorder.errors import ConfigurationError
from secondorder.settings import DeclaredSettings, setting
from secondorder.settings_text import values_from_text


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    rate: float = setting(0.1, "A number.")
    steps: int = setting(1, "A whole number.")
    early: bool = setting(True, "A switch.")
    kind: Literal["one", "two"] = setting("one", "A choice.")
    name: str = setting("", "Text.")


READ = {
    "": {},
    "rate=1e-3": {"rate": 1e-3},
    " steps = 3 ,early=false, ": {"steps": 3, "early": False},
    "kind=two, name=x, rate=2": {"kind": "two", "name": "x", "rate": 2.0},
}


@pytest.mark.parametrize(("text", "expected"), READ.items(), ids=READ)
def test_values_have_their_declared_types(text, expected):
    found = values_from_text(Settings, text)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


REFUSED = {
    "rate": "'rate' is no setting of .*; write name=value",
    "rat=1": "'rat' is not a setting of .*; it has rate, steps",
    "rate=1, rate=2": "rate of .* is given twice",
    "rate=fast": "rate is 'fast'; it must be a number",
    "steps=1.5": "steps is '1.5'; it must be a whole number",
    "early=yes": "early is 'yes'; it must be true or false",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_read_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        values_from_text(Settings, text)
