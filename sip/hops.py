"""Which of a trunk's next hops a request goes to: the first that works (RFC 3263 section 4.3).

Sans-IO: what happened goes in with the time, what to do comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# A hop that failed is left alone for so long, doubled each time, before a call tries it again.
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 300.0

# A REGISTER that no hop has taken is tried again after so long, doubled each time: a provider's
# restart is a short outage then, and its customers together are no flood.
FIRST_WAIT = 5.0
LONGEST_WAIT = 300.0

# Wrong credentials do not become right by trying, and providers lock out who tries often.
REFUSED_WAIT = 300.0

# How long a registration stays with a fallback before the first hop is asked again.
RETURN_AFTER = 300.0

REFUSED = frozenset({401, 403, 404, 405, 407, 420, 423})
"""Answers to REGISTER that another hop of the same provider would give too."""


class Hops:
    """The next hops of one trunk, for its calls."""

    def __init__(self, count: int) -> None:
        self._down_until = [0.0] * count
        self._failures = [0] * count
        self._silent = [False] * count
        """Whether the pause of a hop is one for not answering."""
        self._out = [False] * count
        """Whether a hop did not answer OPTIONS: it is left alone until it does."""

    def choose(self, now: float, preferred: int = 0) -> int:
        """The hop to use: the preferred one, else the first, that is not known to be down.

        Args:
            now: monotonic seconds.
            preferred: the one that the trunk is registered at.
        """
        order: list[int] = [preferred, *range(len(self._down_until))]
        return min(order, key=lambda hop: (self._out[hop], max(now, self._down_until[hop])))

    def left(self, now: float, chosen: int) -> int:
        """How many others could be tried after the chosen one."""
        return sum(
            until <= now and not self._out[hop]
            for hop, until in enumerate(self._down_until)
            if hop != chosen
        )

    def worked(self, hop: int) -> None:
        """It answered."""
        self._down_until[hop], self._failures[hop] = 0.0, 0

    def failed(
        self, hop: int, now: float, retry_after: int | None, *, answered: bool = False
    ) -> None:
        """It did not answer, or with 503.

        Args:
            hop: which one.
            now: monotonic seconds.
            retry_after: seconds, where it said so.
            answered: with 503.
        """
        pause = min(FIRST_PAUSE * 2.0 ** self._failures[hop], LONGEST_PAUSE)
        self._failures[hop] += 1
        self._silent[hop] = not answered
        self._down_until[hop] = now + (pause if retry_after is None else retry_after)

    def pinged(self, hop: int, *, alive: bool) -> None:
        """It answered OPTIONS, or did not.

        One that does again is used again, whatever pause its silence had earned it. The pause of
        one that had answered a call with 503 is kept.
        """
        if alive and self._out[hop] and self._silent[hop]:
            self.worked(hop)
        self._out[hop] = not alive


@dataclass(frozen=True, slots=True)
class NextRegister:
    """The REGISTER that is to follow."""

    hop: int
    delay: float
    """Seconds."""


class Registering:
    """Where and when a trunk registers. PJSIP refreshes what was granted; the rest is here."""

    def __init__(self, count: int, jitter: Callable[[], float]) -> None:
        """Begin at the first hop.

        Args:
            count: of hops.
            jitter: a factor for each wait, around 1: customers of one provider must not keep step.
        """
        self.hop = 0
        """The one that was asked last."""
        self._count = count
        self._jitter = jitter
        self._rounds = 0
        self._longest_asked = 0

    def answered(self, code: int, granted: int, retry_after: int | None) -> NextRegister | None:
        """What follows on an answer, or on none.

        Args:
            code: SIP status; PJSIP's own where nothing came.
            granted: seconds; 0: nothing is registered.
            retry_after: seconds, where the answer said so.

        Returns:
            The next REGISTER; None: PJSIP's refresh.
        """
        if granted:
            self._rounds = self._longest_asked = 0
            return NextRegister(0, RETURN_AFTER * self._jitter()) if self.hop else None
        self._longest_asked = max(self._longest_asked, retry_after or 0)
        if code in REFUSED:
            return NextRegister(self.hop, max(REFUSED_WAIT * self._jitter(), retry_after or 0))
        if self.hop + 1 < self._count:
            return NextRegister(self.hop + 1, 0)
        wait = min(FIRST_WAIT * 2.0**self._rounds, LONGEST_WAIT) * self._jitter()
        wait, self._longest_asked = max(wait, self._longest_asked), 0
        self._rounds += 1
        return NextRegister(0, wait)
