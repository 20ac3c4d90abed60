"""SRTP that fails authentication: the call hears none of it, and the operator hears of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from sip.softphone.tones import tone
from tests.e2e.bot import Conversation, ScriptedBot
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import CARRIER, STRANGER, World
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.rtp import FRAME, RtpSocket
from tests.peers.script import audio_at
from tests.peers.srtp import SrtpKey, SrtpSocket

SPEECH, AGAIN = 440, 880
"""Hz: what the caller says first, and in the end."""

SETTLED = 1.4
"""Seconds of speech after which old keys are no excuse any more."""

FORGED, REPLAYED = 20, 5
"""Packets."""

RTP = b"\x80\x00" + bytes(10) + bytes(FRAME) + bytes(10)
"""A packet that is authenticated by nothing."""

RTCP = b"\x80\xc8\x00\x06" + bytes(24) + b"\x80" + bytes(13)
"""A sender report likewise."""

STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
"""A binding request (RFC 8489 section 5)."""


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One whose trunk has SRTP, by keys over UDP."""
    settings = {"trunks": {"carrier": {"srtp": {"use": "required", "keys_in_clear": True}}}}
    yield from served(World(tmp_path_factory.mktemp("gateway"), settings=settings))


@dataclass
class Call:
    """A caller by hand, and the bot that hears it."""

    phone: SrtpSocket
    talk: Conversation
    gateway: tuple[str, int]
    """Where the caller's audio goes."""
    _api: Api
    _before: dict[str, float]

    async def says(self, hertz: int, seconds: float) -> None:
        await self.phone.say(tone(hertz, seconds), self.gateway)

    async def counted(self, **packets: int) -> None:
        """Wait until so many were counted in this call, by the metrics' names."""

        async def all_are() -> bool:
            after = await self._api.metrics()
            names = {f"switchhook_rtp_{name}_total": count for name, count in packets.items()}
            return all(after[name] - self._before[name] == names[name] for name in names)

        await network.until(all_are, f"counted are {packets}")


@asynccontextmanager
async def called(
    world: World, peer: StartPeer, bot: ScriptedBot, api: Api, key: SrtpKey
) -> AsyncIterator[Call]:
    """A call of somebody who offers a key, and sends by `key`. It is hung up in the end."""
    offered = key if key is not OTHER else SrtpKey()
    before = await api.metrics()
    async with SrtpSocket(CARRIER, key) as phone:
        sdp = audio_at(phone.port).replace("RTP/AVP", "RTP/SAVP")
        script = Caller("encrypts").dials(sdp=f"{sdp}\n{offered.line}").is_answered()
        async with await peer(
            script.is_hung_up_on(), address=CARRIER, gateway=world.address, number="100"
        ):
            talk = await bot.conversation()
            yield Call(phone, talk, await phone.spoken_to(), api, before)
            await talk.send("hangup")


OTHER = SrtpKey()
"""What nobody has offered."""


async def told(api: Api, name: str) -> list[dict[str, Any]]:
    """The last call's events of this name."""
    return [event for event in (await api.record())["timeline"] if event["name"] == name]


class TestAuthentication:
    """RFC 3711 section 3.3: what fails it is discarded, and the failure should be logged."""

    async def test_forged_packets_are_counted_and_told_once_and_the_call_goes_on(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        async with called(world, peer, bot, api, SrtpKey()) as call:
            await call.says(SPEECH, SETTLED)
            for _ in range(FORGED):
                call.phone.send_as_it_is(RTP, call.gateway)
            await call.counted(unauthenticated=FORGED, replayed=0, strangers=0, malformed=0)
            await call.says(AGAIN, 0.8)
            await call.talk.hears(AGAIN)
            for _ in range(FORGED):
                call.phone.send_as_it_is(RTP, call.gateway)
            await call.counted(unauthenticated=2 * FORGED, replayed=0, strangers=0, malformed=0)
        (event,) = await told(api, "media.unauthenticated")
        assert event["leg"] == "caller"
        assert event["source"] == f"{CARRIER}:{call.phone.port}"
        assert event["others_heard"] is True

    async def test_a_peer_with_another_key_is_not_heard_and_the_timeline_says_why(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        async with called(world, peer, bot, api, OTHER) as call:
            await call.says(SPEECH, SETTLED)
            await call.counted(unauthenticated=int(SETTLED / 0.02), replayed=0, malformed=0)
        assert call.talk.heard().seconds_of(SPEECH) == 0
        (event,) = await told(api, "media.unauthenticated")
        assert event["others_heard"] is False

    async def test_what_came_before_is_counted_by_itself_and_no_reason_to_worry(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        """PJSIP takes a packet again among the first hundred, and then no more."""
        async with called(world, peer, bot, api, SrtpKey()) as call:
            await call.says(SPEECH, 0.4)
            call.phone.send_as_it_is(call.phone.last, call.gateway)
            await call.says(SPEECH, 2.4)
            await call.counted(unauthenticated=0, replayed=0)
            for _ in range(REPLAYED):
                call.phone.send_as_it_is(call.phone.last, call.gateway)
            await call.counted(unauthenticated=0, replayed=REPLAYED)
        assert await told(api, "media.unauthenticated") == []

    async def test_rtcp_is_counted_and_says_nothing_of_the_audio(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        async with called(world, peer, bot, api, SrtpKey()) as call:
            await call.says(SPEECH, SETTLED)
            call.phone.send_as_it_is(RTCP, (call.gateway[0], call.gateway[1] + 1))
            await call.counted(unauthenticated=1, strangers=0, malformed=0)
        assert await told(api, "media.unauthenticated") == []

    async def test_what_is_no_srtp_at_all_is_malformed(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        async with called(world, peer, bot, api, SrtpKey()) as call:
            await call.says(SPEECH, SETTLED)
            for packet in (STUN, bytes(4), b"\x80", RTP[:12]):
                call.phone.send_as_it_is(packet, call.gateway)
            await call.counted(unauthenticated=0, strangers=0, malformed=4)
        assert await told(api, "media.unauthenticated") == []

    async def test_a_strangers_is_told_as_a_strangers(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        async with RtpSocket(STRANGER) as stranger:
            async with called(world, peer, bot, api, SrtpKey()) as call:
                await call.says(SPEECH, SETTLED)
                for _ in range(FORGED):
                    stranger.send_raw(RTP, call.gateway)
                stranger.send_raw(RTCP, (call.gateway[0], call.gateway[1] + 1))
                await call.counted(unauthenticated=0, strangers=FORGED + 1)
                await call.says(AGAIN, 0.8)
                await call.talk.hears(AGAIN)
            assert stranger.received == []
            assert await told(api, "media.unauthenticated") == []
            (event,) = await told(api, "media.refused")
            assert event["source"] == f"{STRANGER}:{stranger.address[1]}"
