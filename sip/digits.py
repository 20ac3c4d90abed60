"""The keys of one leg: told when one is pressed, relayed when it is released.

A key is told at its first packet, because whoever waits for it should not wait longer. It is
relayed once its length is known, so that the other side hears it as long as it was pressed. A key
that crosses by itself, packet by packet (RFC 4733 section 2.5.2.1), is not relayed once more.
"""

from __future__ import annotations

from collections.abc import Callable

Press = Callable[[str, int], None]
"""(key, milliseconds)."""

SHORTEST_MS = 70
"""Receivers may take a shorter key for noise (ITU-T Q.24: 40 ms); also where it is not known."""

LONGEST_MS, LONGEST_OPUS_MS = 8191, 1365
"""A duration has 16 bits (RFC 4733 section 2.3.5), and 8000 ticks a second or 48 000: a longer one
would begin anew."""


class Digits:
    """What is pressed on one leg."""

    def __init__(self) -> None:
        self._relay: Press | None = None
        self._down: str | None = None
        """Pressed, not yet known to be released, and to be relayed then."""

    def relay_to(self, press: Press | None) -> None:
        """Hand every key that is released from now on to `press`; None: to nobody."""
        self._relay, self._down = press, None

    def pressed(self, key: str, *, crosses: bool = False) -> None:
        """A key goes down. One whose release was lost on the way is released by it.

        Args:
            key: what is pressed.
            crosses: its packets are passed on as they come (sip/native/relay.c).
        """
        if self._down is not None:
            self._pass_on(self._down, SHORTEST_MS)
        self._down = None if crosses else key

    def released(self, key: str, duration_ms: int, *, crosses: bool = False) -> None:
        """A key was down for so long."""
        self._down = None
        if not crosses:
            self._pass_on(key, max(duration_ms, SHORTEST_MS))

    def _pass_on(self, key: str, duration_ms: int) -> None:
        if self._relay is not None:
            self._relay(key, duration_ms)
