"""What two parties say to each other passes undecoded, and is mixed while anything else is heard.

Both parties are RTP sockets that number their frames. A frame ends with the second of µ-law's two
zeros (ITU-T G.711), which no encoder makes: where it arrives, nothing was decoded.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

import pytest

from bench.numbered import Reader, mulaw_frame
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.test_rtp_safety import offer, spoken_to
from tests.e2e.world import CARRIER, PBX, World
from tests.peers import network
from tests.peers.rtp import BEHIND, FRAME, RATE, RtpSocket
from tests.peers.script import SDP, Agent, Caller

UNTOUCHED = b"\x7f"
"""Zero, as an encoder does not write it."""

EVENTS, EVENTS_OF_THE_AGENT = 101, 96
"""Payload types of telephone-event."""

SWITCH = 5
"""Frames that a change between the two ways may cost where the tests keep the machine busy: what
the jitter buffer holds, or must get. One or two, usually."""

AGENT_SDP = SDP.replace("101", str(EVENTS_OF_THE_AGENT))


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that can record."""
    folder = tmp_path_factory.mktemp("pass-through")
    world = World(folder, settings={"recordings": {"folder": "kept"}})
    world.write()
    process = GatewayProcess(world)
    process.start()
    yield process
    assert process.stop() == 0, process.log_tail()


@dataclass(frozen=True)
class Packet:
    """RTP (RFC 3550 section 5.1)."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes

    @property
    def untouched(self) -> bool:
        """Whether it is audio that nobody has decoded."""
        return self.payload_type == 0 and self.payload.endswith(UNTOUCHED)


def parse(data: bytes) -> Packet:
    flags, kind, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    assert flags == 0x80, "no CSRC, extension or padding"
    return Packet(bool(kind & 0x80), kind & 0x7F, sequence, timestamp, ssrc, data[12:])


class Party:
    """Says numbered frames, one every 20 ms."""

    def __init__(self, socket: RtpSocket, events: int) -> None:
        self._socket = socket
        self._events = events
        self._quiet = False
        self._keys: list[bytes] = []
        self._seen = 0
        self.port = socket.port

    @property
    def heard(self) -> list[Packet]:
        """Everything that has come so far."""
        return [parse(packet) for packet in self._socket.received]

    async def speak(self) -> None:
        """Until it is cancelled."""
        to = await spoken_to(self._socket)
        loop = asyncio.get_running_loop()
        due = loop.time()
        for index in count():
            if self._keys:
                samples = FRAME if self._keys[0][3] + 256 * self._keys[0][2] == FRAME else 0
                self._socket.send(self._keys.pop(0), to, self._events, samples)
            elif self._quiet:
                self._socket.skip(FRAME)
            else:
                self._socket.send(mulaw_frame(index)[:-1] + UNTOUCHED, to)
            due = max(due, loop.time() - BEHIND) + FRAME / RATE
            await asyncio.sleep(due - loop.time())

    def press(self, key: int, frames: int) -> list[bytes]:
        """A key, for so many packets and two repetitions of the last (RFC 4733 section 2.5.1.4)."""
        packets = [
            struct.pack("!BBH", key, 0x0A | (0x80 if i == frames else 0), FRAME * i)
            for i in range(1, frames + 1)
        ]
        self._keys = [*packets, packets[-1], packets[-1]]
        return list(self._keys)

    def throw(self, packet: bytes) -> None:
        """Send anything to where the gateway's audio comes from."""
        assert self._socket.peer is not None
        self._socket.send_raw(packet, self._socket.peer)

    def fall_silent(self) -> None:
        self._quiet = True

    def speak_again(self) -> None:
        self._quiet = False

    async def hears(self, *, untouched: bool, packets: int = 10) -> None:
        """Wait for so many such packets in a row, from now on."""
        start = len(self._socket.received)

        def come() -> bool:
            new = [parse(packet) for packet in self._socket.received[start:]][-packets:]
            return len(new) == packets and all(each.untouched == untouched for each in new)

        way = "undecoded" if untouched else "mixed"
        await network.until(come, f"{packets} packets are {way}")


@dataclass(frozen=True)
class Talk:
    """A caller and an agent who are joined."""

    caller: Party
    agent: Party
    id: str
    api: Api


@asynccontextmanager
async def joined(
    world: World, api: Api, peer: StartPeer, offered: str = SDP, answered: str = AGENT_SDP
) -> AsyncIterator[Talk]:
    """Two who speak until the block ends; then the gateway hangs up."""
    async with RtpSocket(CARRIER) as phone, RtpSocket(PBX, ssrc=0xA6E27) as desk:
        caller, agent = Party(phone, EVENTS), Party(desk, EVENTS_OF_THE_AGENT)
        called = Agent("talks").is_called().answers(sdp=offer(agent.port, sdp=answered))
        calling = Caller("talks").dials(sdp=offer(caller.port, sdp=offered)).is_answered()
        await peer(called.is_hung_up_on(), address=PBX, port=world.pbx_port)
        await peer(calling.is_hung_up_on(), address=CARRIER, gateway=world.address, number="200")
        speaking = [asyncio.create_task(party.speak()) for party in (caller, agent)]
        try:
            yield Talk(caller, agent, (await api.only_call())["id"], api)
            live = await api.only_call()
            assert (await api.decide(live["id"], "hangup")).status_code == 202
            await api.record()
        finally:
            for each in speaking:
                each.cancel()
            await asyncio.gather(*speaking, return_exceptions=True)


def assert_one_stream(packets: Sequence[Packet], switches: int) -> None:
    """One SSRC; numbers without a gap, but for the packet that a switch to undecoded may take."""
    assert len({packet.ssrc for packet in packets}) == 1
    steps = [(later.sequence - earlier.sequence) & 0xFFFF for earlier, later in pairwise(packets)]
    assert set(steps) <= {1, 2}
    assert steps.count(2) <= switches
    spans = [
        (later.timestamp - earlier.timestamp) & 0xFFFFFFFF for earlier, later in pairwise(packets)
    ]
    assert max(spans) <= 100 * FRAME, "never back, and never far ahead"


def cost(packets: Sequence[Packet]) -> int:
    """Frames that are missing between the first and the last one that came."""
    reader = Reader()
    read = [reader.mulaw(each.payload, 0.0) for each in packets if each.payload_type == 0]
    numbers = {each[0] for each in read if each is not None}
    return max(numbers) - min(numbers) + 1 - len(numbers)


def media(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What the record says of both legs."""
    assert len(record["media"]) == 2
    return list(record["media"].values())


class TestTwoParties:
    """RFC 3550 section 7: what is passed on is a stream of the gateway's own to each of them."""

    async def test_hear_each_other_undecoded_in_one_stream(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            await talk.caller.hears(untouched=True)
        for party in (talk.caller, talk.agent):
            assert_one_stream(party.heard, switches=1)
            first = next(each for each in party.heard if each.untouched)
            assert first.marker
            passed = [each for each in party.heard if each.untouched]
            assert cost(passed) == 0
        for leg in media(await api.record()):
            assert leg["tx_passed"] >= 10
            assert leg["rx_lost"] == leg["tx_lost"] == leg["rx_discarded"] == 0

    async def test_press_keys_that_cross_as_they_are(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        """RFC 4733 section 2.5.2.1: the same packets, with the number of the other leg's SDP."""
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            pressed = talk.caller.press(5, frames=8)
            await network.until(
                lambda: sum(each.payload_type != 0 for each in talk.agent.heard) >= len(pressed),
                "the key has crossed",
            )
            await talk.agent.hears(untouched=True)
        events = [each for each in talk.agent.heard if each.payload_type != 0]
        assert [each.payload for each in events] == pressed
        assert {each.payload_type for each in events} == {EVENTS_OF_THE_AGENT}
        assert len({each.timestamp for each in events}) == 1
        assert_one_stream(talk.agent.heard, switches=1)
        timeline = (await api.record())["timeline"]
        keys = [event for event in timeline if event["name"] == "dtmf.received"]
        assert len(keys) == 1

    @pytest.mark.parametrize("flags", [0x80, 0x81, 0xA0], ids=["empty", "csrc", "padding"])
    async def test_are_not_parted_by_a_key_without_payload(
        self, flags: int, world: World, api: Api, peer: StartPeer
    ) -> None:
        """RFC 4733 section 2.3: an event has four bytes; one without any is nobody's."""
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            head = struct.pack("!BBHII", flags, EVENTS, 7, 7, 0xBAD)
            for rest in (b"", bytes(4) if flags == 0x81 else b"\x01"):
                talk.caller.throw(head + rest)
            await talk.agent.hears(untouched=True)
        assert {each.payload_type for each in talk.agent.heard} == {0}

    @pytest.mark.parametrize(
        ("action", "begin", "end"),
        [
            ("recording", {"action": "start"}, {"action": "stop"}),
            ("play", {"prompt": {"file": "operator.wav"}}, None),
        ],
    )
    async def test_are_mixed_while_something_else_listens_or_speaks(
        self,
        action: str,
        begin: dict[str, Any],
        end: dict[str, Any] | None,
        world: World,
        api: Api,
        peer: StartPeer,
    ) -> None:
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            assert (await api.decide(talk.id, action, **begin)).status_code == 202
            await talk.agent.hears(untouched=False)
            if end is not None:
                assert (await api.decide(talk.id, action, **end)).status_code == 202
            await talk.agent.hears(untouched=True)
            await talk.caller.hears(untouched=True)
        assert_one_stream(talk.agent.heard, switches=2)
        assert_one_stream(talk.caller.heard, switches=2)
        start = next(i for i, each in enumerate(talk.agent.heard) if each.untouched)
        assert cost(talk.agent.heard[start:]) <= 2 * SWITCH

    async def test_are_heard_again_after_a_silence_that_the_gateway_has_filled(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        """A peer that sends nothing leaves nobody without packets: NATs and telephones mind."""
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            talk.caller.fall_silent()
            await talk.agent.hears(untouched=False, packets=50)
            talk.caller.speak_again()
            await talk.agent.hears(untouched=True)
        assert_one_stream(talk.agent.heard, switches=2)


class TestPartiesWhoCannot:
    """Different codecs are translated, and so is what an operator wants mixed."""

    async def test_speak_different_codecs(self, world: World, api: Api, peer: StartPeer) -> None:
        other = AGENT_SDP.replace(" 0 8 ", " 8 ")
        async with joined(world, api, peer, answered=other) as talk:
            await network.until(lambda: len(talk.agent.heard) > 100, "the agent hears")
        assert {each.payload_type for each in talk.agent.heard} == {8}
        assert [leg["tx_passed"] for leg in media(await api.record())] == [0, 0]
