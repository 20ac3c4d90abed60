"""The gateway that is measured, as `switchhook run`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench import echo_bot
from bench.exchange import Exchange
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.world import GATEWAY, World
from tests.peers import network

RTP_PORTS_PER_LEG = 2


@dataclass(frozen=True)
class Gateway(Exchange):
    """A running gateway and its API."""

    world: World
    api: Api


def world(folder: Path, legs: int, *, pass_through: bool = True, **more: Any) -> World:
    """The world of the end-to-end tests, with room for so many legs.

    Args:
        folder: it is written below this one, as `gateway`.
        legs: of calls at once.
        pass_through: whether audio passes between two legs without the bridge where it can.
        more: other fields of `World`.
    """
    made = World(
        folder / "gateway",
        settings={"sip": {"max_calls": legs, "rtp": {"pass_through": pass_through}}},
        rtp=network.free_udp_range(GATEWAY, RTP_PORTS_PER_LEG * legs + 2),
        **more,
    )
    made.write()
    return made


@asynccontextmanager
async def running(world: World) -> AsyncIterator[Gateway]:
    """The gateway of this world, ready for calls."""
    process = GatewayProcess(world)
    process.start()
    try:
        async with httpx.AsyncClient(base_url=world.api, timeout=30) as client:
            yield Gateway(
                pid=process.pid,
                address=world.address,
                pbx_port=world.pbx_port,
                bot_port=world.bot_port,
                bot=echo_bot.serve,
                world=world,
                api=Api(client),
            )
    finally:
        process.stop()
