"""Settings from environment variables, laid over the file.

`SWITCHHOOK__SIP__LISTEN__0__PORT=5070` sets `sip.listen[0].port`. After the prefix, each `__` goes
one level down: a key, in any case, or an index of a list. The value is read as YAML. An unknown key
is an error, as it is in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.document import Document, Location
from config.errors import ConfigError, Problem

PREFIX = "SWITCHHOOK__"


def overlay(document: Document, environ: Mapping[str, str]) -> list[Problem]:
    """Put the variables' values into the document; return what is wrong with the variables."""
    problems: list[Problem] = []
    if document.value is None:
        return problems
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        try:
            value = Document.parse(environ[variable], variable)
        except ConfigError as error:
            problems += error.problems
            continue
        problems += value.problems
        if value.value is None:
            continue
        location = _open(document, variable)
        if location is None:
            message = "does not name a setting"
            hint = f"Write it like `{PREFIX}SIP__LISTEN__0__PORT`"
            problems.append(Problem(variable, None, None, "", message, hint))
        else:
            document.put(location, value)
    return problems


def _open(document: Document, variable: str) -> Location | None:
    """The location that a variable names; sections above it are made where they are missing."""
    location: Location = ()
    segments = variable.removeprefix(PREFIX).split("__")
    for index, segment in enumerate(segments):
        part = _part(document.at(location), segment)
        if part is None:
            return None
        location = (*location, part)
        last = index == len(segments) - 1
        if not last and location not in document:
            document.put(location, Document.parse("{}", variable))
    return location


def _part(section: Any, segment: str) -> str | int | None:
    if isinstance(section, dict) and segment:
        same = [key for key in section if key.lower() == segment.lower()]
        return same[0] if same else segment.lower()
    if isinstance(section, list) and segment.isdecimal() and int(segment) <= len(section):
        return int(segment)
    return None
