"""Legs whose audio has stopped: a peer that crashed sends no BYE, only silence."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from sip.leg import Leg
from sip.pjsip import native

log = structlog.get_logger(__name__)

INTERVAL = 1.0
"""Seconds between two looks at all legs: exact enough for a timeout of seconds."""


class AudioWatch:
    """Gives up legs that send no RTP for `timeout` seconds; 0: never."""

    def __init__(self, timeout: float, by_call_id: Mapping[str, Leg]) -> None:
        self._timeout = timeout
        self._by_call_id = by_call_id
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        if self._timeout:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self.start()
        for call_id in native.rtp_silent(round(self._timeout * 1000)):
            if (leg := self._by_call_id.get(call_id)) is not None:
                leg.give_up_silent(self._timeout)
