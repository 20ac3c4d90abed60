"""The SIP ladder is a picture one can read in a ticket."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ladder import svg, text
from gateway.ladder.rows import Arrow, Kind, Note, describe, rows
from gateway.ladder.text import WIDTH
from sip.events import Direction
from tests.unit.gateway.scene import ATTEMPT

RECEIVED, SENT = Direction.RECEIVED, Direction.SENT
CALLER, AGENT, SECOND = "192.0.2.5:5060", "192.0.2.9:5060", "192.0.2.9:5062"


def row(offset_ms: int, leg: str, peer: str, direction: Direction, said: str) -> dict[str, Any]:
    return {
        "name": "sip.message",
        "offset_ms": offset_ms,
        "leg": leg,
        "peer": peer,
        "direction": direction.value,
        "text": said.replace("\n", "\r\n"),
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
    assert text.draw(rows(TRANSFER)) == PICTURE


def test_a_call_without_a_second_leg() -> None:
    arrows = [
        Arrow(0, "caller", CALLER, RECEIVED, "INVITE (SDP)"),
        Arrow(20, "caller", CALLER, SENT, "BYE"),
    ]
    assert text.draw(arrows) == TWO_COLUMNS


def test_legs_beyond_four_columns_share_the_last_one_under_their_own_name() -> None:
    legs = ("caller", "agent-1", "agent-2", "agent-3")
    arrows = [Arrow(0, leg, AGENT, SENT, "INVITE") for leg in legs]
    picture = text.draw(arrows)
    assert "agent-3: INVITE" in picture
    assert "agent-1: INVITE" not in picture


def test_the_picture_fits_its_width() -> None:
    long = [Arrow(10**6, leg, "255.255.255.255:65535", SENT, "x" * 200) for leg in "abcdef"]
    assert max(map(len, text.draw([*long, Note(10**6, "x" * 200)]).splitlines())) <= WIDTH


def test_a_call_without_messages_says_so() -> None:
    assert text.draw([]) == "no SIP messages\n"


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


VERDICT = {
    "name": "transfer.ended",
    "offset_ms": 1031,
    "attempt": asdict(replace(ATTEMPT, timer="ring")),
}
FALLBACK = {"name": "fallback.taken", "offset_ms": 1031, "key": "busy", "to": "second"}


class TestWhatIsShown:
    def test_a_message_that_is_repeated_is_shown_once_with_how_often(self) -> None:
        """RFC 3261 section 17.1.1.2: over UDP a request is sent again until it is answered."""
        again = [row(at, "agent-1", AGENT, SENT, INVITE) for at in (0, 500, 1500)]
        other = row(1600, "agent-1", AGENT, SENT, INVITE.replace("1 INVITE", "2 INVITE"))
        shown = rows([*again, other])
        assert [(each.offset_ms, each.words) for each in shown if isinstance(each, Arrow)] == [
            (0, "INVITE (SDP) x3"),
            (1600, "INVITE (SDP)"),
        ]

    def test_the_same_message_on_another_leg_or_the_other_way_is_another_one(self) -> None:
        said = [
            row(0, "caller", CALLER, RECEIVED, BYE),
            row(1, "agent-1", AGENT, SENT, BYE),
            row(2, "caller", CALLER, SENT, BYE),
        ]
        assert len(rows(said)) == 3

    def test_verdict_and_fallback_stand_where_they_happened(self) -> None:
        picture = text.draw(rows([*TRANSFER[:5], VERDICT, FALLBACK, *TRANSFER[5:]]))
        lines = [line.strip() for line in picture.splitlines()]
        at = next(number for number, line in enumerate(lines) if "486 INVITE" in line)
        assert lines[at + 1].endswith("* t1 refer billing: busy, 486 Busy Here, timer ring")
        assert lines[at + 2].endswith("* fallback busy: second")

    def test_each_message_has_its_kind(self) -> None:
        kinds = [each.kind for each in rows(TRANSFER) if isinstance(each, Arrow)]
        assert kinds[:4] == [Kind.REQUEST, Kind.SUCCESS, Kind.REQUEST, Kind.FAILURE]
        assert Kind.PROVISIONAL in kinds


class TestThePageAsSvg:
    def drawn(self, shown: list[Any], title: str = "Call 1") -> ElementTree.Element:
        return ElementTree.fromstring(svg.draw(shown, title))  # noqa: S314 - our own

    def titles(self, picture: ElementTree.Element) -> list[str]:
        return [each.text or "" for each in picture.iter(f"{{{svg.NAMESPACE}}}title")]

    def test_it_shows_what_the_text_shows(self) -> None:
        picture = self.drawn(rows([*TRANSFER, VERDICT]))
        arrows = [each for each in rows(TRANSFER) if isinstance(each, Arrow)]
        titles = self.titles(picture)
        for arrow in arrows:
            assert f"{arrow.offset_ms} ms, {arrow.leg}: {arrow.words}" in titles
        assert any("t1 refer billing: busy" in title for title in titles)

    def test_a_screen_reader_finds_title_and_description(self) -> None:
        picture = self.drawn(rows(TRANSFER), "Call ab from 1 to 2")
        assert picture.get("role") == "img"
        named = {each.get("id"): each.text for each in picture}
        assert picture.get("aria-labelledby") == "title desc"
        assert named["title"] == "Call ab from 1 to 2"
        assert "caller, gateway, agent-1, agent-2" in (named["desc"] or "")

    def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(self) -> None:
        picture = svg.draw(rows(TRANSFER), "x")
        assert picture.count("http") == 1  # the namespace
        assert "<script" not in picture
        assert "href" not in picture
        assert "prefers-color-scheme: dark" in picture

    def test_what_a_peer_sends_stays_text(self) -> None:
        evil = "</text><script>alert(1)</script>"
        said = row(0, "caller", CALLER, RECEIVED, f'BYE x\nReason: SIP;text="{evil}"\n\n')
        picture = svg.draw(rows([said]), evil)
        assert "<script" not in picture
        self.drawn(rows([said]), evil)

    @given(st.text(max_size=40), st.text(max_size=40))
    def test_any_words_make_a_well_formed_picture(self, label: str, title: str) -> None:
        self.drawn([Arrow(0, "caller", CALLER, RECEIVED, label), Note(1, label)], title)

    def test_a_long_silence_is_told(self) -> None:
        picture = svg.draw(rows(TRANSFER), "x")
        assert "9.8 s later" in picture

    def test_more_legs_than_a_text_has_room_for_have_columns_of_their_own(self) -> None:
        legs = ("caller", *(f"agent-{number}" for number in range(1, 9)))
        picture = svg.draw([Arrow(0, leg, AGENT, SENT, "INVITE") for leg in legs], "x")
        assert "agent-8: INVITE</text>" not in picture
        assert ">agent-8</text>" in picture

    def test_a_call_without_messages_says_so(self) -> None:
        assert "no SIP messages" in svg.draw([], "x")
