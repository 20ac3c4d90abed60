"""A bare UDP peer: sends SIP as text, whatever it is, and keeps what comes back."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Self, cast

from sip.message import Message
from tests.peers import network

GATEWAY = "127.0.0.1"
LIMIT = network.PATIENCE

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


class Socket(asyncio.DatagramProtocol):
    """Sends SIP as text and keeps what comes back."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[Message] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()

    async def close(self) -> None:
        assert self.transport is not None
        self.transport.close()
        await self._closed.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.put_nowait(Message(data.decode()))

    async def final(self, method: str) -> Message:
        """The next final response to a request of this method."""
        async with asyncio.timeout(LIMIT):
            while True:
                message = await self.received.get()
                if message.method == method and (message.status or 0) >= 200:
                    return message

    async def request(self, method: str) -> Message:
        """The next request of this method."""
        async with asyncio.timeout(LIMIT):
            while True:
                message = await self.received.get()
                if message.status is None and message.method == method:
                    return message


@dataclass
class Peer:
    """One source address with a dialog's worth of identifiers."""

    socket: Socket
    address: str
    port: int
    gateway_port: int
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    cseq: int = 0
    to_tag: str = ""

    @classmethod
    async def at(cls, address: str, gateway_port: int, port: int = 0) -> Self:
        """One that sends from there; its socket is to be closed. Port 0: any free one."""
        loop = asyncio.get_running_loop()
        transport, socket = await loop.create_datagram_endpoint(Socket, local_addr=(address, port))
        return cls(socket, address, transport.get_extra_info("sockname")[1], gateway_port)

    def send(
        self, method: str, *headers: str, body: str = "", to: str = "100", space: str = " "
    ) -> None:
        """A request; `space` stands between its method and its URI."""
        self.cseq += 1
        tag = f";tag={self.to_tag}" if self.to_tag else ""
        lines = [
            f"{method}{space}sip:{to}@{GATEWAY}:{self.gateway_port} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK{secrets.token_hex(8)}",
            "Max-Forwards: 70",
            f"From: <sip:peer@{self.address}>;tag=here",
            f"To: <sip:{to}@{GATEWAY}>{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:peer@{self.address}:{self.port}>",
            *headers,
            f"Content-Length: {len(body)}",
        ]
        assert self.socket.transport is not None
        self.socket.transport.sendto(
            ("\r\n".join(lines) + "\r\n\r\n" + body).encode("utf-8", "surrogateescape"),
            (GATEWAY, self.gateway_port),
        )

    async def asks(self, method: str, *headers: str, body: str = "") -> Message:
        self.send(method, *headers, body=body)
        return await self.socket.final(method)

    async def calls(self, *headers: str) -> Message:
        return await self.asks("INVITE", "Content-Type: application/sdp", *headers, body=SDP)
