"""SIP messages as text (RFC 3261 section 7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.message import Message, address, user_part
from sip.redaction import without_credentials

INVITE = Message(
    "INVITE sip:+493012345@10.0.0.1;user=phone SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa\r\n"
    'f: "Ada: L" <sip:ada@10.0.0.2>;tag=1\r\n'
    "t: <sip:+493012345@10.0.0.1>\r\n"
    "i: abc@10.0.0.2\r\n"
    "CSeq: 7 INVITE\r\n"
    "X-Ticket: 4711\r\n"
    "Subject: first\r\n"
    "  second\r\n"
    "\r\n"
    "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\n"
)
BUSY = Message(
    "SIP/2.0 486 Busy Here\r\nCSeq: 7 INVITE\r\nRetry-After: 18 (lunch);duration=60\r\n\r\n"
)


def test_a_request_is_read() -> None:
    assert INVITE.method == "INVITE"
    assert INVITE.status is None
    assert INVITE.request_uri == "sip:+493012345@10.0.0.1;user=phone"
    assert INVITE.header("call-id") == "abc@10.0.0.2"
    assert INVITE.header("X-Ticket") == "4711"
    assert INVITE.header("Subject") == "first second"
    assert INVITE.header("Nothing") == ""
    assert INVITE.body.startswith("v=0")


def test_a_response_is_read() -> None:
    assert (BUSY.status, BUSY.reason, BUSY.method) == (486, "Busy Here", "INVITE")
    assert BUSY.retry_after == 18
    assert BUSY.body == ""


@pytest.mark.parametrize(
    ("value", "user", "uri"),
    [
        ('"Ada: L" <sip:ada@h;x=1>;tag=2', "ada", "sip:ada@h;x=1"),
        ("sip:ada@h;tag=2", "ada", "sip:ada@h"),
        ("<sip:h>", "", "sip:h"),
        ("<sip:+49;phone-context=x@h>", "+49", "sip:+49;phone-context=x@h"),
        ("", "", ""),
    ],
)
def test_a_party_is_read(value: str, user: str, uri: str) -> None:
    assert user_part(value) == user
    assert address(value) == uri


@given(st.text())
def test_reading_any_text_raises_nothing(text: str) -> None:
    message = Message(text)
    assert isinstance(message.headers, tuple)
    assert isinstance(message.body, str)
    user_part(text)


@pytest.mark.parametrize("line", ["SIP/2.0 ", "SIP/2.0    404", "SIP/2.0 2000 OK", "SIP/2.0 999 X"])
def test_a_status_line_without_a_status_is_none(line: str) -> None:
    assert Message(f"{line}\r\nCSeq: 1 INVITE\r\n\r\n").status is None


def test_credentials_are_taken_out_and_nothing_else() -> None:
    text = (
        "REGISTER sip:h SIP/2.0\r\n"
        'Authorization: Digest username="u", response="secret"\r\n'
        'proxy-authorization: Digest response="secret"\r\n'
        "X-Note: keep\r\n\r\nbody"
    )
    redacted = without_credentials(text)
    assert "secret" not in redacted
    assert "Authorization: Digest (removed)\r\n" in redacted
    assert "X-Note: keep\r\n\r\nbody" in redacted
    assert without_credentials("INVITE sip:h SIP/2.0\r\n\r\n") == "INVITE sip:h SIP/2.0\r\n\r\n"


def test_srtp_keys_are_removed() -> None:
    line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9|2^31|1:1"
    redacted = without_credentials(f"INVITE sip:h SIP/2.0\r\n\r\nv=0\r\n{line}\r\na=sendrecv\r\n")
    assert "WVNf" not in redacted
    assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:(removed)\r\na=sendrecv" in redacted


@pytest.mark.parametrize(
    ("headers", "causes"),
    [
        ('Reason: Q.850;cause=17;text="User busy"', ("Q.850 17 User busy",)),
        ("Reason: SIP;cause=200", ("SIP 200",)),
        (
            'Reason: Q.850 ;cause=16;text="Bye, bye" , SIP;cause=600',
            ("Q.850 16 Bye, bye", "SIP 600"),
        ),
        (
            'Warning: 304 gw "Media type not available"',
            ('Warning 304 gw "Media type not available"',),
        ),
        ('Reason: SIP;text="unfinished', ("SIP unfinished",)),
        ("Reason: ,", ()),
        ("X-Other: 1", ()),
    ],
)
def test_why_a_message_came_is_read(headers: str, causes: tuple[str, ...]) -> None:
    """RFC 3326 section 2, RFC 3261 section 20.43."""
    assert Message(f"BYE sip:x SIP/2.0\r\n{headers}\r\n\r\n").causes == causes
