"""The keys of one leg: told when one is pressed, relayed when it is released.

A key is told at its first packet, because whoever waits for it should not wait longer. It is
relayed once its length is known, so that the other side hears it as long as it was pressed
(RFC 4733 section 2.5.2.1 would have the relay repeat every packet, which PJSIP cannot).
"""

from __future__ import annotations

from collections.abc import Callable

Press = Callable[[str, int], None]
"""(key, milliseconds)."""

SHORTEST_MS = 70
"""Receivers may take a shorter key for noise (ITU-T Q.24: 40 ms); also where it is not known."""


class Digits:
    """What is pressed on one leg."""

    def __init__(self) -> None:
        self._relay: Press | None = None
        self._down: str | None = None
        """Pressed, and not yet known to be released."""

    def relay_to(self, press: Press | None) -> None:
        """Hand every key that is released from now on to `press`; None: to nobody."""
        self._relay, self._down = press, None

    def pressed(self, key: str) -> None:
        """A key goes down. One whose release was lost on the way is released by it."""
        if self._down is not None:
            self._pass_on(self._down, SHORTEST_MS)
        self._down = key

    def released(self, key: str, duration_ms: int) -> None:
        """A key was down for so long."""
        self._down = None
        self._pass_on(key, max(duration_ms, SHORTEST_MS))

    def _pass_on(self, key: str, duration_ms: int) -> None:
        if self._relay is not None:
            self._relay(key, duration_ms)
