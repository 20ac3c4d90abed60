"""A NOTIFY's status line is found in whatever body a peer puts it (RFC 3420, RFC 3515 2.4.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.message import Message
from sip.sipfrag import Sipfrag, sipfrag

PART = "\r\n".join(
    [
        "--edge",
        "Content-Type: text/plain",
        "",
        "The call ended.",
        "--edge",
        "Content-Type: message/sipfrag;version=2.0",
        "",
        "SIP/2.0 486 Busy Here",
        "--edge--",
        "",
    ]
)


def notify(body: str, kind: str = "message/sipfrag;version=2.0") -> Message:
    content_type = f"Content-Type: {kind}\r\n" if kind else ""
    return Message(f"NOTIFY sip:gateway SIP/2.0\r\nEvent: refer\r\n{content_type}\r\n{body}")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("SIP/2.0 503 Service Unavailable\r\n", (503, "Service Unavailable")),
        ("SIP/2.0 503 Service Unavailable", (503, "Service Unavailable")),
        ("SIP/2.0 200\r\n", (200, "")),
        ("SIP/2.0 200", (200, "")),
        ("\r\nSIP/2.0 200 OK\r\n", (200, "OK")),
        ("sip/2.0 180 ringing\r\nX: y", (180, "ringing")),
        ("SIP/2.0  486   Busy\tHere \n", (486, "Busy\tHere")),
        ("SIP/2.0 200 OK\r\nTo: <sip:a@b>;tag=1\r\nContact: <sip:a@c>\r\n\r\n", (200, "OK")),
        ("SIP/2.0 99 Odd", None),
        ("SIP/2.0 700 Odd", None),
        ("SIP/2.0 2000 Odd", None),
        ("SIP/2.0 ²00 Odd", None),
        ("SIP/2.0 20x Odd", None),
        ("HTTP/1.1 200 OK", None),
        ("200 OK", None),
        ("\x00\xff garbage", None),
        ("", None),
    ],
)
def test_a_status_line_is_read(body: str, found: tuple[int, str] | None) -> None:
    told = sipfrag(notify(body))
    assert (told and (told.code, told.reason)) == found


@pytest.mark.parametrize("kind", ["", "message/sipfrag", "text/plain", "Message/SIPfrag; a=b"])
def test_whatever_the_content_type_says(kind: str) -> None:
    assert sipfrag(notify("SIP/2.0 486 Busy Here", kind)) == Sipfrag(486, "Busy Here")


@pytest.mark.parametrize("kind", ["multipart/mixed;boundary=edge", "Multipart/Related"])
def test_a_part_of_a_multipart_body_is_read(kind: str) -> None:
    assert sipfrag(notify(PART, kind)) == Sipfrag(486, "Busy Here")


def test_a_multipart_body_without_a_fragment_tells_nothing() -> None:
    assert sipfrag(notify("--edge\r\n\r\nnothing\r\n--edge--", "multipart/mixed")) is None


def test_the_fragments_retry_after_is_kept() -> None:
    told = sipfrag(notify("SIP/2.0 503 Service Unavailable\r\nRetry-After: 7 (soon)\r\n"))
    assert told == Sipfrag(503, "Service Unavailable", 7)


@given(st.text(), st.sampled_from(["", "multipart/mixed"]))
def test_any_body_is_read_without_an_error(body: str, kind: str) -> None:
    told = sipfrag(notify(body, kind))
    assert told is None or 100 <= told.code <= 699
