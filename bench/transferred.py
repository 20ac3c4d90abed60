"""Transferred calls: caller and agent talk through the gateway, which anchors the audio of both.

SIPp calls and is called; one process is every caller's audio, another every agent's. Frames are
numbered, so that one which does not arrive leaves a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench import rtp_load
from bench.bot_media import AUDIO, RATE, SETTLE, TAIL, UP_LIMIT, place_calls, stays
from bench.gateway import START_LIMIT, beside, running, world
from bench.measurement import Figure
from bench.numbered import NUMBERS
from bench.rtp_load import CallAudio, free_ports
from bench.sampling import share
from bench.yardstick import Speed, share_of_core
from tests.e2e.world import CARRIER, PBX
from tests.peers.agent import Agent
from tests.peers.sipp import Sipp

NUMBER = "200"
"""Leads straight to an agent."""


@dataclass(frozen=True)
class Transferred:
    """Callers who talk to agents."""

    title: ClassVar[str] = "Transferred calls"
    calls: int = 200
    """On two cores the load takes as much as the gateway; with more of them, 500."""
    seconds: float = 20.0
    mixed: bool = False
    """Whether all audio goes through the bridge, as it does while it is recorded."""

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        how = "mixed" if self.mixed else "passed on"
        return f"{self.calls} at once for {self.seconds:g} s, both legs anchored, audio {how}"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Bring the calls up, look at the gateway before and after, and end them."""
        assert SETTLE + self.seconds <= NUMBERS * rtp_load.PTIME - TAIL
        made = world(folder, 2 * self.calls + 50, pass_through=not self.mixed)
        callers, agents = (free_ports(address, self.calls) for address in (CARRIER, PBX))
        with (
            beside(rtp_load.run, CARRIER, callers) as calling,
            beside(rtp_load.run, PBX, agents) as called,
        ):
            await calling.says("ready", START_LIMIT)
            await called.says("ready", START_LIMIT)
            async with running(made) as gateway:
                idle = gateway.sample()
                peers = [
                    await answer_calls(folder, made.pbx_port, agents, self.seconds),
                    await place_calls(folder, made.address, callers, self.seconds, number=NUMBER),
                ]
                try:
                    within = self.calls / RATE + UP_LIMIT
                    await calling.says("up", within)
                    await called.says("up", within)
                    await asyncio.sleep(SETTLE)
                    before = gateway.sample()
                    await asyncio.sleep(self.seconds)
                    after = gateway.sample()
                finally:
                    for peer in peers:
                        await peer.stop()
                (at_callers, late_callers), (at_agents, late_agents) = (
                    calling.results(),
                    called.results(),
                )
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
            Figure("frames that agents heard", sum(heard(call, *window) for call in at_agents)),
            Figure("lost or cut on the way to agents", gaps(at_agents, *window)),
            Figure("lost or cut on the way to callers", gaps(at_callers, *window)),
            Figure("memory per call", (after.memory - idle.memory) / self.calls / 1000, "KB"),
        ]


async def answer_calls(folder: Path, port: int, ports: list[int], seconds: float) -> Sipp:
    """Start SIPp: so many agents, whose audio comes to these ports."""
    stay = stays(len(ports), seconds)
    return await Sipp.start(
        Agent("stays").is_called().answers(sdp=AUDIO).talks(stay).is_hung_up_on(),
        folder,
        address=PBX,
        port=port,
        fields=[str(port) for port in ports],
        calls=len(ports),
        measure=True,
        run_limit=2 * stay,
    )


def heard(call: CallAudio, begin: float, end: float) -> int:
    """Frames that came whole between two times."""
    return sum(begin <= at <= end for at in call.times)


def gaps(calls: Sequence[CallAudio], begin: float, end: float) -> int:
    """Numbers that are missing between the first and the last one heard."""
    missing = 0
    for call in calls:
        numbers = [
            number
            for number, at in zip(call.numbers, call.times, strict=True)
            if begin <= at <= end
        ]
        if numbers:
            missing += (numbers[-1] - numbers[0]) % NUMBERS + 1 - len(numbers)
    return missing
