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
    complaints: dict[str, list[Any]] = {}
    for complaint in error.errors():
        location = map(_printable, _keys(model, complaint))
        complaints.setdefault(".".join([*prefix, *location]), []).append(complaint)
    key, alternatives = next(iter(complaints.items()))
    # Of the alternatives of a union, one that says more than "another type" is the one that was meant.
    first = next((item for item in alternatives if not item["type"].endswith("_type")), alternatives[-1])
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
    if kind == "int_type" and isinstance(given, str) and _is_number(given, int):
        return f"given the text {given!r}; write it as a number: {int(given)}"
    if kind in {"float_type", "int_type"} and isinstance(given, str) and _is_number(given, float):
        return f"given the text {given!r}; write it as a number: {float(given)!r} (YAML needs a dot in 1.0e-3)"
    if kind == "string_type" and complaint["loc"][-1] == "str":
        return f"given {given!r}; should be true or false, a number or text"
    if kind == "string_pattern_mismatch":
        return f"given {given!r}; a name is made of a-z, 0-9 and _ and begins with a letter"
    message = complaint["msg"][0].lower() + complaint["msg"][1:]
    return f"given {given!r}; {message.removeprefix('input ').replace('dictionary', 'mapping')}"


def _nearest(given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


def _is_number(text: str, kind: type[int] | type[float]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _printable(key: Any) -> str:
    text = str(key)
    return text if text and text.isprintable() else repr(text)


def _keys(model: type[BaseModel], complaint: Any) -> Sequence[Any]:
    """Return the location of a complaint without what Pydantic adds: "[key]", and the tried alternative of a union."""
    location: Sequence[Any] = complaint["loc"]
    if location[-1:] == ("[key]",) and complaint["type"] != "extra_forbidden":
        location = location[:-1]
    for length in range(1, len(location)):
        holder = _annotation_at(model, location[:length])
        if get_origin(holder) in {Union, UnionType}:
            return location[:length]
    return location


def _model_at(model: type[BaseModel], location: Sequence[Any]) -> type[BaseModel]:
    found: type[BaseModel] = _annotation_at(model, location)
    return found


def _annotation_at(model: type[BaseModel], location: Sequence[Any]) -> Any:
    annotation: Any = model
    for part in location:
        annotation = annotation.model_fields[part].annotation if _is_model(annotation) else get_args(annotation)[-1]
        annotation = _unwrapped(annotation)
    return annotation


def _unwrapped(annotation: Any) -> Any:
    """Return what an optional or annotated type holds."""
    if get_origin(annotation) is Annotated:
        return _unwrapped(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        inner = [alternative for alternative in get_args(annotation) if alternative is not type(None)]
        return _unwrapped(inner[0]) if len(inner) == 1 else annotation
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _description(model: type[BaseModel], location: Sequence[Any]) -> str | None:
    field: FieldInfo | None = _model_at(model, location[:-1]).model_fields.get(str(location[-1]))
    return field.description if field else None
