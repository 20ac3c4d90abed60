"""A short run of the fuzzer (`make fuzz` is the long one): answered or dropped, never a crash.

The seed is fixed, so that a failure can be played again; FUZZ_SEED chooses another one, and
FUZZ_ROUNDS how many rounds there are.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from random import Random

import httpx
import pytest

from sip.message import Message
from tests.e2e.process import GatewayProcess
from tests.e2e.world import CARRIER, GATEWAY, PBX, STRANGER, World
from tests.fuzz.conversation import Dialog, strangers
from tests.fuzz.mutations import mutated
from tests.fuzz.wire import Wire
from tests.peers import network

SEED = int(os.environ.get("FUZZ_SEED", "4475"))
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "5"))

BATCH = 50
"""Messages between two looks whether the gateway still answers."""

LEGS = 500
"""At once: those that were tormented stay until their timers end them. A long run meets the limit,
and waits (`Dialog.begin`)."""

LEAVING = 60.0
"""Seconds until every call is over: a 200 without ACK is repeated for 32 s (RFC 3261 13.3.1.4)."""

NO_ROUTE, REFERRED, TO_SALES = "900", "300", "200"


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> Random:
    """A generator of the test's own."""
    return Random(f"{SEED} {request.node.name}")


def held(process: GatewayProcess) -> set[int | str]:
    """RTP ports that are open, and gauges that are not down to 0."""
    metrics = httpx.get(f"{process.world.api}/metrics").text.splitlines()
    lines = {f"switchhook_{what}_active" for what in ("calls", "legs", "bot_ports")}
    return {*process.footprint().rtp_ports} | {
        line for line in lines if f"{line} 0.0" not in metrics
    }


@pytest.fixture(scope="module")
def tormented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway that only this file uses; when all is over, it must have let go of everything."""
    folder = tmp_path_factory.mktemp("tormented")
    rtp = network.free_udp_range(GATEWAY, 2 * LEGS)
    world = World(folder, settings={"sip": {"max_calls": LEGS}}, rtp=rtp)
    world.write()
    process = GatewayProcess(world)
    process.start()
    try:
        before = process.footprint()
        yield world
        limit = time.monotonic() + LEAVING
        while still := held(process) - before.rtp_ports:
            assert time.monotonic() < limit, f"still held: {still}"
            time.sleep(network.LOOK_EVERY)
    finally:
        code = process.stop()
    assert code == 0, process.log_tail()
    assert process.faults_since(0) == []


class TestOutsideADialog:
    """RFC 3261 section 8.2: a user agent server takes no harm from what it does not understand."""

    @pytest.mark.parametrize("source", [CARRIER, STRANGER])
    async def test_mutated_requests(self, source: str, tormented: World, rng: Random) -> None:
        world = tormented
        async with (
            await Wire.open(source, world.address) as wire,
            await Wire.open(CARRIER, world.address) as witness,
        ):
            for _ in range(12 * ROUNDS):
                for _ in range(BATCH):
                    wire.send(strangers(wire, world.number(NO_ROUTE), rng))
                await witness.alive()

    async def test_noise(self, tormented: World, rng: Random) -> None:
        world = tormented
        async with await Wire.open(CARRIER, world.address) as wire:
            for _ in range(4 * ROUNDS):
                for _ in range(BATCH):
                    wire.send(rng.randbytes(rng.randint(1, 1500)))
                await wire.alive()


class TestInsideADialog:
    """RFC 3261 section 12.2.2: what comes in a dialog is checked as well."""

    async def test_mutated_requests_and_responses_to_a_refer(
        self, tormented: World, rng: Random
    ) -> None:
        world = tormented
        for _ in range(6 * ROUNDS):
            async with await Wire.open(CARRIER, world.address) as wire:
                dialog = await Dialog.begin(wire, world.number(REFERRED))

                def answer(request: Message, dialog: Dialog = dialog) -> None:
                    if request.method != "ACK":
                        dialog.reply(request, rng if request.method == "REFER" else None)

                wire.on_request = answer
                for _ in range(BATCH):
                    wire.send(dialog.harm(rng))
                await wire.alive()
                dialog.end()
                await wire.alive()

    async def test_mutated_answers_of_the_agent(self, tormented: World, rng: Random) -> None:
        world = tormented
        for _ in range(6 * ROUNDS):
            async with (
                await Wire.open(CARRIER, world.address) as wire,
                await Wire.open(PBX, world.address, world.pbx_port) as agent,
            ):
                dialog = await Dialog.begin(wire, world.number(TO_SALES))
                at_agent = Dialog(agent, "", "", "", "", 0)

                def answer(request: Message, at_agent: Dialog = at_agent) -> None:
                    if request.method == "INVITE":
                        for _ in range(3):
                            at_agent.reply(request, rng)
                    elif request.method != "ACK":
                        at_agent.reply(request)

                agent.on_request = answer
                wire.on_request = dialog.reply
                await agent.until(agent.heard_something, "the agent is called")
                await wire.alive()
                dialog.end()
                await wire.alive()


class TestMedia:
    """RFC 3550 appendix A.1: a receiver checks before it believes."""

    async def test_mutated_rtp_and_rtcp(self, tormented: World, rng: Random) -> None:
        world = tormented
        rtp = bytes.fromhex("8000000100000 0a05117c400".replace(" ", "")) + bytes(160)
        digit = bytes.fromhex("80e50002000000a05117c400") + b"\x05\x8a\x03\x20"
        report = bytes.fromhex("80c80006 5117c400 e0000000 00000000 000000a0 00000001 000000a0")
        goodbye = bytes.fromhex("81cb0001 5117c400")
        async with await Wire.open(CARRIER, world.address) as wire:
            dialog = await Dialog.begin(wire, world.number(TO_SALES))
            wire.on_request = dialog.reply
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
                source.bind((CARRIER, 0))
                for _ in range(400 * ROUNDS):
                    packet = mutated(rng.choice((rtp, digit)), rng)
                    source.sendto(packet, (world.address[0], dialog.rtp_port))
                    packet = mutated(rng.choice((report, goodbye)), rng)
                    source.sendto(packet, (world.address[0], dialog.rtp_port + 1))
            await wire.alive()
            dialog.end()
            await wire.alive()
