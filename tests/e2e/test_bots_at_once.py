"""Many bots at once: what one of them does is nothing to the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.e2e.bot import Conversation, ScriptedBot
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.world import CARRIER, World
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.rtp import FRAME, RtpSocket
from tests.peers.script import audio_at

FRAME_BYTES = 2 * FRAME
"""A frame at the bot."""

MANY = 20
"""Calls at once."""

UNREAD = 600
"""Frames, 12 s: more than the kernel's buffers and the gateway's outbox hold together."""

CALL_LIMIT = 80.0
"""Seconds that a call may last."""

ON_THE_WAY = 25
"""Frames that were played to a bot and have not reached it."""

SILENCES = {0xFF, 0x7F, 0xFE, 0x7E, 0xD5, 0x55}
"""What silence is in G.711."""


@asynccontextmanager
async def calls(
    world: World, peer: StartPeer, bot: ScriptedBot, count: int
) -> AsyncIterator[tuple[list[RtpSocket], list[Conversation]]]:
    """So many callers, each in conversation; the test hangs up."""
    async with AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(RtpSocket(CARRIER)) for _ in range(count)]
        script = Caller("is one of many").dials(sdp=audio_at("[field0]"))
        await stack.enter_async_context(
            await peer(
                script.is_answered().is_hung_up_on(),
                address=CARRIER,
                gateway=world.address,
                number="100",
                calls=count,
                rate=50,
                fields=[str(phone.port) for phone in phones],
                receive_limit=CALL_LIMIT,
                run_limit=CALL_LIMIT,
            )
        )
        yield phones, [await bot.conversation() for _ in phones]


class TestABotThatDoesNotRead:
    """Back-pressure ends at its own connection."""

    async def test_loses_its_oldest_frames_and_costs_no_other_bot_any(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        async with calls(world, peer, bot, 2) as (_, (slow, quick)):
            slow.reading.clear()
            # To ask takes a while, in which frames come: so many before it, and so many after.
            before, ticks, after = heard(quick), await played(api), heard(quick)
            await network.until(
                lambda: heard(quick) >= after + UNREAD, "the quick one", within=4 * UNREAD / 50
            )
            least, ticks = heard(quick) - after, await played(api) - ticks
            assert least - ON_THE_WAY <= ticks <= heard(quick) - before + ON_THE_WAY
            slow.reading.set()
            for talk in (slow, quick):
                await talk.send("hangup")
                await talk.expect("stop")
        assert await dropped(api, slow) > 0
        assert await dropped(api, quick) == 0


def heard(talk: Conversation) -> int:
    """Frames that a bot has got."""
    return len(talk.audio) // FRAME_BYTES


async def played(api: Api) -> float:
    """Frames that each bot should have had since the gateway's start."""
    return (await api.metrics())["switchhook_clock_ticks_total"]


async def dropped(api: Api, talk: Conversation) -> int:
    """Frames that this bot never got, as its call's timeline tells."""
    detail = (await api.get(f"/v1/calls/{talk.start['call_id']}")).json()
    (end,) = (event for event in detail["timeline"] if event["name"] == "bot.disconnected")
    return int(end.get("frames_dropped", 0))


class TestAllConnectionsLostAtOnce:
    """A bot's server restarts with everybody on the line."""

    async def test_every_caller_hears_music_and_talks_on_after_it(
        self, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        async with calls(world, peer, bot, MANY) as (phones, talks):
            lost = {talk.start["call_id"] for talk in talks}
            before = [len(phone.received) for phone in phones]
            await asyncio.gather(*(talk.break_off() for talk in talks))
            again = [await bot.conversation() for _ in talks]
            assert all(talk.start["reconnected"] for talk in again)
            assert {talk.start["call_id"] for talk in again} == lost
            for phone, since in zip(phones, before, strict=True):
                await network.until(
                    lambda phone=phone, since=since: any(map(sounds, phone.received[since:])),  # type: ignore[misc]
                    "music is heard",
                )
            for talk in again:
                await talk.send("hangup")


def sounds(packet: bytes) -> bool:
    """Whether an RTP packet is anything but silence."""
    return not SILENCES.issuperset(packet[12:])
