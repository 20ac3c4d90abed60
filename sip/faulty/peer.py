"""The faulty peer on its socket: who calls whom, and the time. What is said is the dialogs'."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from types import TracebackType
from typing import Self, cast

from config.uri import parse_uri
from sip.errors import BindError
from sip.faulty import wording
from sip.faulty.dialog import Dialog, Place
from sip.faulty.steps import Behaviour
from sip.message import Message

SIP_PORT = 5060

Address = tuple[str, int]
Choose = Callable[[Message], Behaviour]
"""Decides, by its INVITE, how a call from the gateway is treated."""


class FaultyPeer:
    """A SIP peer on one loopback address, until the block ends."""

    def __init__(
        self, host: str, port: int = 0, behaviour: Behaviour | Choose | None = None
    ) -> None:
        """
        Args:
            host: a loopback address: a misbehaving peer has no business elsewhere.
            port: its SIP port; 0: any.
            behaviour: how calls that the gateway places are treated; default: rightly.

        Raises:
            ValueError: `host` is no loopback address.
        """
        if not IPv4Address(host).is_loopback:
            raise ValueError(f"{host} is no loopback address")
        self.host = host
        self.port = port
        self.behaviour = behaviour or Behaviour()
        self.calls: dict[str, FaultyCall] = {}
        """By Call-ID, those placed and those taken."""
        self.strays: list[Message] = []
        """Requests outside every dialog: OPTIONS, REGISTER."""
        self._transport: asyncio.DatagramTransport | None = None
        self._media: socket.socket | None = None

    @property
    def uri(self) -> str:
        """Where it is dialled."""
        return f"sip:faulty@{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Bind. Raises BindError."""
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._media.bind((self.host, 0))
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Receiver(self._received), local_addr=(self.host, self.port)
            )
        except OSError as error:
            self._media.close()
            raise BindError("udp", self.host, self.port, error.strerror or str(error)) from error
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of the sockets; calls that are still up hear nothing more."""
        for call in self.calls.values():
            call.close()
        if self._transport is not None:
            self._transport.close()
        if self._media is not None:
            self._media.close()

    async def call(
        self,
        uri: str,
        behaviour: Behaviour | None = None,
        *,
        caller: str = "+493055501",
        headers: Iterable[str] = (),
    ) -> FaultyCall:
        """Place a call; returns as soon as the INVITE is out."""
        at = parse_uri(uri)
        dialog = Dialog(self._place(), behaviour or Behaviour())
        call = FaultyCall(dialog, (at.host, at.port or SIP_PORT), self._send)
        datagrams = dialog.dial(uri, caller, headers, _now())
        self.calls[dialog.heard.sent[0].header("Call-ID")] = call
        call.pass_on(datagrams)
        return call

    def received(self, method: str) -> list[Message]:
        """Every request of this method that came in, in any call."""
        return [message for call in self.calls.values() for message in call.received(method)]

    def _received(self, data: bytes, origin: Address) -> None:
        message = Message(data.decode("utf-8", "replace"))
        call_id = message.header("Call-ID")
        if not call_id:
            return  # a keep-alive
        if call_id not in self.calls:
            if message.method != "INVITE" or message.status is not None:
                self._stray(message, origin)
                return
            chosen = self.behaviour if isinstance(self.behaviour, Behaviour) else None
            behaviour = chosen or cast("Choose", self.behaviour)(message)
            self.calls[call_id] = FaultyCall(Dialog(self._place(), behaviour), origin, self._send)
        self.calls[call_id].take(message)

    def _stray(self, message: Message, origin: Address) -> None:
        """Outside every dialog: OPTIONS and the like are fine, what belongs to a dialog is not."""
        if message.status is not None or message.method == "ACK":
            return
        self.strays.append(message)
        within = message.method in ("BYE", "CANCEL", "REFER", "NOTIFY", "INFO", "UPDATE")
        code, phrase = (481, "Call/Transaction Does Not Exist") if within else (200, "OK")
        self._send(
            wording.response(message, code, phrase, tag="stray", headers=(wording.ALLOW,)), origin
        )

    def _send(self, text: str, to: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(text.encode(), to)

    def _place(self) -> Place:
        if self._media is None:
            raise RuntimeError("the peer is not open: use `async with`")
        return Place(self.host, self.port, self._media.getsockname()[1])


class FaultyCall:
    """One call of the peer: its dialog on the wire."""

    def __init__(self, dialog: Dialog, remote: Address, send: Callable[[str, Address], None]):
        self._dialog = dialog
        self._remote = remote
        self._send = send
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()

    @property
    def behaviour(self) -> Behaviour:
        """What it does from now on; may be set."""
        return self._dialog.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._dialog.behaviour = behaviour

    @property
    def confirmed(self) -> bool:
        """Whether it was ever answered."""
        return self._dialog.confirmed

    @property
    def over(self) -> bool:
        """Whether it is gone, and every script at its end."""
        return self._dialog.over

    def received(self, method: str) -> list[Message]:
        """The requests of this method that came in it, repeated ones included."""
        heard = self._dialog.heard.received
        return [message for message in heard if message.status is None and message.method == method]

    def sent(self, method: str) -> list[Message]:
        """The requests of this method that it sent."""
        heard = self._dialog.heard.sent
        return [message for message in heard if message.status is None and message.method == method]

    def statuses(self, method: str) -> list[int]:
        """The statuses of the gateway's responses to our requests of this method."""
        heard = self._dialog.heard.received
        return [m.status for m in heard if m.status is not None and m.method == method]

    async def finished(self, within: float) -> None:
        """Wait until it is over. Raises TimeoutError."""
        await self.until(lambda: self.over, within)

    async def until(self, holds: Callable[[], bool], within: float) -> None:
        """Wait until something holds that a message or a timer of this call brings about.

        Raises:
            TimeoutError: it did not within so many seconds.
        """
        async with asyncio.timeout(within):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def hang_up(self) -> None:
        """Send BYE."""
        self.pass_on(self._dialog.hang_up(_now()))

    def take(self, message: Message) -> None:
        """A message of this call came in."""
        self.pass_on(self._dialog.receive(message, _now()))

    def pass_on(self, datagrams: Iterable[str]) -> None:
        """Send what the dialog says, and wake it when it wants."""
        for text in datagrams:
            self._send(text, self._remote)
        self._news.set()
        self.close()
        deadline = self._dialog.deadline
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def close(self) -> None:
        """Stop its clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        self.pass_on(self._dialog.tick(_now()))


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Asyncio's callback."""
        self._received(data, addr)


def _now() -> float:
    return asyncio.get_running_loop().time()
