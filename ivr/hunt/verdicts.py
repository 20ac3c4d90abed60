"""What an attempt's verdict means for the hunt it belongs to, and what a failed hunt comes to."""

from __future__ import annotations

from collections.abc import Sequence

from ivr.hunt.machine import Input
from sip.outcome import Attempt, Method, Outcome

UNKNOWN_METHOD = frozenset({405, 420, 421, 481, 489, 501, 603})
"""A REFER that is answered by one of these itself, without a NOTIFY: the peer does not do that. A
603 at once is how some refuse every REFER; the called party's own 603 comes in a NOTIFY."""

TELLING = (
    Outcome.BUSY,
    Outcome.NO_ANSWER,
    Outcome.DECLINED,
    Outcome.NO_VERDICT,
    Outcome.CANCELLED,
    Outcome.SERVER_UNAVAILABLE,
    Outcome.NETWORK_FAILURE,
    Outcome.MEDIA_INCOMPATIBLE,
    Outcome.GLARE,
    Outcome.ROUTING_LOOP,
    Outcome.UNAUTHORIZED,
    Outcome.BAD_DESTINATION,
    Outcome.METHOD_UNSUPPORTED,
    Outcome.BLOCKED,
    Outcome.UNAVAILABLE,
)
"""What a caller is told who reached nobody: first what people did, then what machines did, then
what is misconfigured, and last that nobody was there to be dialled."""


def meaning(attempt: Attempt) -> Input:
    """Which input of the hunt a finished attempt is."""
    if attempt.outcome.succeeded:
        return Input.SUCCEEDED
    if attempt.outcome is Outcome.NO_VERDICT:
        return Input.UNCERTAIN
    return Input.REFUSED if takes_refer(attempt) is False else Input.FAILED


def takes_refer(attempt: Attempt) -> bool | None:
    """What an attempt shows about the caller's trunk and REFER; None: nothing."""
    if attempt.method is not Method.REFER:
        return None
    if attempt.sipfrags or attempt.outcome is Outcome.NO_VERDICT or attempt.outcome.succeeded:
        return True
    return False if attempt.code in UNKNOWN_METHOD else None


def most_telling(attempts: Sequence[Attempt]) -> Attempt:
    """The failure that stands for a whole hunt: the first kind in `TELLING`, of it the last one."""
    return min(reversed(attempts), key=lambda attempt: TELLING.index(attempt.outcome))
