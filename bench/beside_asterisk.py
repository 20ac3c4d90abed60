"""The same calls through the gateway and through Asterisk, one after the other in one run.

`ASTERISK` is the command that runs Asterisk. Callers, agents and their audio are the same processes
for both. What differs is how a bot is reached: the gateway speaks WebSocket with it, Asterisk
AudioSocket.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench import asterisk, gateway, talking
from bench.exchange import Exchange
from bench.load import Load
from bench.measurement import Figure
from bench.sampling import share
from bench.short_calls import at_once, per_call, place
from bench.talking import TAIL, check_length
from bench.transferred import lost
from bench.yardstick import bare_answerer

COMMAND = "ASTERISK"
"""The environment's variable that names it."""

HALF = 0.5
"""Of Asterisk's CPU: twice its capacity."""


Starts = Callable[[Path, int], AbstractAsyncContextManager[Exchange]]
"""An exchange in this folder, with room for so many legs."""


@asynccontextmanager
async def the_gateway(folder: Path, legs: int) -> AsyncIterator[Exchange]:
    """As `switchhook run`."""
    async with gateway.running(gateway.world(folder, legs)) as running:
        yield running


@asynccontextmanager
async def the_asterisk(folder: Path, legs: int) -> AsyncIterator[Exchange]:
    """As `ASTERISK` says."""
    made = asterisk.Asterisk(folder / "asterisk", os.environ[COMMAND], legs)
    async with asterisk.running(made) as running:
        yield running


@dataclass(frozen=True)
class Carried:
    """What came of one kind of call."""

    cpu: float
    """Of a call: milliseconds, or percent of a core."""
    lost: int
    """Calls, or frames of audio."""


@dataclass(frozen=True)
class BesideAsterisk:
    """Both, with three kinds of calls."""

    title: ClassVar[str] = "Beside Asterisk"
    rate: int = 300
    """Short calls a second."""
    warm_up: int = 35
    """Seconds of them before the measurement, as for `signalling`."""
    calls: int = 150
    """Calls with audio, at once."""
    seconds: float = 20.0

    def __post_init__(self) -> None:
        check_length(self.calls, self.seconds)

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"{self.rate} short calls/s, {self.calls} calls with audio, {self.seconds:g} s each"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Each kind of call, through the gateway first."""
        if COMMAND not in os.environ:
            raise SystemExit(f"{COMMAND} is not set: write the command that runs Asterisk")
        return [
            *compared(
                ("short call", "ms", "calls failed"),
                await self._short(the_gateway, folder / "short"),
                theirs := await self._short(the_asterisk, folder / "short-other"),
            ),
            Figure(
                "short call: times that of Asterisk, a bare pjsua2 answerer",
                await self._bare(folder) / theirs.cpu,
            ),
            *compared(
                ("bot call", "% core", "frames lost or cut on the way back"),
                await self._bot(the_gateway, folder / "bot"),
                await self._bot(the_asterisk, folder / "bot-other"),
            ),
            *compared(
                ("call to an agent", "% core", "frames lost or cut, both ways"),
                await self._agents(the_gateway, folder / "agent"),
                await self._agents(the_asterisk, folder / "agent-other"),
            ),
        ]

    async def _short(self, starts: Starts, folder: Path) -> Carried:
        calls = round(self.rate * self.seconds)
        async with starts(folder, at_once(self.rate, 0)) as exchange:
            await place(self.rate * self.warm_up, self.rate, exchange.address, folder)
            before = exchange.sample()
            sipp = await place(calls, self.rate, exchange.address, folder)
            return Carried(per_call(before, exchange.sample(), calls), sipp.failed_calls())

    async def _bare(self, folder: Path) -> float:
        """What PJSIP alone takes, which the gateway cannot go below."""
        return await bare_answerer(
            folder, self.rate, warm_up=self.warm_up, seconds=round(self.seconds)
        )

    async def _bot(self, starts: Starts, folder: Path) -> Carried:
        async with (
            starts(folder, 2 * self.calls + 50) as exchange,
            talking.to_bot(exchange, folder, self.calls, self.seconds) as up,
        ):
            return await self._carried(exchange, up.callers)

    async def _agents(self, starts: Starts, folder: Path) -> Carried:
        async with (
            starts(folder, 2 * self.calls + 50) as exchange,
            talking.to_agents(exchange, folder, self.calls, self.seconds) as up,
        ):
            return await self._carried(exchange, up.callers, up.called)

    async def _carried(self, exchange: Exchange, *audio: Load) -> Carried:
        """What came of calls that are up; frames are counted where they are heard."""
        before = exchange.sample()
        await asyncio.sleep(self.seconds)
        after = exchange.sample()
        heard = [calls for calls, _ in (each.results() for each in audio)]
        frames = sum(lost(calls, before.at, after.at - TAIL) for calls in heard)
        return Carried(share(before, after) * 100 / self.calls, frames)


def compared(kind: tuple[str, str, str], ours: Carried, theirs: Carried) -> list[Figure]:
    """`kind` is the call's name, the unit of its CPU, and what may be lost."""
    name, unit, lost = kind
    return [
        Figure(f"{name}: CPU", ours.cpu, unit),
        Figure(f"{name}: CPU of Asterisk", theirs.cpu, unit),
        Figure(f"{name}: times that of Asterisk", ours.cpu / theirs.cpu, "", HALF),
        Figure(f"{name}: {lost}", ours.lost, "", 0),
        Figure(f"{name}: {lost}, Asterisk", theirs.lost),
    ]
