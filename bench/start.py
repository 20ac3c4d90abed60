"""From the command to ready: what a restart costs."""

from __future__ import annotations

import asyncio
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
        return f"the slowest of {self.starts}, files in the page cache"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Start and stop, several times."""
        slowest = memory = 0.0
        for number in range(self.starts):
            place = folder / str(number)
            place.mkdir()
            made = await asyncio.to_thread(world, place, 100)
            began = time.monotonic()
            async with running(made) as gateway:
                slowest = max(slowest, time.monotonic() - began)
                memory = max(memory, gateway.sample().memory)
        return [
            Figure("start to ready", slowest, "s", 2),
            Figure("memory when ready", memory / 1e6, "MB"),
        ]
