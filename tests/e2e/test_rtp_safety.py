"""Audio from somebody else: what a stranger's RTP does to a call, which is nothing."""

from __future__ import annotations

import asyncio
import struct
from itertools import count
from pathlib import Path

import pytest

from sip.softphone.tones import tone
from tests.e2e.bot import Conversation, ScriptedBot
from tests.e2e.conftest import StartGateway, StartPeer
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.world import CARRIER, PBX, STRANGER, World
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.caller import Caller
from tests.peers.rtp import FRAME, RtpSocket
from tests.peers.script import audio_at
from tests.peers.standstill import standstill

SPEECH, THEFT, AGAIN = 440, 1320, 880
"""Hz: what the caller says, what the stranger says, what the caller says afterwards."""

KEYS = 100
"""Pressed; a burst of 30 is told whenever it comes."""

TELEPHONE_EVENT = 101
"""Its payload type in the caller's SDP."""

USUAL, FLOODING, MEANWHILE = b"\x7f", b"\x11", b"\x22"
"""Bytes of G.711. An encoder makes no frame of the first one, so that it was passed on."""

FLOOD = 100
"""Packets, which the buffer of a socket has room for."""

SPRAYED = 8
"""Packets in one burst; stock PJSIP follows any source after ten."""


class TestAStranger:
    """RFC 3550 has no say in who sends; RFC 4961 sends back to whoever does. We ask signalling."""

    async def test_gets_not_a_byte_and_is_not_heard(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        before = (await api.metrics())["switchhook_rtp_strangers_total"]
        async with RtpSocket(CARRIER) as phone, RtpSocket(STRANGER) as stranger:
            script = Caller("talks").dials(sdp=audio_at(phone.port)).is_answered().is_hung_up_on()
            async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
                talk = await bot.conversation()
                gateway = await phone.spoken_to()
                speaking = asyncio.create_task(phone.say(tone(SPEECH, 1.5), gateway))
                await talk.hears(SPEECH)
                for _ in range(SPRAYED):
                    stranger.send(bytes(FRAME), gateway)
                await stranger.say(tone(THEFT, 0.6), gateway)
                await speaking
                # The caller is silent now: stock PJSIP would follow the stranger.
                await stranger.say(tone(THEFT, 1.5), gateway)
                await phone.say(tone(AGAIN, 0.8), gateway)
                await talk.hears(AGAIN)
                await talk.send("hangup")
        assert stranger.received == []
        assert talk.heard().seconds_of(THEFT) == 0
        timeline = (await api.record())["timeline"]
        refused = [event for event in timeline if event["name"] == "media.refused"]
        assert [event["source"] for event in refused] == [f"{STRANGER}:{stranger.address[1]}"]
        after = (await api.metrics())["switchhook_rtp_strangers_total"]
        assert after - before >= SPRAYED + 100

    async def test_does_not_win_by_being_first(
        self, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        async with RtpSocket(CARRIER) as phone, RtpSocket(STRANGER) as stranger:
            script = Caller("is late").dials(sdp=audio_at(phone.port)).is_answered().is_hung_up_on()
            async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
                talk = await bot.conversation()
                gateway = await phone.spoken_to()
                await stranger.say(tone(THEFT, 0.6), gateway)
                await phone.say(tone(SPEECH, 0.8), gateway)
                await talk.hears(SPEECH)
                await talk.send("hangup")
        assert stranger.received == []
        assert talk.heard().seconds_of(THEFT) == 0

    async def test_breaks_nothing_with_malformed_packets(
        self, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        """RFC 3550 appendix A.1: wrong version, cut off, lying about its extension or padding."""
        malformed = [
            b"",
            b"\x80",
            bytes(12),
            b"\x80\x00" + bytes(10),
            b"\x8f\x00" + bytes(10) + b"\x01",  # fifteen CSRCs announced, none there
            b"\x90\x00" + bytes(10) + b"\xbe\xde\xff\xff" + bytes(4),  # extension of 64 KiB
            b"\xa0\x00" + bytes(10) + b"\xff",  # padding longer than the packet
            b"\x80\x65" + bytes(10) + b"\xff",  # telephone-event cut off
            b"\x80\xc8\x00\x06" + bytes(24),
            b"\x81\xcb\xff\xff" + bytes(4),  # RTCP BYE that announces 256 KiB
            bytes(1400),
        ]
        async with RtpSocket(CARRIER) as phone:
            script = Caller("babbles").dials(sdp=audio_at(phone.port)).is_answered().is_hung_up_on()
            async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
                talk = await bot.conversation()
                gateway = await phone.spoken_to()
                rtcp = (gateway[0], gateway[1] + 1)
                await phone.say(tone(SPEECH, 0.5), gateway)
                for packet in malformed:
                    phone.send_raw(packet, gateway)
                    phone.send_raw(packet, rtcp)
                await phone.say(tone(AGAIN, 0.8), gateway)
                await talk.hears(AGAIN)
                await talk.send("hangup")


class TestKeys:
    """RFC 4733: a key is a handful of packets, and nothing keeps a peer from sending thousands."""

    @pytest.mark.parametrize(
        ("pause", "all_told"), [(0.0, False), (0.04, True)], ids=["flood", "machine"]
    )
    async def test_are_told_as_fast_as_anybody_can_press_them(
        self,
        pause: float,
        all_told: bool,
        world: World,
        peer: StartPeer,
        bot: ScriptedBot,
        api: Api,
    ) -> None:
        """Dialling machines take 80 ms for each (ITU-T Q.24); this one takes half of it."""
        before = await refused(api)
        async with RtpSocket(CARRIER) as phone:
            script = Caller("presses keys").dials(sdp=audio_at(phone.port)).is_answered()
            async with await peer(
                script.is_hung_up_on(), address=CARRIER, gateway=world.address, number="100"
            ):
                talk = await bot.conversation()
                gateway = await phone.spoken_to()
                for number in range(KEYS):
                    end_of_key = struct.pack("!BBH", number % 10, 0x8A, 160)
                    phone.send(end_of_key, gateway, TELEPHONE_EVENT)
                    await asyncio.sleep(pause)

                async def judged() -> bool:
                    return len(told(talk)) + await refused(api) - before == KEYS

                await network.until(judged, "every key is told or counted")
                assert told(talk) == [str(number % 10) for number in range(len(told(talk)))]
                assert (len(told(talk)) == KEYS) == all_told
                await talk.send("hangup")


def told(talk: Conversation) -> list[str]:
    """The keys that the bot has heard of."""
    return [message["digit"] for message in talk.messages if message["type"] == "dtmf"]


async def refused(api: Api) -> float:
    """Keys that nobody has heard of."""
    return (await api.metrics())["switchhook_rtp_keys_refused_total"]


class TestAFlood:
    """Whoever sends faster than packets are worked off holds up the clock for nobody else."""

    async def test_of_one_leg_takes_turns_with_the_others(
        self, gateway: GatewayProcess, peer: StartPeer, api: Api
    ) -> None:
        """Both parties are one socket, which hears in what order their packets are passed on."""
        world = gateway.world
        async with RtpSocket(CARRIER) as both:
            sdp = audio_at(both.port, CARRIER)
            called = Agent("talks").is_called().answers(sdp=sdp).is_hung_up_on()
            calling = Caller("talks").dials(sdp=sdp).is_answered().is_hung_up_on()
            await peer(called, address=PBX, port=world.pbx_port)
            await peer(calling, address=CARRIER, gateway=world.address, number="200")
            await network.until(lambda: len(set(both.senders)) == 2, "both legs speak")
            flooded, other = sorted(set(both.senders))
            sent = {leg: count() for leg in (flooded, other)}

            def say(kind: bytes, leg: tuple[str, int]) -> None:
                number = next(sent[leg])
                head = struct.pack("!BBHII", 0x80, 0, number, FRAME * number, 0xF100D)
                both.send_raw(head + kind * FRAME, leg)

            def heard(*kinds: bytes) -> list[bytes]:
                frames = {kind * FRAME: kind for kind in kinds}
                payloads = (packet[12:] for packet in both.received)
                return [frames[payload] for payload in payloads if payload in frames]

            async def passed_on() -> bool:
                say(USUAL, flooded)
                say(USUAL, other)
                return len(heard(USUAL)) >= 20

            await network.until(passed_on, "audio is passed on")
            async with standstill(gateway.pid):
                for _ in range(FLOOD):
                    say(FLOODING, flooded)
                for _ in range(SPRAYED):
                    say(MEANWHILE, other)
            await network.until(lambda: len(heard(MEANWHILE)) == SPRAYED, "the others cross")
            order = heard(FLOODING, MEANWHILE)
            assert order[: 4 * SPRAYED].count(MEANWHILE) == SPRAYED
            live = await api.only_call()
            await api.decide(live["id"], "hangup")


class TestAPeerBehindANat:
    """RFC 4961: its SDP names an address that its packets do not come from."""

    async def test_is_found_by_its_packets_if_its_trunk_vouches_for_them(
        self, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        async with RtpSocket(CARRIER) as phone:
            script = Caller("hides").dials(sdp=audio_at(9, "192.0.2.1")).is_answered()
            async with await peer(
                script.is_hung_up_on(), address=CARRIER, gateway=world.address, number="100"
            ):
                talk = await bot.conversation()
                live = await network_port(world)
                await phone.say(tone(SPEECH, 0.8), live)
                await talk.hears(SPEECH)
                assert phone.received, "the gateway's audio follows the caller's"
                await talk.send("hangup")


async def network_port(world: World) -> tuple[str, int]:
    """The RTP address of the gateway's one leg."""
    first, last = world.rtp
    ports = network.bound_udp_ports(world.address[0])
    (port,) = (p for p in ports if first <= p <= last and p % 2 == 0)
    return world.address[0], port


class TestSilence:
    """A peer that has crashed sends no BYE, only nothing."""

    async def test_a_leg_without_audio_is_hung_up_in_the_end(
        self, start_gateway: StartGateway, peer: StartPeer, tmp_path: Path
    ) -> None:
        """RFC 3326: the BYE says why."""
        world = World(tmp_path / "gateway", settings={"sip": {"rtp": {"timeout": 4}}})
        gateway = start_gateway(world)
        script = Caller("crashes").dials(sdp=audio_at(9)).is_answered()
        script.is_hung_up_on({"Reason": "Q.850;cause=41"})
        bot = ScriptedBot()
        await bot.start(world.bot_port)
        try:
            async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
                talk = await bot.conversation()
                await talk.expect("stop")
        finally:
            await bot.stop()
        assert gateway.stop() == 0
        assert '"media.silent"' in gateway.log.read_text()
