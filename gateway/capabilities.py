"""What the peers behind the trunks can do: as configured, else as they have shown before."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from config.trunks import Trunk
from gateway.memory import Memory

log = structlog.get_logger()

DECLINE = 603
"""Says that the peer does not take REFER, unless it has taken one before: then it is only a no."""


class TrunkCapabilities:
    """`ivr.ports.TrunkCapabilities` for the configured trunks."""

    def __init__(self, trunks: Mapping[str, Trunk], memory: Memory) -> None:
        self._trunks = trunks
        self._memory = memory

    def takes_refer(self, trunk: str) -> bool | None:
        """Whether a trunk's peer takes REFER; None: that is not known."""
        support = self._support(trunk)
        if support != "learn":
            return support == "yes"
        known = self._memory.capability(trunk)
        return None if known is None else known.supported

    def showed_refer(self, trunk: str, *, takes: bool, code: int | None) -> None:
        """Keep what a REFER was answered with, unless the settings say how it is."""
        known = self._memory.capability(trunk)
        if self._support(trunk) != "learn" or (known is not None and known.supported is takes):
            return
        if known is not None and known.supported and code == DECLINE:
            return
        self._memory.learn(trunk, supported=takes, code=code)
        log.info(
            "trunk capability learned", trunk=trunk, method="refer", supported=takes, code=code
        )

    def _support(self, trunk: str) -> str:
        known = self._trunks.get(trunk)
        return "learn" if known is None else known.refer.support
