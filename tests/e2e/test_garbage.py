"""A flood of what is neither SIP nor RTP: counted, told now and then, and never a line for each.

Whoever can send packets must not be able to fill the disk with the log.
"""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.process import GatewayProcess, served
from tests.e2e.world import CARRIER, World
from tests.fuzz.conversation import SDP_TYPE, Dialog
from tests.fuzz.wire import Wire
from tests.peers import network

FLOOD = 2000
BATCH = 20
"""Packets between two looks whether the gateway has taken them: no socket's buffer overflows."""

NOBODY_KNOWS = "900"
RINGS = "200"

BURST = 5
"""Lines of one kind that PJSIP may have at once; then one a minute (sip/native/log.c)."""

TOLD = 8
"""Sources in one report (sip/native/malformed.c)."""


@pytest.fixture
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway of the test's own, whose log begins empty."""
    world = World(tmp_path_factory.mktemp("flooded"))
    yield from served(world)


def metric(process: GatewayProcess, name: str) -> float:
    samples = httpx.get(f"{process.world.api}/metrics").text.splitlines()
    return float(next(line.split()[1] for line in samples if line.startswith(f"{name} ")))


def log_of(process: GatewayProcess, event: str) -> list[dict[str, Any]]:
    """Lines of this event; every line is one JSON object."""
    lines = [json.loads(line) for line in process.log_since(0)]
    return [line for line in lines if line["event"] == event]


async def flood(wire: Wire, packets: Iterator[bytes]) -> None:
    for number, packet in enumerate(packets, 1):
        wire.send(packet)
        if number % BATCH == 0:
            await wire.alive()
    await wire.alive()


class TestSip:
    """RFC 3261 section 16.3: what cannot be parsed may be dropped."""

    async def test_what_cannot_be_read_is_counted_and_told_by_its_source(
        self, flooded: GatewayProcess
    ) -> None:
        world = flooded.world
        async with await Wire.open(CARRIER, world.address) as wire:
            whole = wire.request("OPTIONS", world.number(NOBODY_KNOWS)).decode()
            headless = whole.replace("Call-ID", "Nothing").replace("CSeq", "None").encode()
            await flood(wire, (headless for _ in range(FLOOD)))
            broken = whole.replace("Via: SIP", "Via: <\x1b[31m").encode()
            await flood(wire, (broken for _ in range(FLOOD)))
        assert metric(flooded, "switchhook_wire_malformed_total") == 2 * FLOOD
        assert flooded.stop() == 0
        told = log_of(flooded, "malformed packets")
        assert {line["source"] for line in told} == {f"udp {CARRIER}"}
        assert sum(line["packets"] for line in told) == 2 * FLOOD
        assert told[0]["reason"] == "missing: Call-ID CSeq"
        assert len(told) <= 2, "at once, and at the stop"
        assert log_of(flooded, "PJSIP complains") == []

    async def test_many_sources_are_told_together(self, flooded: GatewayProcess) -> None:
        world = flooded.world
        hosts = [f"127.0.1.{last}" for last in range(1, 101)]
        async with await Wire.open(CARRIER, world.address) as wire:
            for host in hosts:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
                    source.bind((host, 0))
                    for _ in range(BATCH):
                        source.sendto(b"\xff" * 64, world.address)
                await wire.alive()
        assert metric(flooded, "switchhook_wire_malformed_total") == BATCH * len(hosts)
        assert flooded.stop() == 0
        told = Counter[str]()
        for line in log_of(flooded, "malformed packets"):
            told[line["source"]] += line["packets"]
        assert told.total() == BATCH * len(hosts)
        assert told["others"] > 0
        assert len(log_of(flooded, "malformed packets")) <= 2 * (TOLD + 1)

    async def test_what_pjsip_complains_of_is_told_a_few_times(
        self, flooded: GatewayProcess
    ) -> None:
        world = flooded.world
        async with await Wire.open(CARRIER, world.address) as wire:
            for _ in range(FLOOD // BATCH):
                for _ in range(BATCH):
                    wire.ask("INVITE", world.number(NOBODY_KNOWS), SDP_TYPE, body="v=\x1b[31m\r\n")
                await wire.alive()
        complaints = log_of(flooded, "PJSIP complains")
        assert metric(flooded, "switchhook_pjsip_lines_total") >= FLOOD
        kinds = Counter(line["text"].split()[0] for line in complaints)
        assert kinds, "nothing was told at all"
        assert max(kinds.values()) <= BURST + 1
        assert {line["source"] for line in complaints} == {CARRIER}
        assert not any("\x1b" in line["text"] for line in complaints)


class TestMedia:
    """RFC 3550 appendix A.1 and A.2: a receiver checks before it believes."""

    async def test_what_is_neither_rtp_nor_rtcp_is_counted(self, flooded: GatewayProcess) -> None:
        world = flooded.world
        noise = [
            b"\x00" * 160,  # version 0
            b"\x80\x00",  # no whole header
            b"\x8f\x00" + bytes(12),  # CSRCs that are not there
            b"\x90\x00" + bytes(10) + b"\x00\x00\xff\xff",  # an extension that ends elsewhere
        ]
        reports = [
            b"\x00\xc8\x00\x06" + bytes(24),  # version 0
            b"\x80\xc8\x00",  # no whole header
            b"\x80\xc8\xff\xff" + bytes(24),  # a length beyond the packet
            b"\x8f\xca\x40\x00" + bytes(24),
        ]
        async with await Wire.open(CARRIER, world.address) as wire:
            dialog = await Dialog.begin(wire, world.number(RINGS))
            wire.on_request = dialog.reply
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
                source.bind((CARRIER, 0))
                for sent in range(BATCH, FLOOD // 5 + 1, BATCH):
                    for _ in range(BATCH // len(noise)):
                        for packet in noise:
                            source.sendto(packet, (world.address[0], dialog.rtp_port))
                        for packet in reports:
                            source.sendto(packet, (world.address[0], dialog.rtp_port + 1))

                    def counted(packets: int = 2 * sent) -> bool:
                        return metric(flooded, "switchhook_rtp_malformed_total") == packets

                    await network.until(counted, f"{2 * sent} packets are counted")

            assert metric(flooded, "switchhook_rtp_strangers_total") == 0
            dialog.end()
            await wire.alive()
        assert log_of(flooded, "PJSIP complains") == []
        assert log_of(flooded, "malformed packets") == []
