"""The same calls through the gateway and through Asterisk, one after the other in one run.

`ASTERISK` is the command that runs Asterisk. Callers, agents and their audio are the same processes
for both. What differs is how a bot is reached: the gateway speaks WebSocket with it, Asterisk
AudioSocket.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench import asterisk, bot_media, echo_bot, gateway, rtp_load, transferred
from bench.bot_media import RATE, SETTLE, TAIL, UP_LIMIT, place_calls
from bench.gateway import START_LIMIT, Load, beside
from bench.measurement import Figure
from bench.rtp_load import free_ports
from bench.sampling import sample, share
from bench.short_calls import at_once, per_call, place
from bench.transferred import answer_calls, gaps
from tests.e2e.world import CARRIER, PBX

COMMAND = "ASTERISK"
"""The environment's variable that names it."""

HALF = 0.5
"""Of Asterisk's CPU: twice its capacity."""


@dataclass(frozen=True)
class Product:
    """One of the two, ready for calls."""

    pid: int
    address: tuple[str, int]
    bot_port: int
    pbx_port: int
    bot: Callable[..., None]
    """The bot that it can talk to, as a process."""


Starts = Callable[[Path, int], AbstractAsyncContextManager[Product]]
"""In this folder, with room for so many legs."""


@asynccontextmanager
async def the_gateway(folder: Path, legs: int) -> AsyncIterator[Product]:
    """As `switchhook run`."""
    made = gateway.world(folder, legs)
    async with gateway.running(made) as up:
        yield Product(up.pid, made.address, made.bot_port, made.pbx_port, echo_bot.serve)


@asynccontextmanager
async def the_other(folder: Path, legs: int) -> AsyncIterator[Product]:
    """As `ASTERISK` says."""
    made = asterisk.Asterisk(folder / "asterisk", os.environ[COMMAND], legs)
    async with asterisk.running(made) as pid:
        yield Product(pid, made.address, made.bot_port, made.pbx_port, asterisk.serve_echo)


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
                await self._short(the_other, folder / "short-other"),
            ),
            *compared(
                ("bot call", "% core", "frames lost or cut on the way back"),
                await self._talking(the_gateway, folder / "bot", agents=False),
                await self._talking(the_other, folder / "bot-other", agents=False),
            ),
            *compared(
                ("call to an agent", "% core", "frames lost or cut, both ways"),
                await self._talking(the_gateway, folder / "agent", agents=True),
                await self._talking(the_other, folder / "agent-other", agents=True),
            ),
        ]

    async def _short(self, starts: Starts, folder: Path) -> Carried:
        calls = round(self.rate * self.seconds)
        async with starts(folder, at_once(self.rate, 0)) as product:
            await place(self.rate * self.warm_up, self.rate, product.address, folder)
            before = sample(product.pid)
            sipp = await place(calls, self.rate, product.address, folder)
            return Carried(per_call(before, sample(product.pid), calls), sipp.failed_calls())

    async def _talking(self, starts: Starts, folder: Path, *, agents: bool) -> Carried:
        callers, desks = (free_ports(address, self.calls) for address in (CARRIER, PBX))
        number = transferred.NUMBER if agents else bot_media.NUMBER
        async with starts(folder, 2 * self.calls + 50) as product:
            with ExitStack() as ends:
                bot = ends.enter_context(beside(product.bot, product.bot_port))
                audio = [ends.enter_context(beside(rtp_load.run, CARRIER, callers))]
                if agents:
                    audio.append(ends.enter_context(beside(rtp_load.run, PBX, desks)))
                for each in (bot, *audio):
                    await each.says("ready", START_LIMIT)
                peers = []
                if agents:
                    peers.append(await answer_calls(folder, product.pbx_port, desks, self.seconds))
                peers.append(
                    await place_calls(folder, product.address, callers, self.seconds, number=number)
                )
                try:
                    for each in audio:
                        await each.says("up", self.calls / RATE + UP_LIMIT)
                    await asyncio.sleep(SETTLE)
                    before = sample(product.pid)
                    await asyncio.sleep(self.seconds)
                    after = sample(product.pid)
                finally:
                    for peer in peers:
                        await peer.stop()
                window = before.at, after.at - TAIL
                lost = sum(missing(each, *window) for each in audio)
        return Carried(share(before, after) * 100 / self.calls, lost)


def missing(audio: Load, begin: float, end: float) -> int:
    """Frames that this process ought to have heard."""
    calls, _ = audio.results()
    return gaps(calls, begin, end)


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
