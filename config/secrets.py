"""Secrets, read from where the configuration says they are. Nothing here ever shows a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from config.errors import InvalidValue, SecretError
from config.strict import FilePath, Strict


class Secret(Strict):
    """A secret, by reference: from the environment or from a file, never written here."""

    env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of an environment variable."""
    file: FilePath | None = None
    """A file that holds the secret and nothing else; a line break at its end is not part of it."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            both = "has both `env` and `file`" if self.env else "says not where the secret is"
            raise InvalidValue(both, "Write `env: VARIABLE`, or `file: PATH`")
        return self


def resolve(secret: Secret, environ: Mapping[str, str] | None = None) -> str:
    """The secret itself.

    Args:
        secret: where it is.
        environ: the environment; default: that of this process.

    Raises:
        SecretError: the variable is not set, the file cannot be read, or either is empty, or
            more than one line of text.
    """
    if secret.env is not None:
        value = (os.environ if environ is None else environ).get(secret.env, "")
        if not value:
            raise SecretError(f"the environment variable {secret.env} is not set, or empty")
        return _one_line(value, f"the environment variable {secret.env}")
    if secret.file is None:  # Secret has either, always
        raise SecretError("the secret names neither a variable nor a file")
    try:
        value = secret.file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretError(f"{secret.file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SecretError(f"{secret.file} is not UTF-8 text") from None
    if not value:
        raise SecretError(f"{secret.file} is empty")
    return _one_line(value, str(secret.file))


def _one_line(value: str, source: str) -> str:
    # A secret travels as one header of HTTP, where another line would be a header of its own.
    if not value.isprintable():
        raise SecretError(f"{source} has a line break, or something else unprintable, in it")
    return value
