"""Processes that load what is measured, so that their work is not counted as its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from tests.peers import network

START_LIMIT = 20.0
"""Seconds until a process is ready: two cores may be busy."""

_PRIORITY = -15
"""Before the gateway, where that is allowed: a telephone has a processor of its own."""


@dataclass(frozen=True)
class Load:
    """A running process."""

    pid: int
    _pipe: Connection

    async def says(self, word: str, within: float) -> None:
        """Wait until it says so, for at most `within` seconds."""
        said = await self.found(within)
        assert said == word, said

    async def found(self, within: float) -> Any:
        """What it sends by itself, within so many seconds."""
        await network.until(self._pipe.poll, "a process of the load says something", within)
        return self._pipe.recv()

    def results(self) -> Any:
        """Tell it to stop, and take what it has found."""
        self._pipe.send("stop")
        return self._pipe.recv()


@asynccontextmanager
async def beside(target: Callable[..., None], *arguments: object) -> AsyncIterator[Load]:
    """Run `target(*arguments, pipe)` in a process of its own, once that has sent `ready`."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()  # so that its end is seen on ours
    assert process.pid is not None
    try:
        load = Load(process.pid, ours)
        await load.says("ready", START_LIMIT)
        yield load
    finally:
        process.terminate()
        process.join()


def raise_priority() -> None:
    """Of this process, which is part of the load."""
    with suppress(PermissionError):
        os.nice(_PRIORITY)
