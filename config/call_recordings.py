"""Whether and where calls are recorded."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from config.strict import FilePath, Strict

CONSENT_VARIABLE = "consent"
"""The call's variable that says whether the caller agrees to be recorded."""


class RecordAction(StrEnum):
    """What is done with a recording."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class Party(StrEnum):
    """Whose leg is recorded."""

    CALLER = "caller"
    AGENT = "agent"
    """Of each agent that answers in the call, on its own."""


class Sides(StrEnum):
    """What of a leg is recorded."""

    BOTH = "both"
    """Stereo: left what the party says, right all that it hears."""
    SAID = "said"
    """Mono: what the party says."""
    HEARD = "heard"
    """Mono: all that the party hears."""


class RecordedLeg(Strict):
    """A leg that a flow records."""

    leg: Party
    """`agent`: each agent's leg, in a file of its own, from its answer to its end."""
    sides: Sides = Sides.BOTH
    """`both`: stereo, left what the party says, right what it hears. `said` or `heard`: that side
    alone, mono."""


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
    """8 kHz: `wav` takes 115 MB for an hour in stereo, `opus` (in Ogg) about a tenth of that."""
