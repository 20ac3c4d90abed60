"""What a jitter buffer costs a caller whose packets are regular, and one whose clock is not ours.

The caller here sends by the gateway's own clock: a packet for each frame that reaches the bot. So a
machine that is busy with something else changes nothing about who is faster.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.numbered import Reader, mulaw_frame
from tests.e2e.bot import Conversation, ScriptedBot
from tests.e2e.conftest import StartPeer
from tests.e2e.world import CARRIER, World
from tests.peers.caller import Caller
from tests.peers.rtp import RtpSocket
from tests.peers.script import audio_at

FRAME_BYTES = 320
"""Of 20 ms at the bot."""

CALL_LIMIT = 30.0
"""Seconds that a call may last."""

LATE = (40, 110, 180)
"""Packets that come a tick late, with the next. The buffer holds 20 ms more from then on; one that
would rather be short cuts them out within two seconds."""

SPOILT = 2
"""Frames beside the gaps, whose beginning is blended with what was made up."""

FASTER = 25
"""With every so many packets goes another: a clock that is 4 % faster."""


class NumberedCaller:
    """Sends numbered packets, and follows their way to the bot."""

    def __init__(self, phone: RtpSocket, gateway: tuple[str, int], talk: Conversation) -> None:
        self.sent = 0
        self.heard: list[int] = []
        """The numbers that reached the bot, in order."""
        self.late = 0
        """Frames that this test did not follow in time, so that its own packets came in a burst."""
        self._phone = phone
        self._gateway = gateway
        self._talk = talk
        self._reader = Reader()
        self._read = 0

    @property
    def waiting(self) -> int:
        """Packets between this caller and the bot."""
        return self.sent - (self.heard[-1] + 1 if self.heard else 0)

    @property
    def lost(self) -> int:
        """Numbers left out of what the bot heard."""
        return self.heard[-1] - self.heard[0] + 1 - len(self.heard)

    async def frame(self) -> None:
        """The next 20 ms at the bot."""
        end = self._read + FRAME_BYTES
        async with asyncio.timeout(5):
            while len(self._talk.audio) < end:
                self._talk.more_audio.clear()
                await self._talk.more_audio.wait()
        if len(self._talk.audio) >= end + 2 * FRAME_BYTES:
            self.late += 1
        found = self._reader.pcm(bytes(self._talk.audio[self._read : end]), 0.0)
        if found and found[0] < self.sent:
            self.heard.append(found[0])
        elif found:  # no number: where speech begins after silence there can be anything
            self._reader = Reader()
        self._read = end

    def send(self, packets: int = 1) -> None:
        """So many, at once."""
        for _ in range(packets):
            self._phone.send(mulaw_frame(self.sent), self._gateway)
            self.sent += 1


@asynccontextmanager
async def numbered(
    world: World, peer: StartPeer, bot: ScriptedBot
) -> AsyncIterator[NumberedCaller]:
    """A caller in conversation, who has sent nothing yet."""
    async with RtpSocket(CARRIER) as phone:
        script = Caller("counts").dials(sdp=audio_at(phone.port)).is_answered().is_hung_up_on()
        where = {"address": CARRIER, "gateway": world.address, "number": "100"}
        async with await peer(script, receive_limit=CALL_LIMIT, **where):
            talk = await bot.conversation()
            yield NumberedCaller(phone, await phone.spoken_to(), talk)
            await talk.send("hangup")


class TestAJitterBuffer:
    """It waits for what comes late, and gives up nothing without need."""

    async def test_loses_nothing_of_a_packet_that_came_behind_its_tick(
        self, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        """20 ms of delay more are not worth cutting 20 ms out."""
        async with numbered(world, peer, bot) as caller:
            for frame in range(300):
                await caller.frame()
                caller.send(0 if frame in LATE else 2 if frame - 1 in LATE else 1)
            assert caller.lost <= SPOILT + 2 * caller.late

    async def test_does_not_grow_with_a_clock_that_is_faster_than_ours(
        self, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        """Twelve packets more in six seconds than are played."""
        async with numbered(world, peer, bot) as caller:
            waiting = []
            for frame in range(300):
                await caller.frame()
                caller.send(2 if frame % FASTER == 0 else 1)
                waiting.append(caller.waiting)
            assert min(waiting[-50:]) <= 8
