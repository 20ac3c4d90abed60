"""Packets that cannot be read as SIP: told by who sent them, however many there are."""

from __future__ import annotations

import asyncio

import structlog

from sip.pjsip import native

log = structlog.get_logger(__name__)

INTERVAL = 1.0
"""Seconds between two looks: so soon the first packets of a source are told."""

PAUSE = 60.0
"""Seconds between two reports: a flood costs nine lines a minute (MAX_SOURCES of malformed.c)."""


class MalformedWatch:
    """Reports what sip/native/malformed.c has counted."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        self._look_in(INTERVAL)

    def stop(self) -> None:
        """Look no more; tell what was not told yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._report()

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._look_in(PAUSE if self._report() else INTERVAL)

    @staticmethod
    def _report() -> bool:
        """Whether there was anything to tell."""
        sources, others = native.malformed_take()
        for source, packets, reason in sources:
            log.warning("malformed packets", source=source.lower(), packets=packets, reason=reason)
        if others:
            log.warning("malformed packets", source="others", packets=others, reason="")
        return bool(sources)
