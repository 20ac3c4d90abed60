"""A SIP peer that notes when each request came, to the microsecond: what SIPp cannot tell.

The kernel says when, so that it does not matter what else this process had to do. The peer does
as little as the measurements need: it calls, acknowledges and is hung up on; it refuses a REFER,
and an INVITE after a while. On loopback nothing is repeated.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

from sip.message import Message, address, user_part

SDP = """v=0
o=peer 1 1 IN IP4 {address}
s=-
c=IN IP4 {address}
t=0 0
m=audio {port} RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""

SO_TIMESTAMPNS = 35
"""Linux' socket(7): each datagram comes with the moment at which the kernel got it."""

_TIMESPEC = struct.Struct("@qq")


class SipPeer:
    """One address of the trunk or of the PBX. Calls are known by the user part of their From."""

    def __init__(self, host: str, busy_after: float = 0.0) -> None:
        """`busy_after`: seconds from an INVITE to our 486."""
        self.invited: dict[str, float] = {}
        """Monotonic seconds at which an INVITE came, by caller."""
        self.referred: dict[str, float] = {}
        """The same for REFER."""
        self.refused: dict[str, float] = {}
        """When our 486 left, by caller."""
        self._host = host
        self._busy_after = busy_after

    async def open(self, port: int = 0) -> None:
        """Take this port; 0: any."""
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        self._socket.bind((self._host, port))
        self._port = self._socket.getsockname()[1]
        self._loop.add_reader(self._socket, self._receive)

    async def calls(
        self, gateway: tuple[str, int], number: str, media_ports: Sequence[int], rate: float
    ) -> None:
        """Call `number` from each of these ports, `rate` times a second; the callers are named 0, 1
        and so on. Each 200 is acknowledged."""
        begin = self._loop.time()
        for call, media_port in enumerate(media_ports):
            await asyncio.sleep(max(0.0, begin + call / rate - self._loop.time()))
            self._call(gateway, number, str(call), media_port)

    def _call(self, gateway: tuple[str, int], number: str, caller: str, media_port: int) -> None:
        body = SDP.format(address=self._host, port=media_port).replace("\n", "\r\n")
        self._to_gateway(
            gateway,
            f"INVITE sip:{number}@{gateway[0]}:{gateway[1]} SIP/2.0",
            f"From: <sip:{caller}@{self._host}>;tag={caller}",
            f"To: <sip:{number}@{gateway[0]}>",
            f"Call-ID: {caller}@{self._host}",
            "CSeq: 1 INVITE",
            "Content-Type: application/sdp",
            body=body,
        )

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while True:
                data, [(_, _, stamp)], _, gateway = self._socket.recvmsg(
                    65536, socket.CMSG_SPACE(_TIMESPEC.size)
                )
                seconds, nanoseconds = _TIMESPEC.unpack(stamp)
                age = time.time() - (seconds + nanoseconds / 1e9)
                self._take(Message(data.decode()), gateway, time.monotonic() - age)

    def _take(self, message: Message, gateway: tuple[str, int], at: float) -> None:
        if message.status is not None:
            if message.status == 200 and message.method == "INVITE":
                self._acknowledge(message, gateway)
            return
        caller = message.header("Call-ID").partition("@")[0]
        match message.method:
            case "INVITE":
                caller = user_part(message.header("From"))
                self.invited.setdefault(caller, at)
                self._loop.call_later(self._busy_after, self._refuse, message, gateway, caller)
            case "REFER":
                self.referred.setdefault(caller, at)
                self._answer(message, gateway, "603 Decline")
            case "BYE":
                self._answer(message, gateway, "200 OK")
            case "ACK":
                pass
            case _:
                self._answer(message, gateway, "200 OK")

    def _refuse(self, invite: Message, gateway: tuple[str, int], caller: str) -> None:
        self._answer(invite, gateway, "486 Busy Here")
        self.refused.setdefault(caller, time.monotonic())

    def _acknowledge(self, answer: Message, gateway: tuple[str, int]) -> None:
        self._to_gateway(
            gateway,
            f"ACK {address(answer.header('Contact'))} SIP/2.0",
            f"From: {answer.header('From')}",
            f"To: {answer.header('To')}",
            f"Call-ID: {answer.header('Call-ID')}",
            "CSeq: 1 ACK",
        )

    def _to_gateway(
        self, gateway: tuple[str, int], line: str, *headers: str, body: str = ""
    ) -> None:
        here = f"{self._host}:{self._port}"
        branch = f"z9hG4bK{time.monotonic_ns():x}"
        lines = [
            line,
            f"Via: SIP/2.0/UDP {here};branch={branch}",
            "Max-Forwards: 70",
            f"Contact: <sip:peer@{here}>",
            *headers,
            f"Content-Length: {len(body)}",
        ]
        self._send(lines, body, gateway)

    def _answer(self, request: Message, gateway: tuple[str, int], status: str) -> None:
        to = request.header("To")
        lines = [f"SIP/2.0 {status}"]
        lines += [f"Via: {value}" for name, value in request.headers if name.lower() == "via"]
        lines += [f"{name}: {request.header(name)}" for name in ("From", "Call-ID", "CSeq")]
        lines.append(f"To: {to}" if ";tag=" in to else f"To: {to};tag=peer")
        lines.append("Content-Length: 0")
        self._send(lines, "", gateway)

    def _send(self, lines: list[str], body: str, gateway: tuple[str, int]) -> None:
        self._socket.sendto("\r\n".join([*lines, "", body]).encode(), gateway)
