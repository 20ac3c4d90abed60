"""Which keys a place in a file may have, read from the models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

Loc = tuple[int | str, ...]
"""Where pydantic found an error: keys and indexes, with the tags of unions between them."""


def known_keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the section at `loc` may have, each once."""
    names = [name for candidate in _candidates(model, loc) for name in candidate.model_fields]
    return list(dict.fromkeys(names))


def node_types(model: type[BaseModel], loc: Loc) -> list[str]:
    """The `type`s that the node at `loc` may have."""
    return [str(_type_of(candidate)) for candidate in _candidates(model, loc)]


def _candidates(model: type[BaseModel], loc: Loc) -> list[type[BaseModel]]:
    """The models that a value at `loc` may be checked by; tags narrow a union to one of them."""
    types: list[Any] = [model]
    for part in loc:
        models = [each for each in types if _is_model(each)]
        tagged = [each for each in models if part in (each.__name__, _type_of(each))]
        below = [
            inner
            for each in types
            if (annotation := _below(each, part)) is not None
            for inner in _members(annotation)
        ]
        types = tagged or below or types
    return [each for each in types if _is_model(each)]


def _below(annotation: Any, part: str | int) -> Any:
    """The annotation of what stands under `part`: a field, an item of a list, a value of a dict."""
    if _is_model(annotation):
        field = annotation.model_fields.get(part)
        return None if field is None else field.annotation
    match get_origin(annotation), part:
        case origin, int() if origin is list:
            return get_args(annotation)[0]
        case origin, str() if origin is dict:
            return get_args(annotation)[1]
    return None


def _members(annotation: Any) -> Iterator[Any]:
    """The models and collections of an annotation, out of `Annotated`, `X | Y` and `None`."""
    origin = get_origin(annotation)
    if origin in (list, dict) or _is_model(annotation):
        yield annotation
    elif origin is not None and origin is not Literal:
        for argument in get_args(annotation):
            yield from _members(argument)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _type_of(model: type[BaseModel]) -> str | None:
    """The `type` of a kind of node."""
    field = model.model_fields.get("type")
    return None if field is None else get_args(field.annotation)[0]
