"""What is generated from the models: the page, the schema, and the models of declared settings."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydantic import ValidationError

from secondorder import optim, problems
from secondorder.configuration import documentation, models
from secondorder.configuration.declared import settings_model
from secondorder.configuration.loading import load_configuration
from secondorder.configuration.resolution import run_specification
from secondorder.errors import ConfigurationError
from secondorder.settings import DeclaredSettings, setting, settings_from

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
DOCUMENTS = {documentation.DOCUMENT: documentation.document, documentation.SCHEMA_FILE: documentation.schema}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_document_is_what_the_models_say(path):
    assert (ROOT / path).read_text(encoding="utf-8") == DOCUMENTS[path](), f"{path} is out of date: run `make document`"


def sections(model: type) -> Iterator[type]:
    yield model
    for field in model.model_fields.values():
        for part in json.dumps(str(field.annotation)).split("models.")[1:]:
            yield from sections(getattr(models, part.split("Section")[0].split("]")[0] + "Section"))


def test_page_explains_every_key_of_every_section():
    documented = {model for _, model in documentation._SECTIONS}
    assert documented == set(sections(models.Configuration))


def test_page_explains_every_setting():
    page = documentation.document()
    for package in (optim, problems):
        for name in package.available():
            chapter = page.split(f"### `{name}`")[1].split("###")[0]
            for field in dataclasses.fields(package.load(name).Settings):
                assert f"| `{field.name}` | " in chapter
                assert field.metadata["description"] in chapter


@pytest.mark.parametrize(
    "row",
    [
        "| `seeds` | whole number or list of whole number | required |",
        "| `device` | `auto` or `cpu` or `cuda` | `\"auto\"` |",
        "| `confidence` | number, > 0, < 1 | `0.95` |",
        "| `milestones` | list of number | `[0.5, 0.75]` |",
        "| `runs` | mapping of name to section below | required |",
        "| `schedule` | section below |  |",
        "| `batch_size` | whole number, ≥ 1 | required |",
        "| `learning_rate` | number, > 0 | `0.1` | Step size η. |",
        "| `momentum` | number, ≥ 0, < 1 | `0.0` | Momentum m. |",
        "| `nesterov` | true or false | `false` |",
    ],
)  # fmt: skip
def test_page_has_the_row(row):
    assert row in documentation.document()


def test_schema_refuses_unknown_keys_everywhere():
    schema = json.loads(documentation.schema())
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False


@dataclasses.dataclass(frozen=True)
class Declared(DeclaredSettings):
    """Settings with each kind of bound."""

    above: float = setting(1.0, "A.", above=0)
    at_least: int = setting(2, "B.", at_least=2)
    below: float = setting(3.0, "C.", below=4)
    at_most: int = setting(5, "D.", at_most=5)
    choice: Literal["x", "y"] = setting("x", "E.")
    free: bool = setting(False, "F.")


def test_settings_model_keeps_defaults():
    assert settings_model(Declared)().model_dump() == dataclasses.asdict(Declared())


def test_settings_model_keeps_descriptions():
    fields = settings_model(Declared).model_fields
    assert [field.description for field in fields.values()] == ["A.", "B.", "C.", "D.", "E.", "F."]


@pytest.mark.parametrize(
    ("values", "allowed"),
    [
        ({"above": 0.0}, False),
        ({"above": 1e-9}, True),
        ({"at_least": 1}, False),
        ({"at_least": 2}, True),
        ({"below": 4.0}, False),
        ({"below": 3.999}, True),
        ({"at_most": 6}, False),
        ({"at_most": 5}, True),
        ({"choice": "z"}, False),
        ({"choice": "y"}, True),
        ({"free": 0}, False),
        ({"free": True}, True),
        ({"at_least": 2.0}, False),
        ({"above": "1.0"}, False),
        ({"above": float("inf")}, False),
        ({"other": 1}, False),
    ],
    ids=str,
)
def test_settings_model_keeps_bounds_and_types(values, allowed):
    model = settings_model(Declared)
    if allowed:
        assert model.model_validate(values).model_dump() == {**dataclasses.asdict(Declared()), **values}
    else:
        with pytest.raises(ValidationError):
            model.model_validate(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"above": 0.0}, "above is 0.0; it must be above 0"),
        ({"at_least": 1}, "at_least is 1; it must be at least 2"),
        ({"below": 4.0}, "below is 4.0; it must be below 4"),
        ({"at_most": 6}, "at_most is 6; it must be at most 5"),
        ({"choice": "z"}, "choice is 'z'; it must be one of x, y"),
        ({"free": 0}, "free is 0; it must be true or false"),
        ({"at_least": 2.0}, "at_least is 2.0; it must be a whole number"),
        ({"at_least": True}, "at_least is True; it must be a whole number"),
        ({"above": "1.0"}, "above is '1.0'; it must be a number"),
        ({"above": True}, "above is True; it must be a number"),
        ({"above": float("nan")}, "above is nan; it must be finite"),
        ({"above": float("inf")}, "above is inf; it must be finite"),
        ({"below": -(10**400)}, f"below is {-(10**400)}; it must be finite"),
        ({"choice": ["x"]}, "choice is ['x']; it must be one of x, y"),
    ],
    ids=str,
)
def test_settings_made_in_python_keep_bounds_and_types(values, message):
    with pytest.raises(ConfigurationError, match=rf": {re.escape(message)}$"):
        Declared(**values)


GIVEN = [{"above": 1}, {"above": np.float32(0.5)}, {"at_least": np.int64(2)}, {"choice": "y"}, {"free": True}]


@pytest.mark.parametrize("values", GIVEN, ids=str)
def test_settings_made_in_python_are_what_was_given(values):
    assert dataclasses.asdict(Declared(**values)) == {**dataclasses.asdict(Declared()), **values}


@pytest.mark.parametrize("package", [optim, problems], ids=["optimizers", "problems"])
def test_all_settings_are_checked(package):
    assert all(issubclass(package.load(name).Settings, DeclaredSettings) for name in package.available())


def test_settings_from_takes_values_over_defaults():
    assert settings_from(Declared, {"at_most": 4}) == Declared(at_most=4)


def test_settings_from_refuses_what_is_not_declared():
    with pytest.raises(ConfigurationError, match=r"^'other' is not a setting of .*; it has above, at_least, below, "):
        settings_from(Declared, {"other": 1})


NEW_OPTIMIZER = '''
"""A new method."""

from dataclasses import dataclass

from secondorder.settings import DeclaredSettings, setting


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings."""

    damping: float = setting(0.25, "Damping of the new method.", above=0)


def build(parameters, settings):
    """Return it."""
    return (list(parameters), settings)
'''


@pytest.fixture
def new_optimizer(tmp_path, monkeypatch):
    """A file beside the optimizers, and nothing else."""
    (tmp_path / "brand_new_method.py").write_text(NEW_OPTIMIZER, encoding="utf-8")
    monkeypatch.setattr(optim, "__path__", [*optim.__path__, str(tmp_path)])
    yield "brand_new_method"
    import sys

    sys.modules.pop("secondorder.optim.brand_new_method", None)
    if hasattr(optim, "brand_new_method"):
        delattr(optim, "brand_new_method")


def with_new(name, **settings):
    return load_configuration({"runs": {"mine": {"optimizer": name, "settings": settings}}}, CONFIG)


def test_without_its_file_there_is_no_such_optimizer():
    with pytest.raises(ConfigurationError, match=r"^runs\.mine\.optimizer: there is no optimizer 'brand_new_method'"):
        with_new("brand_new_method")


def test_new_file_is_an_optimizer_with_its_settings(new_optimizer):
    specification = run_specification(with_new(new_optimizer), "mnist_mlp", "mine")
    assert specification.optimizer_settings == {"damping": 0.25}


def test_new_file_declares_bounds(new_optimizer):
    with pytest.raises(ConfigurationError, match=r"^runs\.mine\.settings\.damping: given 0\.0; should be greater than"):
        with_new(new_optimizer, damping=0.0)


def test_new_file_is_documented(new_optimizer):
    assert "| `damping` | number, > 0 | `0.25` | Damping of the new method. |" in documentation.document()
