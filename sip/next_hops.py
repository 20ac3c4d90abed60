"""The next hops of all trunks, for calls out: chosen by how earlier calls over them went."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from config.trunks import Trunk
from config.uri import parse_uri
from sip.errors import UnresolvedHost
from sip.events import Direction
from sip.hops import Hops
from sip.leg import Leg
from sip.names import Names
from sip.registrations import Registrations


class NextHops:
    """Which hop of a trunk the next call goes to, and where that is."""

    def __init__(
        self, trunks: Mapping[str, Trunk], names: Names, registrations: Registrations
    ) -> None:
        self.by_trunk = {name: Hops(len(trunk.hops)) for name, trunk in trunks.items()}
        self._names = names
        self._registrations = registrations

    async def choose(self, trunk: str, uris: list[str]) -> tuple[int, int, str]:
        """Which one a call goes to, how many others are left after it, and where it is.

        Args:
            trunk: its name.
            uris: its hops.

        Raises:
            UnresolvedHost: none of them has an address.
        """
        hops, now = self.by_trunk[trunk], asyncio.get_running_loop().time()
        while True:
            hop = hops.choose(now, self._registrations.hop(trunk))
            left = hops.left(now, hop)
            try:
                where = await self._names.address(parse_uri(uris[hop]).host)
            except UnresolvedHost:
                hops.failed(hop, now, None)
                if not left:
                    raise
            else:
                return hop, left, where

    def note(self, leg: Leg) -> None:
        """A leg has ended: remember whether the hop that it was dialled over does its work."""
        hops = self.by_trunk.get(leg.info.trunk)
        if hops is None or leg.info.direction is not Direction.SENT:
            return
        if leg.dialog.unreached:
            failure = leg.dialog.wire.failure
            retry_after = None if failure is None else failure.retry_after
            now = asyncio.get_running_loop().time()
            hops.failed(leg.info.hop, now, retry_after, answered=failure is not None)
        else:
            hops.worked(leg.info.hop)
