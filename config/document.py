"""A YAML file as plain values, with the place of every key and value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from config import dialect
from config.errors import ConfigError, Problem

Location = tuple[str | int, ...]
"""The way to a value: keys of mappings and indexes of lists."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file, counted from 1."""

    file: str
    line: int
    column: int

    @classmethod
    def of(cls, node: yaml.Node, file: str) -> Self:
        """Where a node begins."""
        return cls(file, node.start_mark.line + 1, node.start_mark.column + 1)

    def problem(self, field: str, message: str, hint: str = "") -> Problem:
        """A problem at this place."""
        return Problem(self.file, self.line, self.column, field, message, hint)


@dataclass(slots=True)
class Document:
    """A YAML file that was read. Its values are dicts, lists, str, int, float, bool and None.

    Keys are text as written: `486:` and `"486":` are the same key.
    """

    file: str
    value: Any = None
    problems: list[Problem] = field(default_factory=list)
    """Keys that stand twice, values that are missing: what does not hinder further checks."""
    _values: dict[Location, Position] = field(default_factory=dict)
    _keys: dict[Location, Position] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, shown: str) -> Self:
        """Read a file.

        Args:
            path: of the file.
            shown: how problems call it.

        Raises:
            ConfigError: it cannot be read, is not UTF-8 or not YAML. One problem, at its line.
        """
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise ConfigError([Problem(shown, None, None, "", message)]) from error
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
            message, hint = "is not UTF-8 text", "Save the file as UTF-8"
            raise ConfigError([Problem(shown, line, column, "", message, hint)]) from error
        return cls.parse(text, shown)

    @classmethod
    def parse(cls, text: str, shown: str) -> Self:
        """The same for text in memory."""
        document = cls(shown)
        root = dialect.compose(text, shown)
        if root is None:
            document.problems.append(Problem(shown, None, None, "", "is empty"))
        else:
            document.value = document._take(root, ())
        return document

    def __contains__(self, location: Location) -> bool:
        return location in self._values

    def at(self, location: Location) -> Any:
        """The value at a location that the document has."""
        value = self.value
        for part in location:
            value = value[part]
        return value

    def problem(self, location: Location, message: str, hint: str = "") -> Problem:
        """A problem with a value. A section is pointed at by its key, a missing value above it."""
        known = location
        while known and known not in self._values:
            known = known[:-1]
        position = self._values.get(known, Position(self.file, 1, 1))
        if isinstance(self.at(known), dict | list):
            position = self._keys.get(known, position)
        return position.problem(dotted(location), message, hint)

    def key_problem(self, location: Location, message: str, hint: str = "") -> Problem:
        """A problem with the key at a location."""
        if location not in self._keys:
            return self.problem(location, message, hint)
        return self._keys[location].problem(dotted(location), message, hint)

    def put(self, location: Location, other: Document) -> None:
        """Set what stands at a location, whose parent exists, to what `other` has."""
        parent = self.at(location[:-1])
        if isinstance(parent, list) and location[-1] == len(parent):
            parent.append(None)
        parent[location[-1]] = other.value
        for places, theirs in ((self._values, other._values), (self._keys, other._keys)):
            for old in [place for place in places if place[: len(location)] == location]:
                del places[old]
            places.update({location + below: position for below, position in theirs.items()})

    def _take(self, node: yaml.Node, here: Location) -> Any:
        """The plain value of a node; notes where each part of it stands."""
        position = self._values[here] = Position.of(node, self.file)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, here)
        if isinstance(node, yaml.SequenceNode):
            return [self._take(below, (*here, index)) for index, below in enumerate(node.value)]
        text: str = node.value
        match node.tag:
            case dialect.NULL:
                message, hint = "has no value", "Give it one, or leave the key out"
                self.problems.append(position.problem(dotted(here), message, hint))
                return None
            case dialect.BOOL:
                return text.lower() == "true"
            case dialect.INT:
                return int(text)
            case dialect.FLOAT:
                return float(text)
        return self._text(text, position, here)

    def _mapping(self, node: yaml.MappingNode, here: Location) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, below in node.value:
            position = Position.of(key_node, self.file)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(position.problem(dotted(here), "a key must be text"))
                continue
            key = self._text(key_node.value, position, here)
            if key in mapping:
                first = self._keys[*here, key].line
                hint = f"It stands in line {first} already: remove one of the two"
                field = dotted((*here, key))
                self.problems.append(position.problem(field, "the same key twice", hint))
                continue
            self._keys[*here, key] = position
            mapping[key] = self._take(below, (*here, key))
        return mapping

    def _text(self, text: str, position: Position, here: Location) -> str:
        if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
            message = "has half a surrogate pair, which is no character"
            hint = "Write the character itself"
            self.problems.append(position.problem(dotted(here), message, hint))
            return text.encode("utf-8", "replace").decode()
        return text


def dotted(location: Location) -> str:
    """`trunks.carrier.sources[0]`: a location as messages write it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")
