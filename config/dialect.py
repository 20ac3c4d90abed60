"""The YAML of Switchhook's files: smaller than YAML 1.1, so that a file means what it looks like.

`true` and `false` are the only booleans (`on`, `yes` and `no` are text), `+493012345` and `0815`
are text, and anchors, aliases, tags and `<<` are refused.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml
from yaml.composer import ComposerError

from config.errors import ConfigError, Problem

_MAX_DEPTH = 30
"""The deepest value of a configuration lies at 9; more is a mistake, or an attack on the stack."""

NULL = "tag:yaml.org,2002:null"
BOOL = "tag:yaml.org,2002:bool"
INT = "tag:yaml.org,2002:int"
FLOAT = "tag:yaml.org,2002:float"


def compose(text: str, shown: str) -> yaml.Node | None:
    """The tree of nodes that a file consists of; None: it is empty.

    Args:
        text: of the file.
        shown: how problems call the file.

    Raises:
        ConfigError: it is not YAML. One problem, at its line.
    """
    try:
        return _compose(text)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise ConfigError([Problem(shown, line, column, "", message)]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
        message = f"is not valid YAML: {error.problem or error.context}"
        raise ConfigError([Problem(shown, *place, "", message)]) from error


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    except (ValueError, OverflowError) as error:
        # PyYAML hands the digits of an escape (`"\UFFFFFFFF"`) to chr() as they are.
        mark = loader.get_mark()
        raise ComposerError(None, None, "an escape that stands for no character", mark) from error
    return node


class _Loader(yaml.SafeLoader):
    """Composes nodes; builds no Python object."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - PyYAML's way to have own ones

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            self._refuse("anchors and aliases are not supported (a text with `*` or `&` first "
                         "needs quotes)", event)  # fmt: skip
        if event.tag:
            self._refuse("tags are not supported (a text with `!` first needs quotes)", event)
        if self._depth == _MAX_DEPTH:
            self._refuse(f"nested deeper than {_MAX_DEPTH} levels", event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refuse(self, reason: str, event: Any) -> NoReturn:
        raise ComposerError(None, None, reason, event.start_mark)


for _tag, _pattern, _first in (
    (NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (BOOL, r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    (INT, r"-?(?:0|[1-9][0-9]{0,17})", list("-0123456789")),
    (FLOAT, r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}", list("-0123456789")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})\\Z"), _first)
