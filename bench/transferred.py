"""Transferred calls: caller and agent talk through the gateway, which anchors the audio of both."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench import talking
from bench.gateway import running, world
from bench.measurement import Figure
from bench.rtp_load import CallAudio
from bench.sampling import share
from bench.talking import TAIL, check_length
from bench.yardstick import Speed, share_of_core


@dataclass(frozen=True)
class Transferred:
    """Callers who talk to agents."""

    title: ClassVar[str] = "Transferred calls"
    calls: int = 200
    """On two cores the load takes as much as the gateway; with more of them, 500."""
    seconds: float = 20.0
    mixed: bool = False
    """Whether all audio goes through the bridge, as it does while it is recorded."""

    def __post_init__(self) -> None:
        check_length(self.calls, self.seconds)

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        how = "mixed" if self.mixed else "passed on"
        return f"{self.calls} at once for {self.seconds:g} s, both legs anchored, audio {how}"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Bring the calls up, look at the gateway before and after, and end them."""
        legs = 2 * self.calls + 50
        async with (
            running(world(folder, legs, pass_through=not self.mixed)) as gateway,
            talking.to_agents(gateway, folder, self.calls, self.seconds) as up,
        ):
            before = gateway.sample()
            await asyncio.sleep(self.seconds)
            after = gateway.sample()
            at_callers, late_callers = up.callers.results()
            at_agents, late_agents = up.called.results()
        window = before.at, after.at - TAIL
        percent = share(before, after) * 100 / self.calls
        return [
            *(
                [Figure("CPU per call", percent, "% core")]
                if self.mixed
                else share_of_core(await Speed.now(folder), percent, 0.14)
            ),
            Figure("CPU of the gateway", share(before, after) * 100, "% core"),
            Figure("frames not sent: the load was late", late_callers + late_agents),
            Figure("frames that agents heard", heard(at_agents, *window)),
            Figure("lost or cut on the way to agents", lost(at_agents, *window)),
            Figure("lost or cut on the way to callers", lost(at_callers, *window)),
            Figure("memory per call", (after.memory - up.idle.memory) / self.calls / 1000, "KB"),
        ]


def heard(calls: Sequence[CallAudio], begin: float, end: float) -> int:
    """Frames that came whole between two times."""
    return sum(len(call.heard.between(begin, end)) for call in calls)


def lost(calls: Sequence[CallAudio], begin: float, end: float) -> int:
    """Frames that did not, between the first and the last one of each call that did."""
    return sum(call.heard.gaps(begin, end) for call in calls)
