"""From the command to ready: what a restart costs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.gateway import running, world
from bench.measurement import Figure


@dataclass(frozen=True)
class Start:
    """The gateway's start."""

    title: ClassVar[str] = "Start"
    starts: int = 5

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"the slowest of {self.starts}, byte code and files in the cache"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Start and stop, several times."""
        # An installation has its byte code. A checkout gets it by its first start, which is not
        # measured, unless the environment forbids that.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        slowest = memory = 0.0
        for number in range(-1, self.starts):
            place = folder / str(number)
            place.mkdir()
            made = await asyncio.to_thread(world, place, 100)
            began = time.monotonic()
            async with running(made) as gateway:
                took = time.monotonic() - began
                slowest = max(slowest, took if number >= 0 else 0.0)
                memory = max(memory, gateway.sample().memory)
        return [
            Figure("start to ready", slowest, "s", 2),
            Figure("memory when ready", memory / 1e6, "MB"),
        ]
