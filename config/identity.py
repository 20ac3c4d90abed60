"""Who a trunk is told that calls, and how the call came here (RFC 3325, RFC 3323, RFC 5806)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from config.strict import Strict


class Redirection(StrEnum):
    """Which header says that a call was passed on."""

    NONE = "none"
    DIVERSION = "diversion"
    """Diversion (RFC 5806)."""
    HISTORY_INFO = "history-info"
    """History-Info (RFC 7044)."""
    BOTH = "both"


class DiversionReason(StrEnum):
    """Why a call was passed on, in the words of RFC 5806."""

    UNKNOWN = "unknown"
    USER_BUSY = "user-busy"
    NO_ANSWER = "no-answer"
    UNCONDITIONAL = "unconditional"
    DEFLECTION = "deflection"
    FOLLOW_ME = "follow-me"
    TIME_OF_DAY = "time-of-day"
    UNAVAILABLE = "unavailable"
    AWAY = "away"


Referring = Literal["invite", "refer"]


def _refer() -> list[Referring]:
    return ["refer"]


class Identity(Strict):
    """Whose word about the caller is believed and passed on."""

    trusted: bool = False
    """The peer belongs to our trust domain (RFC 3325): its P-Asserted-Identity is believed, and it
    may know a caller who asked for privacy."""
    asserted: Literal["none", "caller"] = "none"
    """`caller`: INVITEs over this trunk carry the caller's P-Asserted-Identity, if the caller's own
    trunk is trusted and has sent one; a caller who asked for privacy only where this is trusted."""
    referred_by: list[Referring] = Field(default_factory=_refer)
    """Which requests carry Referred-By (RFC 3892): the number that the caller had dialled."""
    redirection: Redirection = Redirection.NONE
    """Which headers tell the target, on the INVITE, which number the caller had dialled. Those that
    came with the call are passed on below it."""
    reason: DiversionReason = DiversionReason.DEFLECTION
    """Why, in these headers."""
