"""What a rehearsed call finds around it: everybody is there, and nothing is learned for good."""

from __future__ import annotations

from collections.abc import Mapping

from config.groups import Group
from config.targets import Target
from config.trunks import Trunk


class EverybodyThere:
    """`ivr.ports.Availability`: a rehearsal at night plays what happens by day."""

    async def unavailable(self, name: str, whom: Target | Group) -> str | None:
        """Nobody is unavailable."""
        return None


class AsConfigured:
    """`ivr.ports.TrunkCapabilities`: what the settings say, each call anew."""

    def __init__(self, trunks: Mapping[str, Trunk]) -> None:
        self._trunks = trunks

    def takes_refer(self, trunk: str) -> bool | None:
        """What `refer.support` says; None: it is to be learned."""
        support = self._trunks[trunk].refer.support
        return None if support == "learn" else support == "yes"

    def showed_refer(self, trunk: str, *, takes: bool, code: int | None) -> None:
        """A faulty peer has shown nothing about the real one."""
