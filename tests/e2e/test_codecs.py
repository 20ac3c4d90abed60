"""What is spoken with whom: codecs, packet times, digits, silence and jitter of each trunk.

caller 127.0.0.2 ──▶ gateway ──▶ agent 127.0.0.3, trunks that speak everything
caller 127.0.0.4 ──▶ gateway, a trunk that speaks PCMU in packets of 40 ms
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone, tone_name
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartPeer, StartPhone
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import AGENT_TONE, CALLER_TONE, CARRIER, PBX, World
from tests.peers import network, opus
from tests.peers.caller import Caller
from tests.peers.rtp import COMFORT_NOISE, RtpSocket
from tests.peers.script import audio_at

SLOW = "127.0.0.4"

HIGH = 5200
"""Hz: no telephone of 8 kHz can say it."""

OPUS = """v=0
o=peer 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 96 101
a=rtpmap:96 opus/48000/2
a=rtpmap:101 telephone-event/8000"""
"""The offer of a peer that speaks nothing else."""

CODECS = {"PCMU": "PCMU/8000", "PCMA": "PCMA/8000", "G722": "G722/16000", "opus": "opus/16000"}
"""As events name them. Opus runs at the rate of our bridge."""


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose trunks speak more than G.711."""
    trunks = {
        "carrier": {"codecs": ["PCMA", "PCMU", "G722", "opus"]},
        "pbx": {"codecs": ["opus", "G722", "PCMU"]},
        "slow": {
            "sources": [f"{SLOW}/32"],
            "codecs": ["PCMU"],
            "ptime": 40,
            "jitter_buffer": {"fixed": 400},
            "routes": [{"flow": "conversation"}],
        },
    }
    world = World(
        tmp_path_factory.mktemp("gateway"),
        settings={"trunks": trunks, "bots": {"assistant": {"sample_rate": 16000}}},
    )
    yield from served(world)


def speaks(*codecs: str) -> tuple[str, ...]:
    """Options of a softphone."""
    return ("--codecs", ",".join(codecs))


async def talk(
    world: World, start_phone: StartPhone, folder: Path, caller: str, agent: tuple[str, ...]
) -> tuple[Softphone, Softphone]:
    """A caller who speaks one codec has reached an agent who speaks several; both talk."""
    phone = await start_phone(CARRIER, world.carrier_port, name="caller", options=speaks(caller))
    pbx = await start_phone(PBX, world.pbx_port, name="pbx", options=speaks(*agent))
    await pbx.send(commands.Policy(ring=0.1, tone=AGENT_TONE, record=folder / "pbx.wav"))
    await phone.send(
        commands.Dial(
            call="a", to=world.number("200"), tone=CALLER_TONE, record=folder / "caller.wav"
        )
    )
    await phone.expect("media", "a", state="active", codec=CODECS[caller])
    await phone.expect("heard", "a", sound=tone_name(AGENT_TONE))
    await pbx.expect("heard", "in-1", sound=tone_name(CALLER_TONE))
    return phone, pbx


class TestTranscoding:
    """Who speaks something else is understood; who speaks the same is not made to change."""

    @pytest.mark.parametrize(
        ("caller", "agent"),
        [
            ("PCMU", "G722"),
            ("G722", "PCMU"),
            ("PCMA", "PCMU"),
            ("PCMU", "opus"),
            ("opus", "PCMU"),
            ("opus", "G722"),
        ],
    )
    async def test_both_hear_the_others_tone(
        self, world: World, start_phone: StartPhone, tmp_path: Path, caller: str, agent: str
    ) -> None:
        _, pbx = await talk(world, start_phone, tmp_path, caller, (agent,))
        await pbx.expect("media", "in-1", state="active", codec=CODECS[agent])

    @pytest.mark.parametrize(
        ("caller", "spoken"),
        [("PCMU", "PCMU"), ("G722", "G722"), ("PCMA", "opus")],
    )
    async def test_the_agent_is_offered_the_callers_codec_first_and_else_the_trunks_order(
        self, world: World, start_phone: StartPhone, tmp_path: Path, caller: str, spoken: str
    ) -> None:
        """RFC 3264 section 5.1: formats stand in order of preference."""
        every = ("PCMU", "PCMA", "G722", "opus")
        _, pbx = await talk(world, start_phone, tmp_path, caller, every)
        await pbx.expect("media", "in-1", state="active", codec=CODECS[spoken])

    async def test_a_caller_who_speaks_nothing_of_the_trunks_gets_488(
        self, world: World, peer: StartPeer
    ) -> None:
        sdp = (
            audio_at(40000)
            .replace("RTP/AVP 0 8 101", "RTP/AVP 8")
            .replace("a=rtpmap:0 PCMU/8000\n", "")
        )
        script = Caller("speaks A-law").dials(sdp=sdp).is_refused(488)
        async with await peer(script, address=SLOW, gateway=world.address, number="100"):
            pass

    async def test_the_order_of_the_callers_offer_is_kept(
        self, world: World, start_phone: StartPhone, bot: ScriptedBot
    ) -> None:
        """RFC 3264 section 6.1."""
        phone = await start_phone(CARRIER, name="caller", options=speaks("G722", "PCMU", "PCMA"))
        await phone.send(commands.Dial(call="a", to=world.number("100")))
        await bot.conversation()
        await phone.expect("media", "a", state="active", codec=CODECS["G722"])


class TestWideBand:
    """What the telephone network cuts off above 3.4 kHz."""

    async def test_reaches_a_bot_from_a_caller_who_speaks_opus(
        self, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        async with RtpSocket(CARRIER) as phone:
            sdp = audio_at(phone.port, sdp=OPUS)
            script = Caller("sings").dials(sdp=sdp).is_answered().is_hung_up_on()
            async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
                conversation = await bot.conversation()
                gateway = await phone.spoken_to()
                packets = opus.packets(tone(HIGH, 0.8, opus.CLOCK))
                await phone.stream(packets, gateway, 96, samples=opus.FRAME, clock=opus.CLOCK)
                await network.until(
                    lambda: conversation.heard((HIGH,)).seconds_of(HIGH) > 0.5, "5.2 kHz"
                )
                await conversation.send("hangup")


class TestDigits:
    """RFC 4733: telephone-event runs on the clock of the codec beside it."""

    @pytest.mark.parametrize(("codec", "clock"), [("opus", 48000), ("G722", 8000), ("PCMU", 8000)])
    async def test_reach_the_bot(
        self,
        world: World,
        start_phone: StartPhone,
        bot: ScriptedBot,
        api: Api,
        codec: str,
        clock: int,
    ) -> None:
        phone = await start_phone(CARRIER, name="caller", options=speaks(codec))
        await phone.send(commands.Dial(call="a", to=world.number("100"), tone=CALLER_TONE))
        conversation = await bot.conversation()
        await phone.expect("media", "a", state="active", codec=CODECS[codec])
        await conversation.hears(CALLER_TONE)
        await phone.send(commands.Dtmf(call="a", digits="15#"))
        for digit in "15#":
            await conversation.expect("dtmf", digit=digit)
        await conversation.send("hangup")
        await phone.expect("disconnected", "a")
        assert f"telephone-event/{clock}" in str(await api.record())


class TestPackets:
    """RFC 8866 section 6.4: ptime is what a peer wants to receive."""

    @pytest.mark.parametrize(
        ("wish", "milliseconds"),
        [
            ("ptime:10", 10),
            ("ptime:20", 20),
            ("ptime:30", 30),
            ("ptime:60", 60),
            ("ptime:2000", 60),
            ("ptime:0", 20),
            ("ptime:4294967295", 60),
            ("ptime:soon", 20),
            ("maxptime:10", 10),
        ],
    )
    async def test_have_the_length_the_peer_asks_for_and_may_have_any_length_of_its_own(
        self, world: World, peer: StartPeer, bot: ScriptedBot, wish: str, milliseconds: int
    ) -> None:
        async with RtpSocket(CARRIER) as phone:
            sdp = f"{audio_at(phone.port)}\na={wish}"
            script = Caller("asks").dials(sdp=sdp).is_answered().is_hung_up_on()
            async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
                conversation = await bot.conversation()
                gateway = await phone.spoken_to()
                await conversation.say(tone(AGENT_TONE, 0.5, conversation.rate))
                pcm = tone(CALLER_TONE, 0.8)
                await phone.say(pcm, gateway, frame=milliseconds * 8)
                await conversation.hears(CALLER_TONE)
                await conversation.send("hangup")
        assert audio_lengths(phone) == {milliseconds * 8}

    @pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60])
    async def test_of_opus_have_it_too_and_digits_may_keep_the_clock_of_8000(
        self, world: World, peer: StartPeer, bot: ScriptedBot, milliseconds: int
    ) -> None:
        """RFC 7587 section 4.1: Opus counts 48 000 samples a second, whatever it carries. A peer
        whose only telephone-event runs at 8000 beside it breaks RFC 4733, and is common."""
        async with RtpSocket(CARRIER) as phone:
            sdp = f"{audio_at(phone.port, sdp=OPUS)}\na=ptime:{milliseconds}"
            script = Caller("asks").dials(sdp=sdp).is_answered().is_hung_up_on()
            async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
                conversation = await bot.conversation()
                gateway = await phone.spoken_to()
                await network.until(lambda: len(phone.received) > 10, "audio")
                for duration in (160, 320, 480):
                    phone.send(struct.pack("!BBH", 5, 10, duration), gateway, 101, samples=0)
                for _ in range(3):
                    phone.send(struct.pack("!BBH", 5, 0x8A, 640), gateway, 101, samples=0)
                await conversation.expect("dtmf", digit="5")
                await conversation.send("hangup")
        stamps = [struct.unpack_from("!I", each, 4)[0] for each in phone.received]
        steps = {after - before for before, after in pairwise(stamps)}
        assert steps == {48 * milliseconds}

    async def test_have_the_trunks_length_where_the_peer_asks_for_none(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        async with RtpSocket(SLOW) as phone:
            script = Caller("asks for nothing").dials(sdp=audio_at(phone.port)).is_answered()
            async with await peer(
                script.is_hung_up_on(), address=SLOW, gateway=world.address, number="100"
            ):
                conversation = await bot.conversation()
                await phone.spoken_to()
                await network.until(lambda: len(phone.received) > 10, "audio")
                await conversation.send("hangup")
        assert audio_lengths(phone) == {320}
        assert "a=ptime:40" in str(await api.record())

    async def test_wait_in_the_trunks_jitter_buffer(
        self, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        """Its 400 ms are full before the first sample is heard, and then nothing is missing."""
        async with RtpSocket(SLOW) as phone:
            script = Caller("begins").dials(sdp=audio_at(phone.port)).is_answered()
            async with await peer(
                script.is_hung_up_on(), address=SLOW, gateway=world.address, number="100"
            ):
                conversation = await bot.conversation()
                gateway = await phone.spoken_to()
                await phone.say(tone(CALLER_TONE, 0.3), gateway)
                before = len(conversation.audio)
                await network.until(
                    lambda: len(conversation.audio) > before + conversation.rate, "0.5 s"
                )
                assert conversation.heard().seconds_of(CALLER_TONE) == 0
                await phone.say(tone(AGENT_TONE, 0.8), gateway)
                await conversation.hears(CALLER_TONE, 0.25)
                await conversation.hears(AGENT_TONE)
                await conversation.send("hangup")

    async def test_of_comfort_noise_are_harmless(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        """RFC 3389: a peer that falls silent sends one now and then, offered or not."""
        async with RtpSocket(CARRIER) as phone:
            sdp = audio_at(phone.port).replace("AVP 0 8 101", "AVP 0 8 13 101")
            script = Caller("falls silent").dials(sdp=sdp).is_answered().is_hung_up_on()
            async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
                conversation = await bot.conversation()
                gateway = await phone.spoken_to()
                await phone.say(tone(CALLER_TONE, 0.6), gateway)
                await phone.stream([b"\x40"] * 8, gateway, COMFORT_NOISE, samples=800)
                await phone.say(tone(AGENT_TONE, 0.6), gateway)
                await conversation.hears(CALLER_TONE)
                await conversation.hears(AGENT_TONE)
                await conversation.send("hangup")
        record = await api.record()
        assert record["media"]["caller"]["rx_lost"] == 0


def audio_lengths(phone: RtpSocket) -> set[int]:
    """Of the payloads of PCMU that came: a byte a sample."""
    packets = (each for each in phone.received if struct.unpack_from("!BB", each)[1] & 0x7F == 0)
    return {len(each) - 12 for each in packets}
