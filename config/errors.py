"""What can be wrong with a configuration.

SwitchhookConfigError
├── ConfigError            the configuration cannot be used; carries every problem found
├── InvalidValue           one value is wrong (also a ValueError); becomes a Problem when the
│                          value stood in a file
├── SecretError            a secret cannot be had from where the configuration says it is
└── Undialable             a target has no address that could be dialled
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SwitchhookConfigError(Exception):
    """The root of this package's errors."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration: where it is, what is wrong, what to do."""

    file: str
    """Path of the file, or name of the environment variable."""
    line: int | None
    """Counted from 1; None where the file as a whole is meant."""
    column: int | None
    field: str
    """Dotted path of keys: `trunks.carrier.sources[0]`; empty for a syntax error."""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = self.file
        if self.line is not None:
            where += f":{self.line}:{self.column}"
        field = f"{self.field}: " if self.field else ""
        hint = f". {self.hint}" if self.hint else ""
        return f"{where}: {field}{self.message}{hint}"


class ConfigError(SwitchhookConfigError):
    """The configuration cannot be used. `problems` has every mistake, in the order of the files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


class InvalidValue(SwitchhookConfigError, ValueError):
    """A value is wrong.

    Args:
        message: what is wrong, to be read after the field's name and a colon.
        hint: what to do about it, a sentence.
        at: the key that it is about, where a whole section was checked.
    """

    def __init__(self, message: str, hint: str = "", *, at: str = "") -> None:
        super().__init__(f"{message}. {hint}" if hint else message)
        self.message = message
        self.hint = hint
        self.at = at


class SecretError(SwitchhookConfigError):
    """A secret cannot be had. The message names the variable or file, never a value."""


class Undialable(SwitchhookConfigError):
    """A target has no address that could be dialled."""
