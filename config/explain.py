"""Pydantic's validation errors as problems: in the words and at the place of the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.document import Document, Location
from config.errors import InvalidValue, Problem
from config.shape import known_keys, node_types
from config.spelling import did_you_mean, nearest


def problems_of(
    error: ValidationError, document: Document, model: type[BaseModel]
) -> list[Problem]:
    """One problem for each mistake that `model` found in `document`."""
    return [
        _problem(details, document, model)
        for details in error.errors(include_url=False)
        if details["input"] is not None or details["type"] in ("missing", "extra_forbidden")
    ]  # a value of None is a key without value, which the document reports itself


def _problem(details: ErrorDetails, document: Document, model: type[BaseModel]) -> Problem:
    location = _location(details, document)
    context = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return document.problem(location, "is missing", f"Add `{location[-1]}`")
        case "extra_forbidden":
            hint = nearest(str(location[-1]), known_keys(model, details["loc"][:-1]))
            return document.key_problem(location, "unknown key", hint)
        case "union_tag_not_found" if "discriminator" in context:
            hint = f"Add `type`: {_choices(node_types(model, details['loc']))}"
            return document.problem((*location, "type"), "is missing", hint)
        case "union_tag_invalid":
            tag, known = str(context["tag"]), _quoted(context["expected_tags"])
            message = f"must be {_choices(known)}, not `{tag}`"
            return document.problem((*location, "type"), message, did_you_mean(tag, known))
        case "literal_error" | "enum":
            return document.problem(location, *_not_a_choice(details["input"], context["expected"]))
        case "value_error" if isinstance(context["error"], InvalidValue):
            invalid = context["error"]
            location = (*location, invalid.at) if invalid.at else location
            report = document.key_problem if details["loc"][-1:] == ("[key]",) else document.problem
            return report(location, invalid.message, invalid.hint)
    return document.problem(location, *_words(details, model))


def _location(details: ErrorDetails, document: Document) -> Location:
    """The document's keys and indexes in an error's `loc`, without the tags of unions."""
    here: Location = ()
    parts = details["loc"]
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        section = document.at(here)
        # The tag of a node is its `type`, even where the node has a key of that name.
        if not last and isinstance(section, dict) and section.get("type") == part:
            continue
        if (*here, part) in document or (last and details["type"] == "missing"):
            here = (*here, part)
    return here


_EXPECTED = {
    "model_type": "a section of keys",
    "dict_type": "a section of keys",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
}
"""What was expected. What was found is named by its kind alone: it may be a misplaced secret."""

_LIMITS: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda limit: f"must be more than {limit['gt']:g}",
    "greater_than_equal": lambda limit: f"must be at least {limit['ge']:g}",
    "less_than": lambda limit: f"must be less than {limit['lt']:g}",
    "less_than_equal": lambda limit: f"must be at most {limit['le']:g}",
    "string_too_short": lambda _: "must not be empty",
    "too_short": lambda _: "must not be empty",
    "string_pattern_mismatch": lambda _: "has a character that cannot stand here",
}


def _words(details: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """Message and hint for an error whose kind needs no place of its own."""
    kind, value = details["type"], details["input"]
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {_kind(value)}", _type_hint(details, model)
    if kind in _LIMITS:
        return _LIMITS[kind](details.get("ctx", {})), ""
    if kind in ("prompt", "target"):
        return f"{details['msg']}, found {_kind(value)}", ""
    return details["msg"].removeprefix("Value error, ").removeprefix("Input "), ""


def _type_hint(details: ErrorDetails, model: type[BaseModel]) -> str:
    if details["type"] == "string_type":
        return "Put it in quotes" if _is_number(details["input"]) else ""
    if details["type"] in ("model_type", "dict_type"):
        keys = known_keys(model, details["loc"])
        return f"Its keys are {', '.join(f'`{key}`' for key in keys)}" if keys else ""
    return ""


def _not_a_choice(found: Any, expected: str) -> tuple[str, str]:
    known = _quoted(expected) or re.findall(r"\w+", expected.replace(" or ", ", "))
    known = [each.lower() if each in ("True", "False") else each for each in known]
    shown = str(found).lower() if isinstance(found, bool) else str(found)
    hint = did_you_mean(shown, known) if isinstance(found, str) else ""
    if isinstance(found, dict | list) or len(shown) > 60:
        return f"must be {_choices(known)}, found {_kind(found)}", ""
    return f"must be {_choices(known)}, not `{shown}`", hint


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _choices(known: list[str]) -> str:
    *others, last = [f"`{each}`" for each in known]
    return f"{', '.join(others)} or {last}" if others else last


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a section of keys"
        case _:
            return "nothing"
