"""The base of everything an operator writes: an unknown key is an error, and values are frozen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from config.errors import InvalidValue


def _name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", text) is None:
        raise InvalidValue("a name is a letter, then at most 63 letters, digits, `-` and `_`")
    return text


def _words(text: str) -> str:
    if not text.strip():
        raise InvalidValue("there is nothing to say", "Write some words, or leave the prompt out")
    return text


def _as_written(path: object) -> object:
    # A default goes the same way as a value of the file, where strict mode wants text.
    return str(path) if isinstance(path, Path) else path


def _from_folder(path: Path, info: ValidationInfo) -> Path:
    if "\0" in str(path):
        raise InvalidValue("is not a path")
    folder: Path | None = (info.context or {}).get("folder")
    return path if folder is None else folder / path


Seconds = Annotated[float, Field(ge=0, le=86_400)]
"""A duration in seconds; fractions are allowed. A field with a `ge` or `le` of its own is a
`float`: of two such bounds the wider would hold."""

Name = Annotated[str, AfterValidator(_name)]
"""What trunks, targets, bots, flows and nodes are called."""

Words = Annotated[str, AfterValidator(_words)]
"""Text to be spoken."""

FilePath = Annotated[Path, BeforeValidator(_as_written), AfterValidator(_from_folder)]
"""A file or folder. Written relative to the file that names it; absolute once loaded."""


class Strict(BaseModel):
    """A section of the configuration."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
