"""A bare UDP socket that speaks SIP as bytes, well or badly, and keeps what comes back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Self, cast

from sip.message import Message
from tests.peers import network

ANSWER_LIMIT = network.PATIENCE
"""Seconds that the gateway may take while it is being tormented, on a busy machine."""

PROBE = "probe-"


class Wire(asyncio.DatagramProtocol):
    """One address and port of a hostile peer."""

    def __init__(self, host: str, gateway: tuple[str, int]) -> None:
        self.host = host
        self.gateway = gateway
        self.received: list[Message] = []
        """Everything but answers to probes."""
        self.on_request: Callable[[Message], None] = lambda _: None
        self._probes: set[str] = set()
        self._news = asyncio.Event()

    @classmethod
    async def open(cls, host: str, gateway: tuple[str, int], port: int = 0) -> Self:
        """Bind it."""
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_datagram_endpoint(
            lambda: cls(host, gateway), local_addr=(host, port)
        )
        return wire

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = Message(data.decode("utf-8", "replace"))
        call_id = message.header("Call-ID")
        if call_id.startswith(PROBE):
            self._probes.add(call_id)
        else:
            self.received.append(message)
            if message.status is None:
                self.on_request(message)
        self._news.set()

    def send(self, message: bytes) -> None:
        """One datagram."""
        self._transport.sendto(message, self.gateway)

    def ask(self, method: str, uri: str, *headers: str, body: str = "", **named: str) -> None:
        """A well-formed request; `named` replaces From, To, Call-ID or CSeq."""
        self.send(self.request(method, uri, *headers, body=body, **named))

    def request(self, method: str, uri: str, *headers: str, body: str = "", **named: str) -> bytes:
        """The bytes of a well-formed request."""
        unique = secrets.token_hex(6)
        lines = {
            "Via": f"SIP/2.0/UDP {self.host}:{self.port};rport;branch=z9hG4bK{unique}",
            "Max-Forwards": "70",
            "From": f"<sip:+4930555@{self.host}>;tag={unique}",
            "To": f"<{uri}>",
            "Call-ID": unique,
            "CSeq": f"1 {method}",
            "Contact": f"<sip:peer@{self.host}:{self.port}>",
        }
        lines |= {name.replace("_", "-"): value for name, value in named.items()}
        written = (f"{name}: {value}" for name, value in lines.items())
        head = "\r\n".join(
            [f"{method} {uri} SIP/2.0", *written, *headers, f"Content-Length: {len(body)}"]
        )
        return f"{head}\r\n\r\n{body}".encode()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something that a message brings. Raises AssertionError."""
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            last = [message.start_line for message in self.received[-3:]]
            raise AssertionError(f"not within {ANSWER_LIMIT} s: {what}; but {last}") from None

    async def alive(self) -> None:
        """The gateway answers OPTIONS, twice one after the other.

        The second request is read after everything was worked off that came before the first: what
        has not been answered by then will not be.
        """
        for _ in range(2):
            call_id = f"{PROBE}{secrets.token_hex(6)}"
            host, port = self.gateway
            self.ask("OPTIONS", f"sip:{host}:{port}", Call_ID=call_id)
            await self.until(lambda wanted=call_id: wanted in self._probes, "OPTIONS is answered")  # type: ignore[misc]

    async def final(self, call_id: str) -> Message:
        """The final response to a request of this Call-ID. Raises AssertionError."""

        def finals() -> list[Message]:
            return [
                message
                for message in self.received
                if message.header("Call-ID") == call_id and (message.status or 0) >= 200
            ]

        await self.until(lambda: bool(finals()), "a final response")
        return finals()[0]

    def heard_something(self) -> bool:
        """Whether anything but answers to probes has come."""
        return bool(self.received)

    def finals(self, method: str) -> list[int]:
        """Final statuses received for a method; for an empty one, whatever their CSeq says."""
        return [
            message.status
            for message in self.received
            if message.status is not None
            and message.status >= 200
            and (not method or message.method == method)
        ]
