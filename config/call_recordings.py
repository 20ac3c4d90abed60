"""Whether and where calls are recorded."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from config.strict import FilePath, Strict

CONSENT_VARIABLE = "consent"
"""The call's variable that says whether the caller agrees to be recorded."""


class RecordAction(StrEnum):
    """What is done with a call's recording."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class Consent(StrEnum):
    """Whether the caller agrees to be recorded."""

    GRANTED = "granted"
    DECLINED = "declined"
    UNKNOWN = "unknown"
    """Nobody has said so."""


class Recordings(Strict):
    """Where recordings of calls are written. What is recorded, flows and the API say."""

    folder: FilePath | None = None
    """Relative to this file; default: `recordings` in `data`. It gets a folder for each day."""
    format: Literal["wav", "opus"] = "wav"
    """Stereo, 8 kHz: `wav` takes 115 MB for an hour, `opus` (in Ogg) about a tenth of that."""
