"""A connection of the probe's own to a peer, and the SIP messages that come over it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

from sip.message import Message

CONNECT_LIMIT = 5.0
"""Seconds for TCP and TLS to be set up: three SYNs."""
MAX_MESSAGE = 65_536
"""Bytes of a message over TCP: no answer to OPTIONS is longer."""


class NoConnection(Exception):
    """The peer cannot be reached; the message says how that showed, and what to check."""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What a TLS connection came to."""

    version: str
    cipher: str
    names: tuple[str, ...]
    """For whom the peer's certificate is; empty where it was not verified."""
    issuer: str
    expires: str


class Line(Protocol):
    """Where messages go out and come in."""

    local: tuple[str, int]
    transport: str
    tls: TlsFacts | None

    def send(self, text: str) -> None: ...
    async def receive(self) -> Message: ...


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to reach, and how."""

    transport: str
    """`udp`, `tcp` or `tls`."""
    host: str
    address: str
    port: int
    context: ssl.SSLContext | None = None
    server_name: str = ""


@asynccontextmanager
async def connected(peer: Peer, local: str) -> AsyncIterator[Line]:
    """A line to the peer from any free port of the address `local`.

    Raises:
        NoConnection: there is none to be had.
    """
    line = await (_Datagrams.open if peer.transport == "udp" else _Stream.open)(peer, local)
    try:
        yield line
    finally:
        await line.close()


class _Datagrams(asyncio.DatagramProtocol):
    """UDP."""

    transport = "UDP"
    tls: TlsFacts | None = None

    def __init__(self) -> None:
        self._received: asyncio.Queue[Message | OSError] = asyncio.Queue()
        self._socket: asyncio.DatagramTransport | None = None
        self.local = ("", 0)

    @classmethod
    async def open(cls, peer: Peer, local: str) -> _Datagrams:
        try:
            _, line = await asyncio.get_running_loop().create_datagram_endpoint(
                cls, local_addr=(local, 0), remote_addr=(peer.address, peer.port)
            )
        except OSError as error:
            raise NoConnection(_unbound(local, error)) from error
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's callback."""
        self._socket = cast("asyncio.DatagramTransport", transport)
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Asyncio's callback."""
        if data.strip():
            self._received.put_nowait(Message(data.decode("utf-8", "replace")))

    def error_received(self, exc: Exception) -> None:
        """Asyncio's callback: an ICMP answer."""
        self._received.put_nowait(OSError(str(exc)))

    def send(self, text: str) -> None:
        if self._socket is not None:
            self._socket.sendto(text.encode())

    async def receive(self) -> Message:
        found = await self._received.get()
        if isinstance(found, OSError):
            raise NoConnection("nothing listens on that UDP port (ICMP: port unreachable)")
        return found

    async def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class _Stream:
    """TCP, and TLS over it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, transport: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.transport = transport
        self.local: tuple[str, int] = writer.get_extra_info("sockname")[:2]
        self.tls = _tls_facts(writer)

    @classmethod
    async def open(cls, peer: Peer, local: str) -> _Stream:
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                reader, writer = await asyncio.open_connection(
                    peer.address,
                    peer.port,
                    local_addr=(local, 0),
                    ssl=peer.context,
                    server_hostname=peer.server_name or None,
                    limit=MAX_MESSAGE,
                )
        except TimeoutError:
            raise NoConnection(
                f"no {peer.transport.upper()} connection in {CONNECT_LIMIT:g} s"
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise NoConnection(
                f"the peer's certificate is not accepted: {error.verify_message}; "
                "see `tls.ca` and `tls.server_name` of the trunk"
            ) from error
        except ssl.SSLError as error:
            raise NoConnection(f"TLS fails: {error.reason or error}") from error
        except ConnectionRefusedError:
            raise NoConnection("the connection is refused: nothing listens on that port") from None
        except OSError as error:
            raise NoConnection(_unbound(local, error)) from error
        return cls(reader, writer, peer.transport.upper())

    def send(self, text: str) -> None:
        self._writer.write(text.encode())

    async def receive(self) -> Message:
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).lstrip()
            while not head:
                head = (await self._reader.readuntil(b"\r\n\r\n")).lstrip()
            text = head.decode("utf-8", "replace")
            length = Message(text).header("Content-Length")
            body = await self._reader.readexactly(int(length)) if length.isdigit() else b""
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
            raise NoConnection("the peer closed the connection without an answer") from error
        return Message(text + body.decode("utf-8", "replace"))

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 1)


def _tls_facts(writer: asyncio.StreamWriter) -> TlsFacts | None:
    connection: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    if connection is None:
        return None
    certificate: dict[str, Any] = connection.getpeercert() or {}
    cipher = connection.cipher()
    issuer = dict(pair for part in certificate.get("issuer", ()) for pair in part)
    return TlsFacts(
        version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        names=tuple(value for _, value in certificate.get("subjectAltName", ())),
        issuer=issuer.get("organizationName") or issuer.get("commonName", ""),
        expires=certificate.get("notAfter", ""),
    )


def _unbound(local: str, error: OSError) -> str:
    return f"from {local}: {error.strerror or error}"
