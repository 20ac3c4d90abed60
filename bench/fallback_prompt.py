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

from bench.gateway import running, world
from bench.load import beside, raise_priority
from bench.measurement import Figure, percentile
from bench.rtp_load import HEADER
from bench.sip_peer import SipPeer
from bench.talking import AGENT_NUMBER
from tests.e2e.world import ANSWER_LIMIT, CARRIER, PBX
from tests.peers.network import PATIENCE

BUSY_AFTER = 1.8
"""Seconds: after the ringback's tone (1 s), before the agent's time is up."""

TAIL = BUSY_AFTER + ANSWER_LIMIT
"""Seconds for the last calls to end."""

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
        async with (
            running(world(folder, 2 * calls + 50)) as gateway,
            beside(load, gateway.address, gateway.pbx_port, self.rate, calls) as peers,
        ):
            took = await peers.found(self.seconds + TAIL + PATIENCE)
        return [
            Figure("p50", percentile(took, 50) * 1000, "ms"),
            Figure("p95", percentile(took, 95) * 1000, "ms", 80),
            Figure("prompts not heard", calls - len(took), "", 0),
        ]


def load(gateway: tuple[str, int], pbx_port: int, rate: int, calls: int, pipe: Connection) -> None:
    """The process of callers and PBX: `ready`, then the seconds that each prompt took."""
    raise_priority()

    async def run() -> None:
        trunk, pbx = SipPeer(CARRIER), SipPeer(PBX, BUSY_AFTER)
        await trunk.open()
        await pbx.open(pbx_port)
        heard: dict[str, float] = {}
        sockets = [_ear(str(call), pbx, heard) for call in range(calls)]
        pipe.send("ready")
        await trunk.calls(gateway, AGENT_NUMBER, [sock.getsockname()[1] for sock in sockets], rate)
        await asyncio.sleep(TAIL)
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
        if call in pbx.refused and call not in heard and packet[HEADER.size :].strip(QUIET):
            heard[call] = now

    asyncio.get_running_loop().add_reader(sock.fileno(), receive)
    return sock
