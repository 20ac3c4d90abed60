"""Requests and responses as text (RFC 3261 section 7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from sip.message import Message

CRLF = "\r\n"
ALLOW = "Allow: INVITE, ACK, CANCEL, BYE, REFER, NOTIFY, OPTIONS, INFO, UPDATE"
BRANCH = "z9hG4bK"
"""RFC 3261 section 8.1.1.7: every branch begins so."""

REASONS = {
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    600: "Busy Everywhere",
    603: "Decline",
}


def reason(code: int) -> str:
    """The usual reason phrase of a status."""
    if code in REASONS:
        return REASONS[code]
    return HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else "Refused"


def sdp(address: str, port: int, direction: str = "sendrecv") -> str:
    """G.711 and RFC 4733, as an offer or an answer (RFC 3264)."""
    lines = (
        "v=0",
        f"o=faulty 1 1 IN IP4 {address}",
        "s=-",
        f"c=IN IP4 {address}",
        "t=0 0",
        f"m=audio {port} RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        f"a={direction}",
    )
    return "".join(line + CRLF for line in lines)


def only_g711(body: str) -> bool:
    """Whether an SDP has no other codec than PCMU and PCMA, packets of 20 ms, and no keys."""
    codecs = set(re.findall(r"^a=rtpmap:\d+ ([\w-]+)/", body, re.MULTILINE))
    lengths = set(re.findall(r"^a=ptime:(\d+)", body, re.MULTILINE))
    known = codecs <= {"PCMU", "PCMA", "telephone-event"} and lengths <= {"20"}
    return known and "a=crypto" not in body


def response(
    request: Message,
    code: int,
    reason: str,
    *,
    tag: str,
    headers: Iterable[str] = (),
    body: str = "",
) -> str:
    """A response to `request`: what must be copied from it is (RFC 3261 section 8.2.6.2).

    Args:
        tag: of our To, where the request has none and the response is not 100.
        headers: whole lines; a body's Content-Type among them.
    """
    lines = [f"SIP/2.0 {code} {reason}"]
    lines += [f"Via: {value}" for value in _all(request, "via")]
    lines += [f"Record-Route: {value}" for value in _all(request, "record-route")]
    to = request.header("To")
    if code > 100 and ";tag=" not in to.lower():
        to = f"{to};tag={tag}"
    lines += [f"From: {request.header('From')}", f"To: {to}"]
    lines += [f"Call-ID: {request.header('Call-ID')}", f"CSeq: {request.header('CSeq')}"]
    return _closed([*lines, *headers], body)


def request(
    method: str,
    uri: str,
    *,
    via: str,
    dialog: Sequence[str],
    cseq: str,
    headers: Iterable[str] = (),
    body: str = "",
) -> str:
    """A request. `via`: `host:port` and branch; `dialog`: the lines From, To, Call-ID, Route."""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {via};rport",
        "Max-Forwards: 70",
        *dialog,
        f"CSeq: {cseq}",
        *headers,
    ]
    return _closed(lines, body)


def _all(message: Message, name: str) -> list[str]:
    return [value for header, value in message.headers if header.lower() == name]


def _closed(lines: list[str], body: str) -> str:
    head = CRLF.join([*lines, f"Content-Length: {len(body.encode())}"])
    return f"{head}{CRLF}{CRLF}{body}"
