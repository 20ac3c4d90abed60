"""Peers whose RTP packets are not numbered one by one are heard all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.numbered import mulaw_frame, numbers_of_pcm
from tests.e2e.bot import Conversation, ScriptedBot
from tests.e2e.conftest import StartPeer
from tests.e2e.parties import joined, media
from tests.e2e.process import Api
from tests.e2e.world import CARRIER, World
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.rtp import RtpSocket
from tests.peers.script import audio_at

FIRST, THEN = range(50), range(200, 300)
"""Frames that a caller says. Their numbers are in the sound: those of the packets are others."""

ENOUGH = 0.8
"""Of these, heard whole: what the machine holds up is concealed."""

NUMBERS, SAMPLES = 20_000, 12_345_678
"""By how much another source is ahead of the first one."""


@asynccontextmanager
async def called(
    world: World, peer: StartPeer, bot: ScriptedBot
) -> AsyncIterator[tuple[RtpSocket, tuple[str, int], Conversation]]:
    """A caller by hand, where its audio goes, and the bot that hears it."""
    async with RtpSocket(CARRIER) as phone:
        script = Caller("counts").dials(sdp=audio_at(phone.port)).is_answered().is_hung_up_on()
        async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
            talk = await bot.conversation()
            yield phone, await phone.spoken_to(), talk
            await talk.send("hangup")


async def heard(talk: Conversation, frames: range) -> None:
    """Wait until the bot has heard these, but for a few."""

    def enough() -> bool:
        came = set(numbers_of_pcm(bytes(talk.audio))) & set(frames)
        return len(came) >= ENOUGH * len(frames)

    await network.until(enough, f"frames from {frames.start} on are heard")


@pytest.mark.parametrize("step", [2, 3])
class TestPackets:
    """RFC 3550 appendix A.1 wants two that follow each other, lest a stray one is believed.

    Here signalling says whom to believe.
    """

    async def test_are_heard_from_the_first_one_on(
        self, step: int, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        async with called(world, peer, bot) as (phone, gateway, talk):
            phone.step = step
            await phone.stream(map(mulaw_frame, THEN), gateway)
            await heard(talk, THEN)

    async def test_are_heard_after_another_source_has_taken_over(
        self, step: int, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        async with called(world, peer, bot) as (phone, gateway, talk):
            await phone.stream(map(mulaw_frame, FIRST), gateway)
            await heard(talk, FIRST)
            phone.change(phone.ssrc + 1, NUMBERS, SAMPLES)
            phone.step = step
            await phone.stream(map(mulaw_frame, THEN), gateway)
            await heard(talk, THEN)

    async def test_are_passed_on(self, step: int, world: World, api: Api, peer: StartPeer) -> None:
        async with joined(world, api, peer, step=step) as talk:
            await talk.agent.hears(untouched=True, packets=20)
            await talk.caller.hears(untouched=True, packets=20)
        caller, _ = media(await api.record())
        assert caller["rx_discarded"] == 0
