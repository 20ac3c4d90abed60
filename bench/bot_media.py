"""Bot calls: audio both ways between callers and a bot, every frame followed by its number.

Four processes beside this one: SIPp signals, one process is every caller's audio, one is the bot
that sends each frame back, and the gateway runs as `switchhook run`. Times are of one monotonic
clock, so the way to the bot and the way back are measured apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from bench import talking
from bench.arrivals import Arrivals
from bench.gateway import Gateway, running, world
from bench.measurement import Figure, percentile
from bench.numbered import NUMBERS
from bench.rtp_load import CallAudio
from bench.sampling import Sample, sample, share
from bench.talking import TAIL, check_length
from bench.yardstick import Speed, share_of_core
from tests.e2e.process import Api

COUNTERS = (
    "switchhook_clock_ticks_total",
    "switchhook_clock_late_ticks_total",
    "switchhook_pump_rx_frames_total",
    "switchhook_pump_rx_dropped_total",
    "switchhook_pump_tx_underruns_total",
)


@dataclass(frozen=True)
class Run:
    """What was measured."""

    calls: list[CallAudio]
    """At the callers."""
    arrivals: dict[int, Arrivals]
    """At the bot, by caller from 1."""
    idle: Sample
    """Of the gateway: without calls, and at the beginning and the end of what is measured."""
    before: Sample
    after: Sample
    bot: tuple[Sample, Sample]
    """The same two of the bot's process, and of the callers'."""
    callers: tuple[Sample, Sample]
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

    def __post_init__(self) -> None:
        check_length(self.calls, self.seconds)

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"{self.calls} at once for {self.seconds:g} s, 8 kHz both ways"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Bring the calls up, look at the gateway before and after, and end them."""
        run = await self._talk(folder, self.calls)
        percent = share(run.before, run.after) * 100 / self.calls
        speed = await Speed.now(folder)
        fewer = speed.as_loaded(self.calls)
        return [
            *share_of_core(speed, percent, 0.12),
            *figures(run),
            Figure("calls that are the load here that those were there", fewer),
            *(
                replace(figure, name=f"{figure.name}, of those")
                for figure in on_the_way(await self._talk(folder / "fewer", fewer))
            ),
        ]

    async def _talk(self, folder: Path, calls: int) -> Run:
        async with running(world(folder, calls + 50)) as gateway:
            return await talk(gateway, folder, calls, self.seconds)


async def talk(gateway: Gateway, folder: Path, calls: int, seconds: float) -> Run:
    """Look at the gateway before and after so many seconds of talk, and take what was heard."""
    async with talking.to_bot(gateway, folder, calls, seconds) as up:
        pids = (gateway.pid, up.called.pid, up.callers.pid)
        counters = await read(gateway.api)
        before, bot_before, callers_before = map(sample, pids)
        await asyncio.sleep(seconds)
        after, bot_after, callers_after = map(sample, pids)
        now = await read(gateway.api)
        audio, skipped = up.callers.results()
        return Run(
            calls=audio,
            arrivals=up.called.results(),
            idle=up.idle,
            before=before,
            after=after,
            bot=(bot_before, bot_after),
            callers=(callers_before, callers_after),
            skipped=skipped,
            counted={name: now[name] - counters[name] for name in now},
        )


async def read(api: Api) -> dict[str, float]:
    """The gateway's counters of the media."""
    samples = await api.metrics()
    return {name: samples[name] for name in COUNTERS}


def figures(run: Run) -> list[Figure]:
    """What came of a run, but for the CPU per call."""
    return [
        Figure("CPU of the gateway", share(run.before, run.after) * 100, "% core"),
        Figure("CPU of the bot", share(*run.bot) * 100, "% core"),
        Figure("CPU of the callers", share(*run.callers) * 100, "% core"),
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
    frames = follow(run)
    return [
        Figure("frames sent", frames.sent),
        Figure("frames not sent: the callers were late", run.skipped),
        Figure("frames lost or cut on the way to the bot", frames.lost_to_bot, "", 0),
        Figure("frames lost or cut on the way back", frames.lost_back, "", 0),
        Figure("caller to bot, p50", percentile(frames.to_bot, 50) * 1000, "ms"),
        Figure("caller to bot, p95", percentile(frames.to_bot, 95) * 1000, "ms", 45),
        Figure("bot to caller, p50", percentile(frames.back, 50) * 1000, "ms"),
        Figure("bot to caller, p95", percentile(frames.back, 95) * 1000, "ms", 45),
    ]


@dataclass
class Frames:
    """All frames that were sent while it was measured, followed to the bot and back."""

    sent: int = 0
    to_bot: list[float] = field(default_factory=list)
    """Seconds on the way, of each that came."""
    back: list[float] = field(default_factory=list)
    lost_to_bot: int = 0
    lost_back: int = 0


def follow(run: Run) -> Frames:
    """Find each frame where it came."""
    frames = Frames()
    for caller, call in enumerate(run.calls, 1):
        at_bot = run.arrivals.get(caller, Arrivals()).first_times()
        returned = call.heard.first_times()
        for number, left in enumerate(call.sent):
            if not run.before.at <= left <= run.after.at - TAIL:
                continue
            frames.sent += 1
            key = number % NUMBERS
            if key not in at_bot:
                frames.lost_to_bot += 1
                continue
            frames.to_bot.append(at_bot[key] - left)
            if key in returned:
                frames.back.append(returned[key] - at_bot[key])
            else:
                frames.lost_back += 1
    return frames
