"""The reference part of docs/configuration.md, from the models: every key, its type and default.

    python -m config.reference docs/configuration.md

replaces what stands below the marker line in that file.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.flows import Flow
from config.settings import Settings

MARKER = "<!-- Below: made by `python -m config.reference docs/configuration.md` -->\n"

_SIMPLE: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "seconds",  # what may have a fraction, but for NUMBERS
    bool: "`true` or `false`",
    Path: "path",
    IPv4Address: "IPv4 address",
    IPv4Network: "IPv4 network",
}


NUMBERS = {"calls_per_second", "threshold_db"}
"""Keys whose names say what may have a fraction in them."""


def render() -> str:
    """The reference as Markdown: one table for each model, where it is first met."""
    parts: list[str] = []
    met: set[type[BaseModel]] = set()
    for title, root in (("The settings file", Settings), ("Flow files", Flow)):
        parts += [f"## {title}\n", *map(_section, _below(root, met))]
    return "\n".join(parts)


def _below(model: type[BaseModel], met: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if model in met:
        return
    met.add(model)
    yield model
    for field in model.model_fields.values():
        for inner in _models(field):
            yield from _below(inner, met)


def _section(model: type[BaseModel]) -> str:
    lines = [f"### {_title(model)}", "", _sentence(model.__doc__ or ""), ""]
    lines += ["| key | value | default | |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        value = "number" if name in NUMBERS else _value(field)
        cells = [f"`{name}`", value, _default(field), _sentence(field.description or "")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _title(model: type[BaseModel]) -> str:
    """`Refer timers`; for a kind of node, `agent_transfer node`."""
    if kind := model.model_fields.get("type"):
        return f"{get_args(kind.annotation)[0]} node"
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: f" {match[0].lower()}", model.__name__)


def _models(field: FieldInfo) -> Iterator[type[BaseModel]]:
    """The models inside a field's annotation."""
    inside = [field.annotation]
    for annotation in inside:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        elif get_origin(annotation) is not Literal:
            inside += get_args(annotation)


def _value(field: FieldInfo) -> str:
    text = _type(field.annotation)
    lowest = next((each.ge for each in field.metadata if isinstance(each, Ge)), None)
    highest = next((each.le for each in field.metadata if isinstance(each, Le)), None)
    if field.annotation is int and lowest is not None and highest is not None:
        return f"{text}, {lowest} to {highest}"
    return text


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{_shown(each)}`" for each in arguments)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"{_type(arguments[1])} by name"
    if origin in (Union, types.UnionType):
        shown = [_type(each) for each in arguments if each is not types.NoneType]
        return " or ".join(dict.fromkeys(shown))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{each}`" for each in annotation)
    title = _title(annotation)
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or isinstance(default, BaseModel) or default in ([], {}):
        return ""
    if isinstance(default, list):
        return ", ".join(f"`{each}`" for each in default)
    return f"`{_shown(default)}`"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sentence(docstring: str) -> str:
    return " ".join(docstring.split())


def main() -> None:
    """Replace the reference in the file that is named on the command line."""
    path = Path(sys.argv[1])
    prose, marker, _ = path.read_text(encoding="utf-8").partition(MARKER)
    if not marker:
        sys.exit(f"{path} has no line {MARKER}")
    path.write_text(f"{prose}{marker}\n{render()}", encoding="utf-8")


if __name__ == "__main__":
    main()
