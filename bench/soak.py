"""Memory over many short calls: the slope, and how sure it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from typing import ClassVar

from bench.gateway import running, world
from bench.measurement import Figure
from bench.short_calls import place, stored

LOOK_EVERY = 2.0
"""Seconds between two looks at the memory."""

NOISE = 30.0
"""Bytes a call: below it a slope cannot be told from the database's caches and from the pages that
the kernel counts late (1.5 MB over 50 000 calls)."""


@dataclass(frozen=True)
class Soak:
    """Memory over many calls."""

    title: ClassVar[str] = "Soak"
    rate: int = 400
    calls: int = 50_000
    warm_up: int = 120_000
    """Calls before the measurement. The pools of PJSIP and malloc find their size late: memory was
    level after so many."""

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"{self.calls} calls at {self.rate} calls/s"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Look at the memory while calls come and go."""
        async with running(world(folder, 2 * self.rate + 200)) as gateway:
            address = gateway.address
            failed = 0
            if self.warm_up:
                failed = (await place(self.warm_up, self.rate, address, folder)).failed_calls()
            calls: list[float] = []
            memory: list[float] = []
            before = gateway.sample()
            load = asyncio.create_task(place(self.calls, self.rate, address, folder))
            while not load.done():
                now = gateway.sample()
                calls.append((now.at - before.at) * self.rate)
                memory.append(now.memory)
                await asyncio.wait({load}, timeout=LOOK_EVERY)
            failed += load.result().failed_calls()
            await stored(gateway.api, self.warm_up + self.calls - failed)
            after = gateway.sample()
        slope = linear_regression(calls, memory).slope
        return [
            Figure("memory, slope per call", slope, "B", NOISE),
            Figure("memory before", before.memory / 1e6, "MB"),
            Figure("memory after", after.memory / 1e6, "MB"),
            Figure("calls failed", failed, "", 0),
            Figure("open files left", after.open_files - before.open_files),
        ]
