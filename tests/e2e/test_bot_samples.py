"""A bot that takes G.711: the caller's codes reach it as they are, and its own the caller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sip.audio import Pcm
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartGateway, StartPeer
from tests.e2e.world import CARRIER, World
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.rtp import FRAME, RATE, RtpSocket, mulaw
from tests.peers.script import audio_at

SECONDS = 2
ENOUGH = 0.8
"""Share of the packets that must come through whole: a jitter buffer may cut one to catch up."""


@pytest.fixture
def world(tmp_path: Path, start_gateway: StartGateway) -> World:
    """A gateway whose bot takes mu-law."""
    settings = {"bots": {"assistant": {"samples": "pcmu"}}}
    world = World(tmp_path / "gateway", settings=settings)
    start_gateway(world)
    return world


async def test_the_codes_of_the_packets_reach_the_bot_and_come_back(
    world: World, bot: ScriptedBot, peer: StartPeer
) -> None:
    """G.711 (RFC 3551 section 4.5.14) is decoded and encoded on the way, without a loss."""
    noise = np.random.default_rng(1).integers(-8000, 8000, SECONDS * RATE, dtype=np.int16)
    codes = mulaw(noise)
    packets = [codes[at : at + FRAME] for at in range(0, len(codes), FRAME)]
    async with RtpSocket(CARRIER) as phone:
        script = Caller("speaks mu-law").dials(sdp=audio_at(phone.port)).is_answered()
        async with await peer(
            script.is_hung_up_on(), address=CARRIER, gateway=world.address, number="100"
        ):
            talk = await bot.conversation()
            assert talk.start["audio"]["encoding"] == "pcmu"
            talk.echo = True
            gateway = await phone.spoken_to()
            await phone.say(Pcm(noise.astype("<i2").tobytes(), RATE), gateway)

            def whole(heard: bytes) -> float:
                return sum(packet in heard for packet in packets) / len(packets)

            await network.until(lambda: whole(bytes(talk.audio)) >= ENOUGH, "the bot has the codes")
            await network.until(
                lambda: whole(b"".join(packet[12:] for packet in phone.received)) >= ENOUGH,
                "the caller has them back",
            )
            assert talk.frame_sizes == {FRAME}
            await talk.send("hangup")
