"""From a bot's `transfer` to the INVITE or REFER on the wire.

One process is the callers, their bot and the PBX, so that the moments before and after are read
from one clock. Every second call is transferred by INVITE, the others by REFER; both are refused,
and the call ends.

The time is work and waiting for other work, so it shrinks with the machine's speed where as many
calls load both machines alike.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

import picows
import uvloop

from bench.bot_server import BotCall, listening
from bench.gateway import running, world
from bench.load import beside, raise_priority
from bench.measurement import Figure, percentile
from bench.sip_peer import SipPeer
from bench.yardstick import Speed
from tests.e2e.world import CARRIER, PBX
from tests.peers.network import PATIENCE

NUMBER = "700"
"""Leads to FLOW."""

NOBODY = 40_000
"""A port at which no caller listens: audio is not looked at."""

TALK = 0.3
"""Seconds that a caller talks to the bot before it decides."""

TAIL = 5.0
"""Seconds for the last calls to end."""

_END = {"default": {"end": True}}
FLOW = {
    "flow": "command",
    "start": "talk",
    "nodes": {
        "talk": {
            "type": "bot",
            "bot": "assistant",
            "transfer": {"sales": "by_invite", "outside": "by_refer"},
            "error": "over",
        },
        "by_invite": {"type": "agent_transfer", "target": "sales", "fallback": _END},
        "by_refer": {
            "type": "agent_transfer",
            "target": "outside",
            "method": "refer",
            "fallback": _END,
        },
        "over": {"type": "hangup"},
    },
}


@dataclass(frozen=True)
class TransferCommand:
    """The bot's decision carried out."""

    title: ClassVar[str] = "Transfer command to the wire"
    rate: int = 100
    """Calls begun in a second."""
    seconds: int = 20

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"{self.rate} calls/s for {self.seconds} s"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Let the calls be transferred, and compare the times."""
        by_invite, by_refer = await self._transferred(folder, self.rate)
        speed = await Speed.now(folder)
        fewer = speed.as_loaded(self.rate)
        invite_there, refer_there = await self._transferred(folder / "fewer", fewer)
        done = len(by_invite) + len(by_refer)
        return [
            Figure("to INVITE, p50", percentile(by_invite, 50) * 1000, "ms"),
            Figure("to INVITE, p99", percentile(by_invite, 99) * 1000, "ms", 5),
            Figure("to REFER, p50", percentile(by_refer, 50) * 1000, "ms"),
            Figure("to REFER, p99", percentile(by_refer, 99) * 1000, "ms", 5),
            Figure("not carried out", self.rate * self.seconds - done, "", 0),
            speed.figure,
            Figure("calls/s that are the load here that those were there", fewer),
            *(
                Figure(f"to {method}, p99, at those, and at that machine's speed", there, "ms", 5)
                for method, there in (
                    ("INVITE", speed.there(percentile(invite_there, 99) * 1000)),
                    ("REFER", speed.there(percentile(refer_there, 99) * 1000)),
                )
            ),
        ]

    async def _transferred(self, folder: Path, rate: int) -> tuple[list[float], list[float]]:
        """Seconds that each transfer took by INVITE, and by REFER, at so many calls a second."""
        made = world(folder, 6 * rate + 100, flows=(FLOW,), numbers={NUMBER: "command"})
        ports = made.pbx_port, made.bot_port
        async with (
            running(made) as gateway,
            beside(load, gateway.address, ports, rate, rate * self.seconds) as peers,
        ):
            by_invite, by_refer = await peers.found(self.seconds + TAIL + PATIENCE)
        return by_invite, by_refer


def load(
    gateway: tuple[str, int], ports: tuple[int, int], rate: int, calls: int, pipe: Connection
) -> None:
    """The process of callers, PBX and bot: `ready`, then the seconds that each transfer took, by
    INVITE and by REFER.

    `ports` are the PBX's and the bot's.
    """
    raise_priority()
    pbx_port, bot_port = ports

    async def run() -> None:
        decided: dict[str, float] = {}
        server = await listening(bot_port, lambda: _Decider(decided))
        trunk, pbx = SipPeer(CARRIER), SipPeer(PBX)
        await trunk.open()
        await pbx.open(pbx_port)
        pipe.send("ready")
        await trunk.calls(gateway, NUMBER, [NOBODY] * calls, rate)
        await asyncio.sleep(TAIL)
        server.close()
        pipe.send(
            tuple(
                [at - decided[call] for call, at in came.items() if call in decided]
                for came in (pbx.invited, trunk.referred)
            )
        )

    uvloop.run(run())


class _Decider(BotCall):
    def __init__(self, decided: dict[str, float]) -> None:
        self._decided = decided

    def on_start(self, transport: picows.WSTransport, caller: str) -> None:
        asyncio.get_running_loop().call_later(TALK, self._decide, transport, caller)

    def _decide(self, transport: picows.WSTransport, caller: str) -> None:
        target = "outside" if int(caller) % 2 else "sales"
        command = json.dumps({"type": "transfer", "target": target}).encode()
        self._decided[caller] = time.monotonic()
        transport.send(picows.WSMsgType.TEXT, command)
