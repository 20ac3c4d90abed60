"""A caller whose trunk is asked by REFER to take the call elsewhere, and what came of it."""

from __future__ import annotations

from typing import Any

from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.world import CARRIER, REFERRED_TO, World
from tests.peers.caller import Caller

TARGET = REFERRED_TO.replace("+", "[+]")


def referred(name: str) -> Caller:
    """A caller who is answered and referred."""
    return Caller(name).dials().is_answered().is_referred(TARGET, {"Referred-By": "sip:"})


async def verdict(
    script: Caller,
    world: World,
    peer: StartPeer,
    api: Api,
    number: str = "300",
    *,
    trunk: str = CARRIER,
) -> dict[str, Any]:
    """Play the script at the address of this trunk; the attempt that came of it."""
    async with await peer(script, address=trunk, gateway=world.address, number=number):
        pass
    record = await api.record()
    (attempt,) = record["attempts"]
    assert attempt["method"] == "refer"
    return {**attempt, "record": record}
