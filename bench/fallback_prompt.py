"""From the agent's refusal to the first packet of the prompt that tells the caller.

One process is the callers with their audio and the PBX, so that both moments are read from one
clock. The agent rings through the tone of the ringback, and refuses in its pause: the next packet
that is not silence is the prompt's.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

import uvloop

from bench.gateway import START_LIMIT, beside, running, world
from bench.measurement import Figure
from bench.rtp_load import raise_priority
from bench.sip_peer import SipPeer
from bench.table import percentile
from tests.e2e.world import ANSWER_LIMIT, CARRIER, GATEWAY, PBX

NUMBER = "200"
"""Leads straight to an agent; each failure has a prompt of its own."""

BUSY_AFTER = 1.8
"""Seconds: after the ringback's tone (1 s), before the agent's time is up."""

TAIL = BUSY_AFTER + ANSWER_LIMIT
"""Seconds for the last calls to end."""

RTP_HEADER = 12
QUIET = bytes((0xFF, 0x7F, 0xFE, 0x7E, 0xFD, 0x7D))
"""Silence in mu-law, and what a resampler makes of it."""


@dataclass(frozen=True)
class FallbackPrompt:
    """The caller hears that the transfer has failed."""

    title: ClassVar[str] = "Final response to error prompt"
    rate: int = 10
    """Calls begun in a second."""
    seconds: int = 20

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"{self.rate} calls/s for {self.seconds} s"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Let the transfers fail, and compare the times."""
        calls = self.rate * self.seconds
        made = world(folder, 2 * calls + 50)
        with beside(load, made.port, made.pbx_port, self.rate, calls) as peers:
            await peers.says("ready", START_LIMIT)
            async with running(made):
                peers.pipe.send("go")
                await peers.says("done", self.seconds + TAIL + START_LIMIT)
                took = peers.results()
        return [
            Figure("p50", percentile(took, 50) * 1000, "ms"),
            Figure("p95", percentile(took, 95) * 1000, "ms", 80),
            Figure("prompts not heard", calls - len(took), "", 0),
        ]


def load(port: int, pbx_port: int, rate: int, calls: int, pipe: Connection) -> None:
    """The process of callers and PBX; sends the seconds that each prompt took."""
    raise_priority()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        trunk, pbx = SipPeer(CARRIER), SipPeer(PBX, BUSY_AFTER)
        await trunk.open()
        await pbx.open(pbx_port)
        heard: dict[str, float] = {}
        sockets = [_ear(str(call), pbx, heard) for call in range(calls)]
        pipe.send("ready")
        await loop.run_in_executor(None, pipe.recv)
        begin = loop.time()
        for call, sock in enumerate(sockets):
            await asyncio.sleep(max(0.0, begin + call / rate - loop.time()))
            trunk.call((GATEWAY, port), NUMBER, str(call), sock.getsockname()[1])
        await asyncio.sleep(TAIL)
        pipe.send("done")
        await loop.run_in_executor(None, pipe.recv)
        pipe.send([at - pbx.refused[call] for call, at in heard.items()])

    uvloop.run(run())


def _ear(call: str, pbx: SipPeer, heard: dict[str, float]) -> socket.socket:
    """A caller's RTP socket; notes the first sound after the refusal."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((CARRIER, 0))
    sock.setblocking(False)

    def receive() -> None:
        now = time.monotonic()
        packet = sock.recv(2048)
        if call in pbx.refused and call not in heard and packet[RTP_HEADER:].strip(QUIET):
            heard[call] = now

    asyncio.get_running_loop().add_reader(sock.fileno(), receive)
    return sock
