"""The SIP ladder is a picture one can read in a ticket."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import ladder
from gateway.ladder import WIDTH, Arrow, describe
from sip.events import Direction

RECEIVED, SENT = Direction.RECEIVED, Direction.SENT
CALLER, AGENT, SECOND = "192.0.2.5:5060", "192.0.2.9:5060", "192.0.2.9:5062"


def row(offset_ms: int, leg: str, peer: str, direction: Direction, text: str) -> dict[str, Any]:
    return {
        "name": "sip.message",
        "offset_ms": offset_ms,
        "leg": leg,
        "peer": peer,
        "direction": direction.value,
        "text": text.replace("\n", "\r\n"),
    }


INVITE = "INVITE sip:1000@h SIP/2.0\nCSeq: 1 INVITE\nContent-Type: application/sdp\n\nv=0\n"
RINGING = "SIP/2.0 180 Ringing\nCSeq: 1 INVITE\n\n"
OK = "SIP/2.0 200 OK\nCSeq: 1 INVITE\nc: application/sdp\n\nv=0\n"
BUSY = 'SIP/2.0 486 Busy Here\nCSeq: 1 INVITE\nReason: Q.850;cause=17;text="User busy"\n\n'
BYE = "BYE sip:x SIP/2.0\nCSeq: 2 BYE\n\n"

TRANSFER = [
    row(0, "caller", CALLER, RECEIVED, INVITE),
    row(3, "caller", CALLER, SENT, OK),
    {"name": "node.entered", "offset_ms": 4, "node": "desk"},
    row(1010, "agent-1", AGENT, SENT, INVITE),
    row(1030, "agent-1", AGENT, RECEIVED, BUSY),
    row(2500, "agent-2", SECOND, SENT, INVITE),
    row(2540, "agent-2", SECOND, RECEIVED, RINGING),
    row(12345, "caller", CALLER, RECEIVED, BYE),
]

PICTURE = """\
      ms  caller                      gateway                     agent-1                     agent-2
          192.0.2.5:5060                                          192.0.2.9:5060              192.0.2.9:5062
          |                           |                           |                           |
       0  |------ INVITE (SDP) ------>|                           |                           |
       3  |<---- 200 INVITE (SDP) ----|                           |                           |
    1010  |                           |------ INVITE (SDP) ------>|                           |
    1030  |                           |<- 486 INVITE (Q.850 1.. --|                           |
    2500  |                           |-------------------- INVITE (SDP) -------------------->|
    2540  |                           |<--------------------- 180 INVITE ---------------------|
   12345  |---------- BYE ----------->|                           |                           |
"""  # noqa: E501 — a picture

TWO_COLUMNS = """\
      ms  caller                                    gateway
          192.0.2.5:5060
          |                                         |
       0  |------------- INVITE (SDP) ------------->|
      20  |<----------------- BYE ------------------|
"""


def test_caller_gateway_and_two_agents() -> None:
    assert ladder.draw(ladder.arrows(TRANSFER)) == PICTURE


def test_a_call_without_a_second_leg() -> None:
    arrows = [
        Arrow(0, "caller", CALLER, RECEIVED, "INVITE (SDP)"),
        Arrow(20, "caller", CALLER, SENT, "BYE"),
    ]
    assert ladder.draw(arrows) == TWO_COLUMNS


def test_legs_beyond_four_columns_share_the_last_one_under_their_own_name() -> None:
    legs = ("caller", "agent-1", "agent-2", "agent-3")
    arrows = [Arrow(0, leg, AGENT, SENT, "INVITE") for leg in legs]
    picture = ladder.draw(arrows)
    assert "agent-3: INVITE" in picture
    assert "agent-1: INVITE" not in picture


def test_the_picture_fits_its_width() -> None:
    long = [Arrow(10**6, leg, "255.255.255.255:65535", SENT, "x" * 200) for leg in "abcdef"]
    assert max(map(len, ladder.draw(long).splitlines())) <= WIDTH


def test_a_call_without_messages_says_so() -> None:
    assert ladder.draw([]) == "no SIP messages\n"


@pytest.mark.parametrize(
    ("message", "label"),
    [
        (INVITE, "INVITE (SDP)"),
        (OK, "200 INVITE (SDP)"),
        ("ACK sip:x SIP/2.0\n\n", "ACK"),
        (BUSY, "486 INVITE (Q.850 17 User busy)"),
        (
            "REFER sip:x SIP/2.0\nRefer-To: <sip:+49301@h?X=1>\n\n",
            "REFER -> sip:+49301@h",
        ),
        ("REFER sip:x SIP/2.0\nr: sip:a@h\n\n", "REFER -> sip:a@h"),
        (
            "NOTIFY sip:x SIP/2.0\nContent-Type: message/sipfrag\n\nSIP/2.0 486 Busy Here\n",
            "NOTIFY [486 Busy Here]",
        ),
        (
            "NOTIFY sip:x SIP/2.0\nSubscription-State: terminated;reason=noresource\n\n",
            "NOTIFY [terminated]",
        ),
        (
            "SIP/2.0 503 Service Unavailable\nCSeq: 7 INVITE\nRetry-After: 30\n\n",
            "503 INVITE (retry after 30 s)",
        ),
        ("BYE sip:x SIP/2.0\nReason: SIP;cause=200\n\n", "BYE (SIP 200)"),
        ("garbage", "garbage"),
        ("SIP/2.0", "SIP/2.0"),
        ("", ""),
    ],
)
def test_a_message_in_a_few_words(message: str, label: str) -> None:
    assert describe(message.replace("\n", "\r\n")) == label
    assert describe(message) == label
