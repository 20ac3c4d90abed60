"""RTP by hand: a socket that sends a tone as PCMU and keeps what comes, from any address."""

from __future__ import annotations

import asyncio
import io
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import soundfile

from sip.audio import Pcm
from tests.peers import network

RATE = 8000

FRAME = 160
"""Samples of 8 kHz in 20 ms, a byte each in PCMU (RFC 3551 section 4.5.14)."""

BEHIND = 0.06
"""Seconds that a jitter buffer takes without a loss."""

PCMU = 0

COMFORT_NOISE = 13
"""Its payload type (RFC 3389 section 4)."""

_HEADER = struct.Struct("!BBHII")


class RtpSocket:
    """One end of an RTP session (RFC 3550), without jitter buffer or RTCP."""

    def __init__(self, address: str, port: int = 0, ssrc: int = 0x5117C400) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._socket.setblocking(False)
        self.ssrc = ssrc
        self.step = 1
        """From the number of one packet to the next one's."""
        self._sequence = 0
        self._timestamp = 0
        self.address: tuple[str, int] = self._socket.getsockname()
        """Its own address and port."""
        self.received: list[bytes] = []
        """Every packet, whoever sent it."""
        self.senders: list[tuple[str, int]] = []
        """Who has sent each of them."""

    @property
    def port(self) -> int:
        """Its own port."""
        return self.address[1]

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._socket, self._take)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    async def spoken_to(self) -> tuple[str, int]:
        """Where the gateway's audio comes from: it speaks first."""
        await network.until(lambda: bool(self.senders), "the gateway sends audio")
        return self.senders[-1]

    def send(
        self,
        payload: bytes,
        to: tuple[str, int],
        payload_type: int = PCMU,
        samples: int = FRAME,
    ) -> None:
        """One packet with this payload, which stands for so many samples."""
        self._sequence += self.step
        self._timestamp += samples
        timestamp = self._timestamp & 0xFFFFFFFF
        head = _HEADER.pack(0x80, payload_type, self._sequence & 0xFFFF, timestamp, self.ssrc)
        self.send_raw(head + payload, to)

    def skip(self, samples: int) -> None:
        """Time passes in which nothing is sent."""
        self._timestamp += samples

    def lose(self, samples: int) -> None:
        """One packet is sent that the network loses."""
        self._sequence += self.step
        self._timestamp += samples

    def change(self, ssrc: int, numbers: int, samples: int) -> None:
        """Go on as another source, with numbers and timestamps that are so much greater."""
        self.ssrc = ssrc
        self._sequence += numbers
        self._timestamp += samples

    def send_raw(self, packet: bytes, to: tuple[str, int]) -> None:
        """Anything at all."""
        with suppress(BlockingIOError):
            self._socket.sendto(packet, to)

    async def say(self, pcm: Pcm, to: tuple[str, int], *, frame: int = FRAME) -> None:
        """Audio of 8 kHz in real time, in packets of `frame` samples; see `stream`."""
        encoded = mulaw(np.frombuffer(pcm.samples, "<i2"))
        starts = range(0, len(encoded) - frame + 1, frame)
        await self.stream((encoded[at : at + frame] for at in starts), to, samples=frame)

    async def stream(
        self,
        payloads: Iterable[bytes],
        to: tuple[str, int],
        payload_type: int = PCMU,
        *,
        samples: int = FRAME,
        clock: int = RATE,
    ) -> None:
        """Packets in real time, each of so many samples of an RTP clock of `clock` Hz.

        Held up for longer than `BEHIND` it goes on late, rather than in a burst.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        for payload in payloads:
            self.send(payload, to, payload_type, samples)
            due = max(due, loop.time() - BEHIND) + samples / clock
            await asyncio.sleep(due - loop.time())

    def _take(self) -> None:
        with suppress(BlockingIOError):
            while True:
                packet, sender = self._socket.recvfrom(2048)
                self.received.append(packet)
                self.senders.append(sender)


def mulaw(samples: npt.NDArray[np.int16]) -> bytes:
    """G.711 µ-law, a byte for each sample."""
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, 8000, format="RAW", subtype="ULAW")
    return encoded.getvalue()
