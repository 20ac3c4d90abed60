"""A ringing target's early media for the caller, for as long as it really flows (RFC 3960).

A 183 whose RTP never comes, or a 180 that follows it, leaves the caller with the sound it waits by
(RFC 3960 section 3.2 asks for local ringing then). A caller that is not answered yet gets 183 with
SDP once there is something to hear.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from sip.errors import CallEnded
from sip.leg import Leg

# Seconds between two looks at the target's RTP: an announcement that is cut in this much later has
# lost no word, and a look costs microseconds.
LOOK_EVERY = 0.1

# Seconds without a packet after which early media is over: twenty packets, more than the jitter of
# any network that carries speech.
SILENT_AFTER = 0.4


class EarlyMedia:
    """Passes a target's audio on while it is entered; of several targets the first one heard."""

    def __init__(self, caller: Leg, target: Leg) -> None:
        self._caller = caller
        self._target = target
        self._packets = 0
        self._grew_at: float | None = None
        """When its last packets were seen, by the loop's clock; None: none came yet."""
        self._watch: asyncio.Task[None] | None = None
        self._passing = False

    def __enter__(self) -> Self:
        self._watch = asyncio.create_task(self._follow())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._give_back()

    async def _follow(self) -> None:
        with suppress(CallEnded):
            while True:
                await asyncio.sleep(LOOK_EVERY)
                if not self._flows():
                    self._give_back()
                elif not self._passing and self._caller.audio.hears is None:
                    self._pass_on()

    def _flows(self) -> bool:
        now = asyncio.get_running_loop().time()
        packets = self._target.rx_packets
        if packets != self._packets:
            self._packets, self._grew_at = packets, now
        return self._grew_at is not None and now - self._grew_at < SILENT_AFTER

    def _pass_on(self) -> None:
        self._caller.open_early_media()
        self._passing = True
        self._caller.audio.hush()
        self._caller.audio.hear(self._target.audio)

    def _give_back(self) -> None:
        passing, self._passing = self._passing, False
        if passing and not self._caller.gone:
            self._caller.audio.unhear()
            self._caller.audio.unhush()
