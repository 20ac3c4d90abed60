"""A hostile peer inside a dialog: it gets a call up in good order, and then misbehaves."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from dataclasses import dataclass
from random import Random
from typing import Self

from sip.message import Message
from tests.fuzz.mutations import mutated
from tests.fuzz.wire import Wire

SDP = """v=0
o=peer 1 1 IN IP4 {host}
s=-
c=IN IP4 {host}
t=0 0
m=audio {port} RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
""".replace("\n", "\r\n")

ROOM_LIMIT = 60.0
"""Seconds that the gateway may be full: Timer B ends what nobody answers after 32 s."""

SDP_TYPE = "Content-Type: application/sdp"
DTMF_TYPE = "Content-Type: application/dtmf-relay"
SIPFRAG_TYPE = "Content-Type: message/sipfrag;version=2.0"


def offer(wire: Wire) -> str:
    """SDP that asks for audio at a port where nobody listens."""
    return SDP.replace("{host}", wire.host).replace("{port}", "9")


def strangers(wire: Wire, number: str, rng: Random) -> bytes:
    """A mutated request outside every dialog."""
    method, *rest = rng.choice(
        (
            ("INVITE", SDP_TYPE, "Supported: 100rel, timer", "Session-Expires: 1800"),
            ("INVITE", SDP_TYPE, "Replaces: abc;to-tag=1;from-tag=2"),
            ("OPTIONS", "Accept: application/sdp"),
            ("REGISTER", "Expires: 300"),
            ("SUBSCRIBE", "Event: presence"),
            ("MESSAGE", "Content-Type: text/plain"),
            ("REFER", "Refer-To: <sip:someone@127.0.0.77?X-Inj=1>"),
            ("NOTIFY", "Event: refer", "Subscription-State: active", SIPFRAG_TYPE),
            ("CANCEL",),
            ("BYE",),
            ("ACK",),
            ("PRACK", "RAck: 1 1 INVITE"),
        )
    )
    body = offer(wire) if SDP_TYPE in rest else ""
    return mutated(wire.request(method, number, *rest, body=body), rng)


@dataclass
class Dialog:
    """A call that is up, as its caller sees it."""

    wire: Wire
    call_id: str
    local: str
    remote: str
    target: str
    rtp_port: int
    cseq: int = 1

    @classmethod
    async def begin(cls, wire: Wire, number: str) -> Self:
        """INVITE, 200, ACK; once more where the gateway has no room and says when to come back.

        Legs of peers that fell silent stay until their timers end them, so a long run fills it.
        Raises AssertionError.
        """
        limit = time.monotonic() + ROOM_LIMIT
        while True:
            call_id, tag = secrets.token_hex(8), secrets.token_hex(4)
            local = f"<sip:+4930555@{wire.host}>;tag={tag}"
            wire.ask(
                "INVITE",
                number,
                SDP_TYPE,
                body=offer(wire),
                From=local,
                Call_ID=call_id,
                CSeq="1 INVITE",
            )
            final = await wire.final(call_id)
            if final.status == 200:
                break
            assert final.status == 503, final.text
            assert time.monotonic() < limit, f"no room for {ROOM_LIMIT} s"
            await asyncio.sleep(float(final.header("Retry-After")))
        contact = re.search(r"<(.*?)>", final.header("Contact"))
        media = re.search(r"m=audio (\d+)", final.text)
        assert contact is not None
        assert media is not None
        dialog = cls(wire, call_id, local, final.header("To"), contact[1], int(media[1]))
        wire.send(dialog.request("ACK"))
        return dialog

    def request(self, method: str, *headers: str, body: str = "") -> bytes:
        """A well-formed request of this dialog."""
        if method != "ACK":
            self.cseq += 1
        return self.wire.request(
            method,
            self.target,
            *headers,
            body=body,
            From=self.local,
            To=self.remote,
            Call_ID=self.call_id,
            CSeq=f"{self.cseq} {method}",
        )

    def harm(self, rng: Random) -> bytes:
        """A mutated request of this dialog; BYE aside, so that the call stays up for more."""
        method, *rest = rng.choice(
            (
                ("INVITE", SDP_TYPE),
                ("UPDATE", SDP_TYPE),
                ("INFO", DTMF_TYPE),
                ("NOTIFY", "Event: refer", "Subscription-State: active;expires=60", SIPFRAG_TYPE),
                ("NOTIFY", "Event: refer", "Subscription-State: terminated", SIPFRAG_TYPE),
                ("REFER", "Refer-To: <sip:someone@127.0.0.77>"),
                ("PRACK", "RAck: 1 1 INVITE"),
                ("OPTIONS",),
                ("ACK",),
                ("MESSAGE", "Content-Type: text/plain"),
            )
        )
        body = ""
        if SDP_TYPE in rest:
            body = offer(self.wire)
        elif DTMF_TYPE in rest:
            body = "Signal=5\r\nDuration=160\r\n"
        elif SIPFRAG_TYPE in rest:
            body = rng.choice(
                ("SIP/2.0 100 Trying\r\n", "SIP/2.0 486 Busy Here\r\n", "SIP/2.0 200 OK\r\n")
            )
        return mutated(self.request(method, *rest, body=body), rng)

    def reply(self, request: Message, rng: Random | None = None) -> None:
        """Answer a request of the gateway: 200, or with `rng` something mutated."""
        status = (
            "200 OK"
            if rng is None
            else rng.choice(("202 Accepted", "486 Busy Here", "180 Ringing"))
        )
        copied = [
            f"{name}: {value}"
            for name, value in request.headers
            if name.lower() in ("via", "from", "to", "call-id", "cseq")
        ]
        contact = f"Contact: <sip:peer@{self.wire.host}:{self.wire.port}>"
        lines = (f"SIP/2.0 {status}", *copied, contact, "Content-Length: 0", "", "")
        response = "\r\n".join(lines).encode()
        self.wire.send(response if rng is None else mutated(response, rng))

    def end(self) -> None:
        """BYE. Whether the call is still there is not asked."""
        self.wire.send(self.request("BYE"))
