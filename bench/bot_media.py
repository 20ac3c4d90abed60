"""Bot calls: audio both ways between callers and a bot, every frame followed by its number.

Four processes beside this one: SIPp signals, one process is every caller's audio, one is the bot
that sends each frame back, and the gateway runs as `switchhook run`. Times are of one monotonic
clock, so the way to the bot and the way back are measured apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from bench import echo_bot, rtp_load
from bench.echo_bot import Arrivals
from bench.gateway import START_LIMIT, Gateway, Load, beside, running, world
from bench.measurement import Figure
from bench.numbered import NUMBERS
from bench.rtp_load import CallAudio, free_ports
from bench.sampling import Sample, sample, share
from bench.table import percentile
from bench.yardstick import Speed, share_of_core
from tests.e2e.process import Api
from tests.e2e.world import CARRIER
from tests.peers.caller import Caller
from tests.peers.script import SDP
from tests.peers.sipp import Sipp

RATE = 30
"""Calls begun in a second, until all are up."""

SETTLE = 5.0
"""Seconds from the last call's first audio to the measurement: jitter buffers find their size."""

TAIL = 1.0
"""Seconds of the measured audio's end that are left out: it is still on its way."""

NUMBER = "100"
"""Leads to the bot."""

AUDIO = SDP.replace("[media_port]", "[field0]")
"""At a port of the list that SIPp is given."""

COUNTERS = (
    "switchhook_clock_ticks_total",
    "switchhook_clock_late_ticks_total",
    "switchhook_pump_rx_frames_total",
    "switchhook_pump_rx_dropped_total",
    "switchhook_pump_tx_underruns_total",
)

UP_LIMIT = 60.0
"""Seconds that the calls may take to be up, beyond what RATE takes."""


@dataclass(frozen=True)
class Run:
    """What was measured."""

    calls: list[CallAudio]
    arrivals: dict[int, Arrivals]
    idle: Sample
    before: Sample
    after: Sample
    bot: tuple[Sample, Sample]
    load: tuple[Sample, Sample]
    skipped: int
    """Frames that the callers' process came too late to send."""
    counted: dict[str, float]
    """What the gateway's own counters gained meanwhile."""


@dataclass(frozen=True)
class BotMedia:
    """Callers who talk to a bot."""

    title: ClassVar[str] = "Bot calls"
    calls: int = 300
    seconds: float = 20.0
    """At most 70: beyond that the frames' numbers repeat."""

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"{self.calls} at once for {self.seconds:g} s, 8 kHz both ways"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Bring the calls up, look at the gateway before and after, and end them."""
        assert SETTLE + self.seconds <= NUMBERS * rtp_load.PTIME - TAIL
        run = await talk(folder, self.calls, self.seconds)
        percent = share(run.before, run.after) * 100 / self.calls
        speed = await Speed.now(folder)
        fewer = speed.as_loaded(self.calls)
        return [
            *share_of_core(speed, percent, 0.12),
            *figures(run),
            Figure("calls that are the load here that those were there", fewer),
            *(
                replace(figure, name=f"{figure.name}, of those")
                for figure in on_the_way(await talk(folder / "fewer", fewer, self.seconds))
            ),
        ]


@dataclass(frozen=True)
class Talking:
    """Calls that are up."""

    gateway: Gateway
    bot: Load
    load: Load
    idle: Sample
    """Of the gateway, before them."""


@asynccontextmanager
async def talking(
    folder: Path,
    calls: int,
    seconds: float,
    meanwhile: Callable[[Gateway], AbstractContextManager[object]] = lambda _: nullcontext(),
) -> AsyncIterator[Talking]:
    """So many calls at once, for `seconds` from here; `meanwhile` is entered before they begin."""
    made = world(folder, calls + 50)
    ports = free_ports(CARRIER, calls)
    with (
        beside(echo_bot.serve, made.bot_port) as bot,
        beside(rtp_load.run, CARRIER, ports) as load,
    ):
        await bot.says("ready", START_LIMIT)
        await load.says("ready", START_LIMIT)
        async with running(made) as gateway:
            with meanwhile(gateway):
                idle = gateway.sample()
                sipp = await place_calls(folder, made.address, ports, seconds, number=NUMBER)
                try:
                    await load.says("up", calls / RATE + UP_LIMIT)
                    await asyncio.sleep(SETTLE)
                    yield Talking(gateway, bot, load, idle)
                finally:
                    await sipp.stop()


async def talk(
    folder: Path,
    calls: int,
    seconds: float,
    meanwhile: Callable[[Gateway], AbstractContextManager[object]] = lambda _: nullcontext(),
) -> Run:
    """Look at the gateway before and after so many seconds of talk, and take what was heard."""
    async with talking(folder, calls, seconds, meanwhile) as up:
        pids = (up.gateway.pid, up.bot.pid, up.load.pid)
        counters = await read(up.gateway.api)
        before, *others = map(sample, pids)
        await asyncio.sleep(seconds)
        after, *later = map(sample, pids)
        now = await read(up.gateway.api)
        audio, skipped = up.load.results()
        bots, loads = zip(others, later, strict=True)
        counted = {name: now[name] - counters[name] for name in now}
        return Run(audio, up.bot.results(), up.idle, before, after, bots, loads, skipped, counted)


async def read(api: Api) -> dict[str, float]:
    """The gateway's counters of the media."""
    samples = await api.metrics()
    return {name: samples[name] for name in COUNTERS}


def stays(calls: int, seconds: float) -> float:
    """Seconds that a call stays up: until the measurement is over."""
    return calls / RATE + UP_LIMIT + SETTLE + seconds + 20


async def place_calls(
    folder: Path, address: tuple[str, int], ports: list[int], seconds: float, *, number: str
) -> Sipp:
    """Start SIPp: so many callers, whose audio comes to these ports."""
    calls = len(ports)
    stay = stays(calls, seconds)
    script = Caller("stays", caller="[call_number]").dials(sdp=AUDIO).is_answered().talks(stay)
    return await Sipp.start(
        script.hangs_up(),
        folder,
        address=CARRIER,
        fields=[str(port) for port in ports],
        gateway=address,
        number=number,
        calls=calls,
        rate=RATE,
        measure=True,
        run_limit=2 * stay,
    )


def figures(run: Run) -> list[Figure]:
    """What came of a run, but for the CPU per call."""
    return [
        Figure("CPU of the gateway", share(run.before, run.after) * 100, "% core"),
        Figure("CPU of the bot", share(*run.bot) * 100, "% core"),
        Figure("CPU of the callers", share(*run.load) * 100, "% core"),
        *on_the_way(run),
        Figure(
            "memory per call",
            (run.after.memory - run.idle.memory) / len(run.calls) / 1000,
            "KB",
            300,
        ),
        Figure("threads", run.after.threads),
        *(Figure(name, count) for name, count in run.counted.items()),
    ]


def on_the_way(run: Run) -> list[Figure]:
    """How long the frames took, and how many did not come."""
    to_bot, back, lost_to_bot, lost_back, sent = follow(run)
    return [
        Figure("frames sent", sent),
        Figure("frames not sent: the callers were late", run.skipped),
        Figure("frames lost or cut on the way to the bot", lost_to_bot, "", 0),
        Figure("frames lost or cut on the way back", lost_back, "", 0),
        Figure("caller to bot, p50", percentile(to_bot, 50) * 1000, "ms"),
        Figure("caller to bot, p95", percentile(to_bot, 95) * 1000, "ms", 45),
        Figure("bot to caller, p50", percentile(back, 50) * 1000, "ms"),
        Figure("bot to caller, p95", percentile(back, 95) * 1000, "ms", 45),
    ]


def follow(run: Run) -> tuple[list[float], list[float], int, int, int]:
    """Each frame that was sent while it was measured: seconds to the bot and back, and how many
    did not come."""
    to_bot: list[float] = []
    back: list[float] = []
    lost_to_bot = lost_back = sent = 0
    for caller, call in enumerate(run.calls, 1):
        arrivals = run.arrivals.get(caller, Arrivals())
        at_bot = first_times(arrivals.numbers, arrivals.times)
        returned = first_times(call.numbers, call.times)
        for number, left in enumerate(call.sent):
            if not run.before.at <= left <= run.after.at - TAIL:
                continue
            sent += 1
            key = number % NUMBERS
            if key not in at_bot:
                lost_to_bot += 1
                continue
            to_bot.append(at_bot[key] - left)
            if key in returned:
                back.append(returned[key] - at_bot[key])
            else:
                lost_back += 1
    return to_bot, back, lost_to_bot, lost_back, sent


def first_times(numbers: Iterable[int], times: Iterable[float]) -> dict[int, float]:
    """When each number came first."""
    found: dict[int, float] = {}
    for number, at in zip(numbers, times, strict=True):
        found.setdefault(number, at)
    return found
