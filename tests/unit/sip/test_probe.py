"""What a peer's answer to OPTIONS tells (RFC 3261 section 11.2)."""

from __future__ import annotations

import pytest

from sip.faulty import wording
from sip.message import Message
from sip.probe.answer import Told, codecs, read

SDP = """v=0
m=audio 4000 RTP/SAVP 9 8 0 101 96
a=rtpmap:101 telephone-event/8000
a=rtpmap:96 opus/48000/2
"""


def answer(*lines: str, body: str = "") -> Message:
    return Message("\r\n".join(["SIP/2.0 200 OK", "CSeq: 1 OPTIONS", *lines, "", body]))


def test_methods_and_extensions() -> None:
    told = read(
        answer(
            "Allow: INVITE, ACK,BYE ,refer",
            "Allow: UPDATE",
            "Supported: replaces, 100rel",
            "Server: sbc/1",
        )
    )
    assert told.allow == ("INVITE", "ACK", "BYE", "refer", "UPDATE")
    assert told.agent == "sbc/1"
    found = {each.name: each.told for each in told.capabilities()}
    assert found == {
        "REFER": Told.YES,
        "NOTIFY": Told.NO,
        "Replaces": Told.YES,
        "UPDATE": Told.YES,
        "timer": Told.NO,
        "PRACK": Told.YES,
        "INFO": Told.NO,
    }


def test_what_is_not_told_is_not_denied() -> None:
    """RFC 3261 section 20.5: without Allow nothing is said about methods."""
    assert {each.told for each in read(answer()).capabilities()} == {Told.NOTHING}


def test_a_challenge_names_its_realm() -> None:
    assert read(answer('WWW-Authenticate: Digest realm="a b", nonce="1"')).realm == "a b"


@pytest.mark.parametrize(
    ("sdp", "expected"),
    [
        (SDP, ("G722/8000", "PCMA/8000", "PCMU/8000", "telephone-event/8000", "opus/48000")),
        ("v=0\r\nm=audio 0 RTP/AVP 97\r\n", ("type 97",)),
        (wording.sdp("127.0.0.1", 9), ("PCMU/8000", "PCMA/8000", "telephone-event/8000")),
        ("v=0\r\n", ()),
        ("", ()),
    ],
)
def test_codecs_in_the_peers_order(sdp: str, expected: tuple[str, ...]) -> None:
    assert codecs(sdp) == expected


def test_srtp_is_seen() -> None:
    assert read(answer("Content-Type: application/sdp", body=SDP)).profile == "RTP/SAVP"
