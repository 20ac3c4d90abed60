"""Two parties who talk through the gateway, as RTP sockets that know which frame they have said.

A frame of G.711 carries its number, and ends with the second of its two zeros (ITU-T G.711), which
no encoder makes: where a frame arrives as it was said, nothing was decoded.
"""

from __future__ import annotations

import asyncio
import random
import re
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

from bench.numbered import mulaw_frame, numbers_of_mulaw
from sip.softphone.tones import tone
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.world import CARRIER, PBX, World
from tests.peers import network, opus
from tests.peers.agent import Agent
from tests.peers.caller import Caller
from tests.peers.rtp import BEHIND, FRAME, RATE, RtpSocket
from tests.peers.script import SDP, audio_at
from tests.peers.sipp import Sipp

UNTOUCHED = b"\x7f"
"""Zero, as an encoder does not write it."""

EVENTS, EVENTS_OF_THE_AGENT = 101, 96
"""Payload types of telephone-event."""

AGENT_SDP = SDP.replace("101", str(EVENTS_OF_THE_AGENT))

SWITCH = 10
"""Frames that a change between the two ways may cost where the tests keep the machine busy: what
the jitter buffer holds, or must get. One or two, usually."""

_ALAW = bytes.maketrans(b"\x0f\x8f", b"\x25\xa5")
"""The loud bytes of a numbered frame, as A-law: the sign is the same bit."""


@dataclass(frozen=True)
class Voice:
    """What is said in one codec, 20 ms at a time."""

    payload_type: int
    frame: Callable[[int], bytes]
    """By its number."""
    samples: int = FRAME
    """Of the RTP clock."""
    event_clock: int = RATE
    """Of telephone-event beside it."""
    frames: int = 1
    """Of 20 ms, in each packet."""


def pcmu(frames: int = 1) -> Voice:
    """G.711 µ-law; in packets of several frames, the last one of which is marked."""

    def packet(index: int) -> bytes:
        numbered = (mulaw_frame(index * frames + each) for each in range(frames))
        return b"".join(numbered)[:-1] + UNTOUCHED

    return Voice(0, packet, samples=FRAME * frames, frames=frames)


PCMU = pcmu()

PCMA = Voice(8, lambda index: mulaw_frame(index).translate(_ALAW))

G722 = Voice(9, lambda index: random.Random(index).randbytes(FRAME))
"""Noise: each byte is one, in this codec."""


def opus_voice(payload_type: int, event_clock: int) -> Voice:
    """A tone, in Opus."""
    packets = list(opus.packets(tone(440, 2.0, 48000)))
    return Voice(payload_type, lambda index: packets[index % len(packets)], 960, event_clock)


@dataclass(frozen=True)
class Packet:
    """RTP (RFC 3550 section 5.1)."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    untouched: bool
    """Whether it is audio as the other party has said it."""


class Party:
    """Says numbered frames, one every 20 ms."""

    def __init__(self, socket: RtpSocket, events: int, voice: Voice = PCMU) -> None:
        self._socket = socket
        self.ssrc = socket.ssrc
        self.events = events
        """Payload type of its keys."""
        self.voice = voice
        self.quiet = False
        self._keys: list[tuple[bytes, int]] = []
        """Payloads, and by how much each one's timestamp is later."""
        self._lost = 0
        self.said: set[bytes] = set()
        self.packets = 0
        """It has sent so many of audio, with those that were lost."""
        self.other: Party | None = None
        self._gateway: tuple[str, int] | None = None
        self.port = socket.port

    @property
    def heard(self) -> list[Packet]:
        """Everything that has come so far."""
        return self._read()

    async def understands(self, frames: int = 40) -> None:
        """Wait until so many of the other's frames of G.711 have been heard, from now on."""
        start = len(self._socket.received)

        def come() -> bool:
            return len(numbers(self._read(start))) >= frames

        await network.until(come, f"{frames} numbered frames")

    async def speak(self) -> None:
        """Until it is cancelled."""
        self._gateway = to = await self._socket.spoken_to()
        loop = asyncio.get_running_loop()
        due = loop.time()
        down = 0  # samples since the timestamp of the key's packets
        for index in count():
            voice = self.voice
            if self._keys:
                payload, later = self._keys.pop(0)
                self._socket.send(payload, to, self.events, later)
                down += voice.samples - later
            elif self.quiet:
                self._socket.skip(voice.samples)
            else:
                self._socket.skip(down)
                down = 0
                self._say(voice.frame(index), to)
            due = max(due, loop.time() - BEHIND) + voice.frames * FRAME / RATE
            await asyncio.sleep(due - loop.time())

    def press(self, key: int, frames: int) -> list[bytes]:
        """A key, for so many packets and two repetitions of the last (RFC 4733 section 2.5.1.4)."""
        packets = list(_packets_of(key, self.voice, frames))
        self._keys = [*packets, (packets[-1][0], 0), (packets[-1][0], 0)]
        return [payload for payload, _ in self._keys]

    def throw(self, packet: bytes) -> None:
        """Send anything to where the gateway's audio comes from."""
        assert self._gateway is not None
        self._socket.send_raw(packet, self._gateway)

    def throw_report(self, packet: bytes) -> None:
        """The same, to where its RTCP comes from."""
        assert self._gateway is not None
        host, port = self._gateway
        self._socket.send_raw(packet, (host, port + 1))

    def lose(self, packets: int) -> None:
        """So many of its next packets do not arrive."""
        self._lost = packets

    def reports(self, lost: int) -> None:
        """So many packets of the gateway's have not arrived (RFC 3550 section 6.4.2)."""
        last = self.heard[-1]
        block = (last.ssrc, lost & 0xFFFFFF, last.sequence, 0, 0, 0)
        self.throw_report(struct.pack("!BBHIIIIIII", 0x81, 201, 7, self.ssrc, *block))

    async def hears(self, *, untouched: bool, packets: int = 10, payload_type: int = -1) -> None:
        """Wait for so many such packets in a row, from now on; -1: of whatever type."""
        start = len(self._socket.received)

        def come() -> bool:
            new = self._read(start)[-packets:]
            return len(new) == packets and all(
                each.untouched == untouched and payload_type in (-1, each.payload_type)
                for each in new
            )

        way = "undecoded" if untouched else "mixed"
        await network.until(come, f"{packets} packets are {way}")

    def send(self, payload: bytes, payload_type: int) -> None:
        """Anything else, beside what it says."""
        assert self._gateway is not None
        self._socket.send(payload, self._gateway, payload_type, samples=0)

    def _say(self, frame: bytes, to: tuple[str, int]) -> None:
        self.packets += 1
        if self._lost:
            self._lost -= 1
            self._socket.lose(self.voice.samples)
            return
        self.said.add(frame)
        self._socket.send(frame, to, self.voice.payload_type, self.voice.samples)

    def _read(self, start: int = 0) -> list[Packet]:
        """Without those of another gateway, which sends to whoever had this port before."""
        said = self.other.said if self.other is not None else set()
        came = zip(self._socket.received[start:], self._socket.senders[start:], strict=True)
        return [_parse(packet, said) for packet, sender in came if sender == self._gateway]


def _packets_of(key: int, voice: Voice, frames: int) -> Iterator[tuple[bytes, int]]:
    """A key's packets; what lasts longer than 16 bits can tell in segments (RFC 4733 2.5.1.3)."""
    longest, unit, segment, later = 0xFFFF, voice.event_clock // 50, 0, voice.samples
    for ticks in range(unit, unit * frames + 1, unit):
        if ticks - segment > longest:
            yield struct.pack("!BBH", key, 0x0A, longest), later
            segment, later = segment + longest, longest * voice.samples // unit
        end = 0x80 if ticks == unit * frames else 0
        yield struct.pack("!BBH", key, 0x0A | end, ticks - segment), later
        later = 0


def _parse(data: bytes, said: set[bytes]) -> Packet:
    flags, kind, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    assert flags == 0x80, "no CSRC, extension or padding"
    payload = data[12:]
    marker, payload_type = bool(kind & 0x80), kind & 0x7F
    return Packet(marker, payload_type, sequence, timestamp, ssrc, payload, payload in said)


@dataclass(frozen=True)
class Talk:
    """A caller and an agent who are joined."""

    caller: Party
    agent: Party
    id: str
    api: Api
    calling: Sipp
    called: Sipp


@asynccontextmanager
async def joined(
    world: World,
    api: Api,
    peer: StartPeer,
    offered: str = SDP,
    answered: str = AGENT_SDP,
    *,
    voices: tuple[Voice, Voice] = (PCMU, PCMU),
    meanwhile: Callable[[Caller], object] | None = None,
    agent_meanwhile: Callable[[Agent], object] | None = None,
    number: str = "200",
    step: int = 1,
) -> AsyncIterator[Talk]:
    """Two who speak until the block ends; then the gateway hangs up.

    Args:
        offered: the caller's SDP.
        answered: the agent's.
        voices: what the caller and the agent say.
        meanwhile: adds what the caller does in its dialog before it is hung up on.
        agent_meanwhile: what the agent does in its own.
        number: dialled.
        step: from the number of each of the caller's packets to the next.
    """
    async with RtpSocket(CARRIER) as phone, RtpSocket(PBX, ssrc=0xA6E27) as desk:
        phone.step = step
        caller = Party(phone, _events(offered), voices[0])
        agent = Party(desk, _events(answered), voices[1])
        caller.other, agent.other = agent, caller
        called = Agent("talks").is_called().answers(sdp=audio_at(agent.port, sdp=answered))
        calling = Caller("talks").dials(sdp=audio_at(caller.port, sdp=offered)).is_answered()
        if meanwhile is not None:
            meanwhile(calling)
        if agent_meanwhile is not None:
            agent_meanwhile(called)
        at_pbx = await peer(called.is_hung_up_on(), address=PBX, port=world.pbx_port)
        sipp = await peer(
            calling.is_hung_up_on(), address=CARRIER, gateway=world.address, number=number
        )
        speaking = [asyncio.create_task(party.speak()) for party in (caller, agent)]
        live = await api.only_call()
        try:
            yield Talk(caller, agent, live["id"], api, sipp, at_pbx)
        finally:
            assert (await api.decide(live["id"], "hangup")).status_code == 202
            await api.record()
            for each in speaking:
                each.cancel()
            await asyncio.gather(*speaking, return_exceptions=True)


def _events(sdp: str) -> int:
    found = re.search(r"rtpmap:(\d+) telephone-event", sdp)
    return int(found[1]) if found else EVENTS


def assert_one_stream(packets: Sequence[Packet], *, longest: int = 100 * FRAME) -> None:
    """One SSRC, and numbers without a gap, whoever has encoded what."""
    assert len({packet.ssrc for packet in packets}) == 1
    steps = [(later.sequence - earlier.sequence) & 0xFFFF for earlier, later in pairwise(packets)]
    assert set(steps) == {1}
    spans = [
        (later.timestamp - earlier.timestamp) & 0xFFFFFFFF for earlier, later in pairwise(packets)
    ]
    assert max(spans) <= longest, "never back, and never far ahead"


def numbers(packets: Sequence[Packet]) -> set[int]:
    """Of the frames of G.711 that can be read, decoded on the way or not."""
    return set(numbers_of_mulaw(b"".join(e.payload for e in packets if e.payload_type in (0, 8))))


def cost(packets: Sequence[Packet]) -> int:
    """Frames that are missing between the first and the last one that came."""
    came = numbers(packets)
    return max(came) - min(came) + 1 - len(came)


def media(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What the record says of both legs, the caller's first."""
    assert record["media"].keys() == {"caller", "agent-1"}
    return [record["media"][leg] for leg in ("caller", "agent-1")]
