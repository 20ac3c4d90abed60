"""The gateway that is measured, as `switchhook run`, and the processes that load it."""

from __future__ import annotations

import multiprocessing
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

from bench.sampling import Sample, sample
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.world import GATEWAY, World
from tests.peers import network

START_LIMIT = 20.0
"""Seconds until a process of the load is ready: two cores may be busy."""

RTP_PORTS_PER_LEG = 2


@dataclass(frozen=True)
class Gateway:
    """A running gateway and its API."""

    world: World
    pid: int
    api: Api

    def sample(self) -> Sample:
        """What it uses now."""
        return sample(self.pid)


def world(folder: Path, legs: int, *, pass_through: bool = True, **more: Any) -> World:
    """The world of the end-to-end tests, with room for so many legs."""
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
            yield Gateway(world, process.pid, Api(client))
    finally:
        process.stop()


@dataclass(frozen=True)
class Load:
    """A process beside the gateway."""

    pid: int
    pipe: Connection

    async def says(self, word: str, within: float) -> None:
        """Wait until it says so."""
        await network.until(self.pipe.poll, f"a process is {word}", within)
        said = self.pipe.recv()
        assert said == word, said

    def results(self) -> Any:
        """Tell it to stop, and take what it has found."""
        self.pipe.send("stop")
        return self.pipe.recv()


@contextmanager
def beside(target: Callable[..., None], *arguments: object) -> Iterator[Load]:
    """Run `target(*arguments, pipe)` in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    assert process.pid is not None
    try:
        yield Load(process.pid, ours)
    finally:
        process.terminate()
        process.join()
