"""A dialog by itself: how it stands after what PJSIP and the wire have told of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

import sip.dialog
from sip.dialog import Dialog, InviteState
from sip.engine import Engine
from sip.errors import CallEnded
from sip.events import Direction, LegAnswered, LegEnded, LegProgress
from sip.outcome import Side
from sip.pj_call import PjCall
from sip.pjsip import EventKind

CALL_ID, PJ_ID = "abc@192.0.2.1", 7


class Asked:
    """PJSIP, which notes what it is asked for the call."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, list[tuple[str, str]]]] = []

    def call_answer(
        self, call: int, code: int, reason: str, headers: list[tuple[str, str]]
    ) -> None:
        assert call == PJ_ID
        self.asked.append(("answer", code, headers))

    def call_hangup(
        self, call: int, code: int, reason: str, headers: list[tuple[str, str]]
    ) -> None:
        assert call == PJ_ID
        self.asked.append(("hangup", code, headers))


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(sip.dialog, "native", asked)
    return asked


def dialog(label: str = "caller", direction: Direction = Direction.RECEIVED) -> Dialog:
    engine = cast(Engine, SimpleNamespace(soon=lambda: None))
    made = Dialog(label, direction, "carrier", CALL_ID, engine)
    made.begin(cast(PjCall, SimpleNamespace(getId=lambda: PJ_ID, destroy=lambda: None)))
    return made


def agents() -> Dialog:
    return dialog("agent-1", Direction.SENT)


def received(on: Dialog, line: str, cseq: str) -> None:
    text = f"{line}\r\nCSeq: 1 {cseq}\r\n\r\n"
    event: Any = (EventKind.MESSAGE_RECEIVED, PJ_ID, CALL_ID, 5060, 0, "UDP 192.0.2.1", text)
    on.wire.saw(event)


def answered(on: Dialog) -> Dialog:
    on.to_be_answered = False
    on.state_changed(InviteState.CONNECTING, 200, "OK")
    on.state_changed(InviteState.CONFIRMED, 200, "OK")
    return on


def ended(on: Dialog, code: int = 200) -> LegEnded:
    on.end(code, "")
    how = on.ended()
    assert how is not None
    return how


class TestWhoEndedIt:
    def test_whoever_says_bye(self, native: Asked) -> None:
        for one, side in ((dialog(), Side.CALLER), (agents(), Side.TARGET)):
            received(answered(one), "BYE sip:x SIP/2.0", "BYE")
            assert ended(one).by is side

    def test_who_takes_the_callers_place_is_a_caller(self, native: Asked) -> None:
        one = answered(dialog("caller-2"))
        received(one, "BYE sip:x SIP/2.0", "BYE")
        assert ended(one).by is Side.CALLER

    def test_whoever_gives_up_before_the_answer(self, native: Asked) -> None:
        assert ended(dialog(), 487).by is Side.CALLER
        assert ended(agents(), 486).by is Side.TARGET

    def test_we_where_an_answered_one_ends_without_a_bye(self, native: Asked) -> None:
        """No ACK, a session timer, a transport: PJSIP has given up."""
        assert ended(answered(dialog()), 408).by is Side.GATEWAY

    @pytest.mark.parametrize(
        ("answer", "side"), [("481 Gone", Side.TARGET), ("", Side.TARGET), ("200 OK", Side.GATEWAY)]
    )
    def test_of_two_byes_that_cross_the_one_that_was_taken(
        self, native: Asked, answer: str, side: Side
    ) -> None:
        one = answered(agents())
        one.release({}, 603)
        received(one, "BYE sip:x SIP/2.0", "BYE")
        if answer:
            received(one, f"SIP/2.0 {answer}", "BYE")
        assert ended(one).by is side

    def test_nobody_while_it_lives(self, native: Asked) -> None:
        assert dialog().ended() is None


class TestItsRelease:
    """RFC 3261 sections 9.1, 15 and 21."""

    def test_one_that_waits_for_our_answer_is_refused(self, native: Asked) -> None:
        one = dialog()
        one.release({"Reason": "x"}, 480)
        assert native.asked == [("answer", 480, [("Reason", "x")])]
        assert not one.ending

    def test_a_bye_with_headers_waits_for_the_ack(self, native: Asked) -> None:
        """Section 15: the callee sends no BYE before the ACK."""
        one = dialog()
        one.answer()
        one.state_changed(InviteState.CONNECTING, 200, "OK")
        one.release({"X-To": "1"}, 603)
        assert native.asked == [("answer", 200, [])]
        before = one.due_release
        one.state_changed(InviteState.CONFIRMED, 200, "OK")
        due = one.due_release
        assert (before, due) == (None, {"X-To": "1"})
        one.release(due, 603)
        assert native.asked[1:] == [("hangup", 0, [("X-To", "1")])]

    def test_it_is_ending_until_the_bye_is_answered(self, native: Asked) -> None:
        one = answered(dialog())
        one.release(None, 603)
        ending = [one.ending]
        one.end(200, "")
        ending.append(one.ending)
        received(one, "SIP/2.0 200 OK", "BYE")
        assert [*ending, one.ending] == [True, True, False]

    def test_or_until_the_cancelled_invite_is_refused(self, native: Asked) -> None:
        one = agents()
        one.release(None, 603)
        ending = one.ending
        received(one, "SIP/2.0 487 Request Terminated", "INVITE")
        assert (ending, one.ending) == (True, False)

    def test_one_that_has_ended_is_asked_for_nothing(self, native: Asked) -> None:
        one = answered(dialog())
        one.end(200, "")
        one.release(None, 603)
        assert native.asked == []
        with pytest.raises(CallEnded, match="the caller leg has ended"):
            one.ring()


def test_the_answer_is_told_once(native: Asked) -> None:
    one = agents()
    assert isinstance(one.state_changed(InviteState.EARLY, 180, "Ringing"), LegProgress)
    assert isinstance(one.state_changed(InviteState.CONNECTING, 200, "OK"), LegAnswered)
    assert one.state_changed(InviteState.CONFIRMED, 200, "OK") is None
    assert (one.rang, one.answered) == (True, True)


@pytest.mark.parametrize(
    ("came", "unreached"),
    [((), True), (("100 Trying",), False), (("503 No",), True), (("486 Busy",), False)],
)
def test_a_hop_that_took_the_invite_was_reached(
    native: Asked, came: tuple[str, ...], *, unreached: bool
) -> None:
    """RFC 3263 section 4.3: another one is tried after no answer at all, or 503."""
    one = agents()
    for status in came:
        received(one, f"SIP/2.0 {status}", "INVITE")
    assert one.unreached is unreached


def test_what_goes_on_in_another_call_leaves_an_ended_one_behind(native: Asked) -> None:
    one = answered(dialog())
    one.hold_changed(held=True)
    left = one.go_on_as("agent-2", "goes on in call 1")
    assert (one.label, one.sip_call_id, one.pj_id) == ("agent-2", CALL_ID, PJ_ID)
    assert (left.label, left.sip_call_id, left.held, left.tags) == ("caller", "", True, ("", ""))
    assert left.wire is not one.wire
    how = left.ended()
    assert how is not None
    assert (how.code, how.reason, how.by) == (200, "goes on in call 1", Side.GATEWAY)
    assert one.ended() is None


class TestACallThatHasJustEnded:
    """PJSIP refuses what is asked of it, and the event that tells of its end is on its way."""

    @pytest.fixture(autouse=True)
    def refuses(self, native: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError("answering: INVITE session already terminated")

        monkeypatch.setattr(native, "call_answer", refuse)

    def test_whoever_answers_it_learns_that(self) -> None:
        for ask in (Dialog.ring, Dialog.answer, lambda on: on.reject(486)):
            with pytest.raises(CallEnded, match="already terminated"):
                ask(dialog())

    def test_to_release_it_is_no_mistake(self) -> None:
        late = dialog()
        late.release(None, 603)
        assert late.released
