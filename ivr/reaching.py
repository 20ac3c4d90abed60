"""What a bot that stays is told of each try to reach somebody, without I/O.

    begin ──▶ queued ──18x──▶ ringing ──▶ completed | cancelled | error
                └──────────────────────────▲

Nothing is told twice: a peer may repeat its 18x every minute, or many times a second.
"""

from __future__ import annotations

from dataclasses import dataclass

from sip.events import Event, TransferEnded, TransferProgress
from sip.outcome import Attempt, Handover, HandoverStatus, Outcome

TRYING = 100
"""RFC 3261 section 21.1.1: the next hop has the request; nobody is alerted."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer, or one of its attempts, has come."""

    target: str
    status: HandoverStatus
    attempt: str = ""
    """Empty: the transfer was ordered, and nothing has been dialled yet."""
    outcome: Outcome | None = None
    sip_code: int | None = None


class Reaching:
    """The attempts under way in one call."""

    def __init__(self) -> None:
        self._last: dict[str, Progress] = {}
        """By attempt."""

    def begin(self, attempt: str, target: str) -> Progress:
        """An attempt of the flow is made. What peers transfer is never begun here."""
        self._last[attempt] = told = Progress(target, HandoverStatus.QUEUED, attempt)
        return told

    def happened(self, event: Event) -> Progress | None:
        """What to tell of an event of the call; None: nothing."""
        match event:
            case TransferProgress(attempt=attempt, code=code) if code > TRYING:
                last = self._last.get(attempt)
                if last is None or last.sip_code == code:
                    return None
                told = Progress(last.target, HandoverStatus.RINGING, attempt, sip_code=code)
                self._last[attempt] = told
                return told
            case TransferEnded(attempt=ended) if self._last.pop(ended.id, None) is not None:
                return result(ended)
            case _:
                return None


def result(attempt: Attempt) -> Progress:
    """The last that is told of an attempt."""
    status = Handover.of(attempt).status
    return Progress(attempt.target, status, attempt.id, attempt.outcome, attempt.code)
