"""Which destinations must not be dialled right now, in one call.

A telephone that was given up rings on until its leg is gone: the CANCEL has to reach it, and its
487 us. A second INVITE meanwhile would ring it twice. And a server that answered with Retry-After
(RFC 3261 section 20.33) is left alone until then.
"""

from __future__ import annotations

from collections import defaultdict


class Lines:
    """The destinations of one call's transfers, by the attempts and legs that may ring them."""

    def __init__(self) -> None:
        self._destination: dict[str, str] = {}
        """By attempt."""
        self._ringing: defaultdict[str, set[str]] = defaultdict(set)
        """Attempts and legs, by destination."""
        self._not_before: dict[str, float] = {}

    def begin(self, attempt: str, destination: str) -> None:
        """An attempt is about to be made."""
        self._destination[attempt] = destination
        self._ringing[destination].add(attempt)

    def end(self, attempt: str) -> None:
        """An attempt has its verdict; its leg may still be there."""
        self._ringing[self._destination[attempt]].discard(attempt)

    def opened(self, leg: str, attempt: str) -> None:
        """A leg was dialled for an attempt."""
        if attempt in self._destination:
            self._ringing[self._destination[attempt]].add(leg)

    def closed(self, leg: str) -> None:
        """A leg is gone."""
        for ringing in self._ringing.values():
            ringing.discard(leg)

    def leave_alone(self, destination: str, until: float) -> None:
        """Not to be dialled before `until`, in seconds of the loop's clock."""
        self._not_before[destination] = max(until, self._not_before.get(destination, until))

    def may_ring(self, destination: str) -> bool:
        """Whether it may be ringing now."""
        return bool(self._ringing[destination])

    def why_not(self, destination: str, now: float) -> str:
        """Why it is not to be dialled now; empty: it may be."""
        if self.may_ring(destination):
            return "it may still be ringing"
        left = self._not_before.get(destination, now) - now
        return f"it has asked not to be called for another {left:.0f} s" if left > 0 else ""

    def free_at(self, destination: str, now: float) -> float | None:
        """From when it may be dialled; None: not before it has stopped to ring."""
        if self.may_ring(destination):
            return None
        return max(now, self._not_before.get(destination, now))
