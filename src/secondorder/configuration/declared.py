"""Pydantic models of declared settings (see :mod:`secondorder.settings`)."""

import dataclasses
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, create_model

from secondorder.configuration.models import Section


@cache
def settings_model(declared: type[Any]) -> type[BaseModel]:
    """Return the model that validates the settings which a ``Settings`` dataclass declares."""
    hints = get_type_hints(declared)
    fields: dict[str, Any] = {
        field.name: (
            hints[field.name],
            Field(field.default, description=field.metadata["description"], **field.metadata["bounds"]),
        )
        for field in dataclasses.fields(declared)
    }
    return create_model("Settings", __base__=Section, **fields)
