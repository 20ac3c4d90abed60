"""Every codec passes undecoded between two who speak it; keys cross whatever clocks they run on."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import StartPeer
from tests.e2e.parties import (
    G722,
    PCMA,
    PCMU,
    Packet,
    Voice,
    assert_one_stream,
    joined,
    media,
    opus_voice,
)
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import World
from tests.peers import network
from tests.peers.script import SDP

HEAD, _, _ = SDP.partition("m=audio")


@dataclass(frozen=True)
class Kind:
    """A telephone: what it offers or answers, and what it says."""

    codec: str
    sdp: str
    voice: Voice
    number: int
    """Payload type of the codec, as it wants to get it."""
    events: int
    """And of telephone-event."""


def telephone(
    rtpmap: str,
    voice: Voice,
    *,
    number: int = -1,
    events: int = 101,
    clock: int = 8000,
    more: str = "",
) -> Kind:
    """One that speaks one codec, with telephone-event on this clock beside it."""
    number = voice.payload_type if number < 0 else number
    media = f"""m=audio [media_port] RTP/AVP {number} {events}
a=rtpmap:{number} {rtpmap}
a=rtpmap:{events} telephone-event/{clock}
{more}a=sendrecv"""
    return Kind(rtpmap, HEAD + media, voice, number, events)


def opus(number: int, events: int, clock: int = 48000, *, said: int = -1, more: str = "") -> Kind:
    """One that asks for Opus under this number; an agent says it under the one it was offered."""
    voice = opus_voice(number if said < 0 else said, clock)
    return telephone("opus/48000/2", voice, number=number, events=events, clock=clock, more=more)


G711U = telephone("PCMU/8000", PCMU)
G711A = telephone("PCMA/8000", PCMA)
WIDE = telephone("G722/8000", G722)
CALLS = opus(111, 110)
CALLS_8000 = opus(107, 101, 8000)
"""Its keys run at 8000 beside a codec of 48 000, against RFC 4733 section 2.1; and it is common."""

MACHINE = 60
"""Keys that it dials."""

OFFERED, OFFERED_48000, OFFERED_8000 = 96, 121, 120
"""The gateway's numbers of Opus and of telephone-event."""

ANSWERS = opus(OFFERED, OFFERED_48000)
ANSWERS_8000 = opus(OFFERED, OFFERED_8000, 8000)


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose trunks speak everything."""
    codecs = {"codecs": ["PCMU", "PCMA", "G722", "opus"]}
    world = World(
        tmp_path_factory.mktemp("codecs"), settings={"trunks": {"carrier": codecs, "pbx": codecs}}
    )
    yield from served(world)


class TestTwoOfOneCodec:
    """RFC 3551 section 4.5, RFC 7587: each peer has a number of its own for a codec."""

    @pytest.mark.parametrize(
        ("caller", "agent"),
        [
            pytest.param(G711A, G711A, id="PCMA"),
            pytest.param(WIDE, WIDE, id="G722"),
            pytest.param(CALLS, ANSWERS, id="opus"),
            pytest.param(CALLS, opus(99, OFFERED_48000, said=OFFERED), id="opus, three numbers"),
            pytest.param(
                CALLS,
                opus(OFFERED, OFFERED_48000, more="a=fmtp:96 useinbandfec=1;minptime=10\n"),
                id="opus, other wishes",
            ),
        ],
    )
    async def test_hear_each_other_undecoded(
        self, world: World, api: Api, peer: StartPeer, caller: Kind, agent: Kind
    ) -> None:
        voices = caller.voice, agent.voice
        async with joined(world, api, peer, caller.sdp, agent.sdp, voices=voices) as talk:
            for party, kind in ((talk.caller, caller), (talk.agent, agent)):
                await party.hears(untouched=True, payload_type=kind.number)
            assert (await api.decide(talk.id, "play", prompt=OPERATOR)).status_code == 202
            await talk.caller.hears(untouched=False)
            for party in (talk.caller, talk.agent):
                await party.hears(untouched=True)
        for party in (talk.caller, talk.agent):
            assert_one_stream(party.heard, longest=100 * party.voice.samples)
            follows = [
                later.timestamp - earlier.timestamp == party.voice.samples
                for earlier, later in zip(party.heard, party.heard[1:], strict=False)
            ]
            assert sum(follows) > 0.9 * len(follows)
        for leg in media(await api.record()):
            assert leg["tx_passed"] >= 20
            assert leg["tx_lost"] == leg["rx_lost"] == 0


OPERATOR = {"file": "operator.wav"}


class TestKeys:
    """RFC 4733 section 2.1: telephone-event has a clock rate, and a duration counts its ticks."""

    @pytest.mark.parametrize(
        ("caller", "agent"),
        [
            pytest.param(CALLS, ANSWERS, id="opus, both 48000"),
            pytest.param(CALLS_8000, ANSWERS_8000, id="opus, both 8000"),
            pytest.param(CALLS, ANSWERS_8000, id="opus, 48000 to 8000"),
            pytest.param(CALLS_8000, ANSWERS, id="opus, 8000 to 48000"),
            pytest.param(CALLS, G711U, id="opus to PCMU"),
            pytest.param(CALLS_8000, G711U, id="opus with 8000 to PCMU"),
            pytest.param(G711U, ANSWERS, id="PCMU to opus"),
            pytest.param(G711U, ANSWERS_8000, id="PCMU to opus with 8000"),
            pytest.param(WIDE, WIDE, id="G722"),
            pytest.param(WIDE, G711U, id="G722 to PCMU"),
        ],
    )
    async def test_are_as_long_as_they_were_pressed(
        self, world: World, api: Api, peer: StartPeer, caller: Kind, agent: Kind
    ) -> None:
        voices = caller.voice, agent.voice
        passes = caller.codec == agent.codec
        async with joined(world, api, peer, caller.sdp, agent.sdp, voices=voices) as talk:
            await talk.agent.hears(untouched=passes, packets=30)
            talk.caller.press(5, frames=10)
            await network.until(
                lambda: sum(ended(each, agent) for each in talk.agent.heard) >= 3,
                "the key has crossed",
            )
            await talk.agent.hears(untouched=passes)
        keys = [each for each in talk.agent.heard if each.payload_type == agent.events]
        assert len({each.timestamp for each in keys}) == 1
        assert {each.payload[0] for each in keys} == {5}
        durations = [struct.unpack("!H", each.payload[2:])[0] for each in keys]
        assert durations == sorted(durations)
        milliseconds = durations[-1] * 1000 / agent.voice.event_clock
        assert milliseconds == pytest.approx(200, abs=1)
        assert_one_stream(talk.agent.heard, longest=100 * agent.voice.samples)
        timeline = (await api.record())["timeline"]
        pressed = [event for event in timeline if event["name"] == "dtmf.received"]
        assert [event["digit"] for event in pressed] == ["5"]

    async def test_longer_than_opus_can_tell_end_where_it_can(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        """RFC 4733 section 2.3.5: 65 535 ticks."""
        voices = G711U.voice, ANSWERS.voice
        async with joined(world, api, peer, G711U.sdp, ANSWERS.sdp, voices=voices) as talk:
            await talk.agent.hears(untouched=False)
            talk.caller.press(5, frames=100)
            await network.until(
                lambda: sum(ended(each, ANSWERS) for each in talk.agent.heard) >= 3,
                "the key has crossed",
            )
            await talk.agent.hears(untouched=False)
        keys = [each for each in talk.agent.heard if each.payload_type == ANSWERS.events]
        assert len({each.timestamp for each in keys}) == 1
        durations = [struct.unpack("!H", each.payload[2:])[0] for each in keys]
        assert durations == sorted(durations)
        assert durations[-1] > 65_000

    @pytest.mark.parametrize(
        ("agent", "heard_ms"),
        [
            pytest.param(ANSWERS, None, id="passed on"),
            pytest.param(G711U, 3000, id="to PCMU"),
        ],
    )
    async def test_longer_than_a_packet_can_tell_are_one(
        self, world: World, api: Api, peer: StartPeer, agent: Kind, heard_ms: int | None
    ) -> None:
        """RFC 4733 section 2.5.1.3: the duration begins anew in each segment."""
        voices = CALLS.voice, agent.voice
        passes = heard_ms is None
        async with joined(world, api, peer, CALLS.sdp, agent.sdp, voices=voices) as talk:
            await talk.agent.hears(untouched=passes, packets=30)
            pressed = talk.caller.press(5, frames=150)
            await network.until(
                lambda: sum(ended(each, agent) for each in talk.agent.heard) >= 3,
                "the key has crossed",
            )
            await talk.agent.hears(untouched=passes)
        keys = [each for each in talk.agent.heard if each.payload_type == agent.events]
        if heard_ms is None:
            assert [each.payload for each in keys] == pressed
            assert len({each.timestamp for each in keys}) == 3
        else:
            assert len({each.timestamp for each in keys}) == 1
            (ticks,) = struct.unpack("!H", keys[-1].payload[2:])
            assert ticks * 1000 / agent.voice.event_clock == pytest.approx(heard_ms, abs=1)
        timeline = (await api.record())["timeline"]
        told = [event["digit"] for event in timeline if event["name"] == "dtmf.received"]
        assert told == ["5"]

    async def test_that_would_wait_too_long_are_counted_and_told_once(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        """A machine dials 25 a second, and a stream sends less than four."""
        before = await lost(api)
        voices = G711U.voice, G711A.voice
        async with joined(world, api, peer, G711U.sdp, G711A.sdp, voices=voices) as talk:
            await talk.agent.hears(untouched=False, packets=30)
            for number in range(MACHINE):
                talk.caller.send(struct.pack("!BBH", number % 10, 0x8A, 160), G711U.events)
                await asyncio.sleep(0.04)

            async def all_are() -> bool:
                keys = [each for each in talk.agent.heard if each.payload_type == G711A.events]
                sent = len({each.timestamp for each in keys})
                return sent + await lost(api) - before == MACHINE

            await network.until(all_are, "every key is sent or counted")
            assert await lost(api) > before
        timeline = (await api.record())["timeline"]
        assert sum(event["name"] == "dtmf.received" for event in timeline) == MACHINE
        (told,) = [event for event in timeline if event["name"] == "dtmf.lost"]
        assert told["leg"] == "agent-1"
        assert told["waiting_ms"] > 8000


async def lost(api: Api) -> float:
    """Keys that the other party was not sent."""
    return (await api.metrics())["switchhook_rtp_keys_lost_total"]


def ended(packet: Packet, kind: Kind) -> bool:
    """Whether it tells the end of a key."""
    return packet.payload_type == kind.events and bool(packet.payload[1] & 0x80)
