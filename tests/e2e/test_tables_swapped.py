"""The native tables are replaced whole while calls come and audio flows.

The gate's belong to the loop's thread alone, as everything of SIP does: a swap falls between two
requests. Those of the audio are read on PJSIP's media thread. tests/e2e/test_sanitized.py runs this
file with both watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from sip.agent import SipAgent
from sip.gate import Gate
from sip.leg import Leg
from sip.pjsip import native
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.rtp import RtpSocket
from tests.peers.sipp import Sipp

GATEWAY, TRUNK = "127.0.0.1", "127.0.0.2"
CALLS, RATE = 80, 40

SWAP_EVERY = 0.003
"""Seconds: many swaps between two calls, and some within one."""

OTHERS = [f"10.{second}.{third}.0/24" for second in range(3) for third in range(100)]
"""Networks that no call comes from; a table with them is another piece of memory."""


def settings(port: int, rtp: tuple[int, int], *more: str) -> Settings:
    sip: dict[str, Any] = {
        "listen": [{"address": GATEWAY, "port": port}],
        "rtp": {"address": GATEWAY, "first_port": rtp[0], "last_port": rtp[1]},
        "max_calls": CALLS,
    }
    trunk = {
        "sources": [f"{TRUNK}/32", *more],
        "proxy": f"sip:{TRUNK}",
        "routes": [{"flow": "any"}],
    }
    return Settings.model_validate({"sip": sip, "trunks": {"trunk": trunk}})


class Line:
    """An agent that answers whoever calls, while its tables are replaced again and again."""

    def __init__(self, port: int, rtp: tuple[int, int]) -> None:
        self.agent = SipAgent(settings(port, rtp))
        self.address = (GATEWAY, port)
        self.rtp_ports = range(*rtp, 2)
        self.legs: list[Leg] = []
        self.swaps = 0
        self.draining = False
        self._longer = settings(port, rtp, *OTHERS)
        self._before = asdict(self.agent.counters())

    async def answer_all(self) -> None:
        async for leg in self.agent.inbound():
            self.legs.append(leg)
            await leg.answer()

    async def swap_all(self) -> None:
        plain = self.agent._gate
        longer = Gate(self._longer, plain.accounts, plain.addresses)
        while True:
            for gate in (longer, plain):
                gate.replace(draining=self.draining)
                native.rtp_replace(gate.sources)
                self.swaps += 1
                await asyncio.sleep(SWAP_EVERY)

    def judged(self) -> dict[str, int]:
        """What the gate has admitted and refused since the start, by counter."""
        now = asdict(self.agent.counters())
        grown = {name: now[name] - self._before[name] for name in now if name.startswith("gate_")}
        return {name: count for name, count in grown.items() if count}


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line(network.free_port(GATEWAY), network.free_udp_range(GATEWAY, 4 * CALLS))
    await line.agent.start()
    tasks = [asyncio.create_task(each) for each in (line.answer_all(), line.swap_all())]
    try:
        yield line
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await line.agent.stop()


async def test_every_good_call_is_taken(line: Line, tmp_path: Path) -> None:
    script = Caller("good calls").dials().is_answered().talks(0.3).hangs_up()
    async with (
        RtpSocket(TRUNK) as sender,
        await Sipp.start(
            script,
            tmp_path,
            address=TRUNK,
            gateway=line.address,
            number="100",
            calls=CALLS,
            rate=RATE,
        ) as sipp,
    ):
        while not sipp.ended:
            for port in line.rtp_ports[:CALLS]:
                sender.send(bytes(160), (GATEWAY, port))
            await asyncio.sleep(0.02)
    assert line.judged() == {"gate_admitted": CALLS}
    assert line.swaps > CALLS // 2


async def test_draining_spares_who_is_talking_and_refuses_who_comes(
    line: Line, tmp_path: Path
) -> None:
    talking = Caller("talking").dials().is_answered().talks(2.5).hangs_up()
    late = Caller("late").dials().is_refused(503, {"Retry-After": "5"})
    (tmp_path / "late").mkdir()
    async with await Sipp.start(
        talking, tmp_path, address=TRUNK, gateway=line.address, number="100", calls=10, rate=RATE
    ):
        await network.until(lambda: len(line.legs) == 10, "all ten talk")
        line.draining, swaps = True, line.swaps
        await network.until(lambda: line.swaps > swaps + 1, "the gate drains")
        async with await Sipp.start(
            late,
            tmp_path / "late",
            address=TRUNK,
            gateway=line.address,
            number="100",
            calls=40,
            rate=RATE,
        ):
            pass
    assert line.judged() == {"gate_admitted": 10, "gate_refused_draining": 40}
