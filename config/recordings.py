"""A first look at recordings: whether a file is there and begins like a WAV file."""

from __future__ import annotations

from pathlib import Path


def why_no_wave(path: Path) -> str | None:
    """Why a file cannot be played, or None. Its format is looked at when it is converted."""
    try:
        if path.is_fifo():  # nobody would ever write into it
            return f"{path} is not a WAV file"
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return f"{path} is not a WAV file"
    return None
