"""Joined calls whose audio passes undecoded (sip/native/relay.c), instead of being mixed.

What a leg plays, records and is joined with decides whether it may (`LegAudio`); the codecs of
both decide whether it can, and so does silence: whoever would hear a peer that sends nothing hears
the bridge, which goes on sending. Both change in the middle of a call.
"""

from __future__ import annotations

import asyncio

from sip.pjsip import native

LOOK_AGAIN = 1.0
"""Seconds between two looks at a pair that may pass."""


class PassThrough:
    """The pairs of calls whose audio may pass."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._partners: dict[int, int] = {}
        """By PJSIP's id, each of a pair by the other."""
        self._timer: asyncio.TimerHandle | None = None

    def join(self, one: int, other: int) -> None:
        """Let audio pass between two calls as long as it can."""
        if not self._enabled:
            return
        if self._partners.get(one) != other:
            self.part(one)
            self.part(other)
            self._partners[one], self._partners[other] = other, one
        native.relay_join(one, other)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._look)

    def part(self, call: int) -> None:
        """Mix what this call and its partner say, if it has one."""
        partner = self._partners.pop(call, None)
        if partner is not None:
            del self._partners[partner]
            native.relay_part(call)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if not self._partners:
            return
        self._timer = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._look)
        for one, other in self._partners.items():
            if one < other:
                native.relay_join(one, other)
