"""What is wrong with a configuration, in one line that names the key, the value and the remedy."""

import difflib
from collections.abc import Iterable, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from secondorder.errors import ConfigurationError


def unknown_name(key: str, kind: str, given: str, known: Iterable[str]) -> ConfigurationError:
    """Return the error for a name that does not exist, with the nearest that does."""
    names = list(known)
    return ConfigurationError(
        f"{key}: there is no {kind} {given!r}{_nearest(given, names)}; there are {', '.join(names)}"
    )


def explain(error: ValidationError, model: type[BaseModel], prefix: Sequence[str] = ()) -> ConfigurationError:
    """Return the first of Pydantic's complaints as one line of this project's words.

    Args:
        error: What Pydantic raised.
        model: The model that was validated, to look up what is allowed.
        prefix: Keys above the model in the configuration.
    """
    complaints = [item for item in error.errors() if not _is_alternative(item["loc"])] or error.errors()
    first = complaints[0]
    location = [str(part) for part in first["loc"] if not _is_type_marker(part)]
    key = ".".join([*prefix, *location])
    more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
    return ConfigurationError(f"{key}: {_sentence(first, model)}{more}")


def _sentence(complaint: Any, model: type[BaseModel]) -> str:
    kind, given = complaint["type"], complaint["input"]
    if kind == "extra_forbidden":
        key = str(complaint["loc"][-1])
        known = list(_model_at(model, complaint["loc"][:-1]).model_fields)
        return f"unknown key{_nearest(key, known)}; known here: {', '.join(known) or 'none'}"
    if kind == "missing":
        return "is missing; " + (_description(model, complaint["loc"]) or "it has no default")
    if kind in {"float_type", "int_type"} and isinstance(given, str) and _is_number(given):
        return f"given the text {given!r}; write it as a number: {float(given)!r} (YAML needs a dot in 1.0e-3)"
    if kind == "string_pattern_mismatch":
        return f"given {given!r}; a name is made of a-z, 0-9 and _ and begins with a letter"
    message = complaint["msg"][0].lower() + complaint["msg"][1:]
    return f"given {given!r}; {message.removeprefix('input ').replace('dictionary', 'mapping')}"


def _nearest(given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_type_marker(part: Any) -> bool:
    # Pydantic puts the tried alternative of a union, or the marker of a mapping's key, into the location.
    return part in {"[key]", "bool", "int", "float", "str"} or (
        isinstance(part, str) and part.startswith(("list[", "constrained"))
    )


def _is_alternative(location: tuple[Any, ...]) -> bool:
    return bool(location) and location[-1] in {"bool", "int", "float"}


def _model_at(model: type[BaseModel], location: Sequence[Any]) -> type[BaseModel]:
    annotation: Any = model
    for part in location:
        holder = _unwrapped(annotation)
        annotation = holder.model_fields[part].annotation if _is_model(holder) else get_args(holder)[-1]
    found: type[BaseModel] = _unwrapped(annotation)
    return found


def _unwrapped(annotation: Any) -> Any:
    """Return what an optional or annotated type holds."""
    if get_origin(annotation) in {Annotated, Union, UnionType}:
        return _unwrapped(next(inner for inner in get_args(annotation) if inner is not type(None)))
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _description(model: type[BaseModel], location: Sequence[Any]) -> str | None:
    field: FieldInfo | None = _model_at(model, location[:-1]).model_fields.get(str(location[-1]))
    return field.description if field else None
