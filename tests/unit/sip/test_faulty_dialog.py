"""The faulty peer's dialogs: they follow their script, and RFC 3261 section 17 where it does not
say otherwise."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.faulty import cases, wording
from sip.faulty.dialog import GIVE_UP, T1, Dialog, Place
from sip.faulty.invite_cases import INVITE
from sip.faulty.peer import FaultyPeer
from sip.faulty.refer_cases import REFER, random_refer
from sip.faulty.steps import Behaviour, Bye, Notify, Raw, Reply, Wait
from sip.message import Message
from sip.outcome import Method

PLACE = Place("127.0.0.2", 5070, 4000)
GATEWAY = "sip:100@127.0.0.1:5060"


def request(method: str, number: int, *, within: bool = True) -> Message:
    """A request of the gateway."""
    to = "<sip:agent@127.0.0.2>" + (";tag=theirs" if within else "")
    return Message(
        wording.request(
            method,
            "sip:agent@127.0.0.2:5070",
            via=f"127.0.0.1:5060;branch=z9hG4bK{method}{number}",
            dialog=("From: <sip:alice@127.0.0.1>;tag=ours", f"To: {to}", "Call-ID: abc"),
            cseq=f"{number} {method}",
            headers=("Contact: <sip:gw@127.0.0.1:5060>",),
        )
    )


def said(texts: list[str]) -> list[str]:
    """Methods and statuses."""
    messages = [Message(text) for text in texts]
    return [f"{m.status} {m.method}" if m.status else m.method for m in messages]


def ok(asked: str, code: int = 200) -> Message:
    """The gateway's response to a request of the peer."""
    headers = ("Contact: <sip:gw@127.0.0.1:5060>",)
    return Message(wording.response(Message(asked), code, "OK", tag="gw", headers=headers))


def answered(behaviour: Behaviour) -> Dialog:
    """A caller whose call the gateway has answered."""
    dialog = Dialog(PLACE, behaviour)
    (invite,) = dialog.dial(GATEWAY, "alice", (), 0.0)
    assert said(dialog.receive(ok(invite), 0.1)) == ["ACK"]
    assert dialog.confirmed
    return dialog


class TestACalledParty:
    def test_it_rings_and_answers_and_repeats_the_answer_until_the_ack(self) -> None:
        dialog = Dialog(PLACE, Behaviour())
        assert said(dialog.receive(request("INVITE", 1, within=False), 0.0)) == ["180 INVITE"]
        assert said(dialog.tick(0.1)) == ["200 INVITE"]
        assert said(dialog.tick(0.1 + T1)) == ["200 INVITE"]
        assert dialog.receive(request("ACK", 1), 0.7) == []
        assert dialog.deadline is None
        assert not dialog.over
        assert said(dialog.receive(request("BYE", 2), 1.0)) == ["200 BYE"]
        assert dialog.over

    def test_a_repeated_request_gets_the_answer_of_the_first_one(self) -> None:
        dialog = Dialog(PLACE, INVITE["486"].behaviour)
        invite = request("INVITE", 1, within=False)
        first = dialog.receive(invite, 0.0)
        assert said(first) == ["180 INVITE", "486 INVITE"]
        assert dialog.receive(invite, 0.2) == first[-1:]

    def test_a_refusal_is_over_with_its_ack(self) -> None:
        dialog = Dialog(PLACE, INVITE["486"].behaviour)
        dialog.receive(request("INVITE", 1, within=False), 0.0)
        assert not dialog.over
        dialog.receive(request("ACK", 1), 0.1)
        assert dialog.over

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("ring-forever", ["200 CANCEL", "487 INVITE"]),
            ("cancel-no-487", ["200 CANCEL"]),
            ("200-crossing-cancel", ["200 CANCEL", "200 INVITE"]),
            ("silence", []),
        ],
    )
    def test_a_cancel_meets_what_the_case_says(self, name: str, expected: list[str]) -> None:
        dialog = Dialog(PLACE, INVITE[name].behaviour)
        dialog.receive(request("INVITE", 1, within=False), 0.0)
        assert said(dialog.receive(request("CANCEL", 1, within=False), 1.0)) == expected

    def test_credentials_begin_the_script_anew(self) -> None:
        dialog = Dialog(PLACE, INVITE["401-loop"].behaviour)
        for number in (1, 2):
            out = dialog.receive(request("INVITE", number, within=False), 0.0)
            assert said(out) == ["401 INVITE"]
            dialog.receive(request("ACK", number), 0.1)

    def test_garbage_is_sent_as_it_is(self) -> None:
        dialog = Dialog(PLACE, Behaviour(invite=(Raw("\x00\x01"),)))
        assert dialog.receive(request("INVITE", 1, within=False), 0.0) == ["\x00\x01"]


class TestAReferredCaller:
    """RFC 3515 section 2.4."""

    def test_a_notify_waits_for_the_answer_to_the_one_before(self) -> None:
        dialog = answered(Behaviour())
        out = dialog.receive(request("REFER", 7), 1.0)
        assert said(out) == ["202 REFER", "NOTIFY"]
        (second,) = dialog.receive(ok(out[1]), 1.1)
        assert Message(second).body.startswith("SIP/2.0 200")
        assert Message(second).header("Subscription-State").startswith("terminated")

    def test_an_id_is_the_refers_own(self) -> None:
        dialog = answered(REFER["notify-with-id"].behaviour)
        _, notify = dialog.receive(request("REFER", 7), 1.0)
        assert Message(notify).header("Event") == "refer;id=7"

    def test_a_notify_without_event_has_none(self) -> None:
        dialog = answered(REFER["notify-without-event"].behaviour)
        _, notify = dialog.receive(request("REFER", 7), 1.0)
        assert Message(notify).header("Event") == ""

    def test_a_repeated_notify_is_the_same_bytes(self) -> None:
        dialog = answered(REFER["notify-repeated"].behaviour)
        _, notify = dialog.receive(request("REFER", 7), 1.0)
        again, other = dialog.receive(ok(notify), 1.1)
        assert again == notify
        assert Message(other).header("CSeq") != Message(notify).header("CSeq")

    def test_the_gateways_bye_ends_what_was_going_on(self) -> None:
        dialog = answered(Behaviour(refer=(Reply(202), Wait(1.0), Notify("SIP/2.0 200 OK"))))
        dialog.receive(request("REFER", 7), 1.0)
        assert said(dialog.receive(request("BYE", 8), 1.5)) == ["200 BYE"]
        assert dialog.tick(3.0) == []
        assert dialog.over

    def test_its_own_bye_is_given_up_after_a_while(self) -> None:
        dialog = answered(Behaviour(refer=(Reply(202), Bye())))
        assert said(dialog.receive(request("REFER", 7), 1.0)) == ["202 REFER", "BYE"]
        while dialog.deadline is not None and not dialog.over:
            dialog.tick(dialog.deadline)
        assert dialog.over


def test_a_caller_acknowledges_a_refusal_within_its_transaction() -> None:
    """RFC 3261 section 17.1.1.3: the ACK has the branch of the INVITE."""
    dialog = Dialog(PLACE, Behaviour())
    (invite,) = dialog.dial(GATEWAY, "alice", (), 0.0)
    (ack,) = dialog.receive(ok(invite, 404), 0.1)
    branches = [Message(text).header("Via").partition("branch=")[2] for text in (invite, ack)]
    assert branches[0].partition(";")[0] == branches[1].partition(";")[0]
    assert dialog.over


def test_an_invite_without_response_is_given_up() -> None:
    dialog = Dialog(PLACE, Behaviour())
    dialog.dial(GATEWAY, "alice", (), 0.0)
    times = [0.0]
    while dialog.deadline is not None:
        times.append(dialog.deadline)
        dialog.tick(dialog.deadline)
    assert GIVE_UP - 5 < times[-1] <= GIVE_UP + 5
    assert dialog.over


@given(
    st.integers(0, 10_000),
    st.lists(st.sampled_from(["REFER", "INVITE", "BYE", "CANCEL", "ACK", "INFO", "tick", "ok"])),
)
def test_whatever_the_gateway_does_a_dialog_falls_silent(seed: int, events: list[str]) -> None:
    """No request makes it raise, and its timers end."""
    dialog = answered(random_refer(Random(seed)))
    now = 1.0
    for number, event in enumerate(events, start=1):
        now += 0.05
        if event == "tick":
            dialog.tick(now)
        elif event == "ok":
            sent = [m for m in dialog.heard.sent if m.status is None and m.method != "ACK"]
            dialog.receive(ok(sent[-1].text), now)
        else:
            dialog.receive(request(event, number), now)
    for _ in range(500):
        if dialog.deadline is None:
            break
        now = max(now, dialog.deadline)
        dialog.tick(now)
    assert dialog.deadline is None


class TestTheCases:
    def test_each_says_what_it_does_and_where_the_rfc_speaks_of_it(self) -> None:
        for table in cases.TABLES.values():
            for name, case in table.items():
                assert case.name == name
                assert case.what
                assert case.section.startswith("RFC ")
                assert case.outcomes

    def test_every_final_code_is_one(self) -> None:
        assert cases.find(Method.INVITE, "606").code == 606
        assert "NOTIFY 606" in cases.find(Method.REFER, "606").what
        assert cases.find(Method.BYE, "606").behaviour.bye == (Reply(606, contact=False),)

    def test_an_unknown_one_is_an_error_that_lists_them(self) -> None:
        with pytest.raises(KeyError, match="no-notify"):
            cases.find(Method.REFER, "ring-forever")


def test_the_page_lists_them() -> None:
    """`python -m sip.faulty.cases` prints them."""
    page = Path(__file__).parents[3] / "docs" / "transfers.md"
    assert cases.tables() in page.read_text(encoding="utf-8")


def test_it_does_not_misbehave_off_loopback() -> None:
    with pytest.raises(ValueError, match="no loopback address"):
        FaultyPeer("192.0.2.1")
