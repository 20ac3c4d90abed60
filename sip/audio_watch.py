"""Legs whose audio has stopped: a peer that crashed sends no BYE, only silence."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sip.events import AudioSilent
from sip.leg import Leg
from sip.pjsip import native

SILENT_REASON = {"Reason": 'Q.850;cause=41;text="no audio received"'}
"""Of the BYE to a leg that fell silent (RFC 3326; Q.850 cause 41: temporary failure)."""

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
                self._give_up(leg)

    def _give_up(self, leg: Leg) -> None:
        """End the leg, unless its party is on hold."""
        dialog = leg.dialog
        if dialog.answered and not dialog.held and not dialog.released:
            leg.emit(AudioSilent(dialog.label, self._timeout))
            leg.release(SILENT_REASON)
