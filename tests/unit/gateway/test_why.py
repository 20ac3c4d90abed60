"""`switchhook call ID --why`: the evidence in sentences, and what helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import advice as table
from gateway.advice import BY_OUTCOME, advice
from gateway.api.examples import LIVE_CALL
from gateway.api.models import CallDetail, LiveCall, ended_call, timeline_events
from gateway.why import why
from ivr.disposition import Disposition
from ivr.result import EndReason
from sip.outcome import Attempt, Method, Outcome, Side, Step
from tests.unit.gateway.scene import STARTED, finished_call

TRANSFERS = Path(__file__).parents[3] / "docs" / "transfers.md"

DIALLED = Attempt(
    "t1",
    Method.INVITE,
    "billing",
    "sip:b@192.0.2.9",
    Outcome.BUSY,
    code=486,
    reason="Busy Here",
    steps=(Step(1, "invite_sent"), Step(300, "provisional", 180), Step(2100, "final", 486)),
    verdict_ms=2100,
)
REFERRED = Attempt(
    "t1",
    Method.REFER,
    "expert",
    "sip:e@192.0.2.9",
    Outcome.NO_VERDICT,
    reason="no NOTIFY in time",
    timer="first_notify",
    steps=(Step(1, "refer_sent"), Step(20, "refer_final", 202), Step(15020, "timer")),
    verdict_ms=15020,
)
BACK = Attempt("t1", Method.BYE, "ivr", "sip:i@192.0.2.9", Outcome.CONNECTED, code=200, reason="OK")

ENTERED = {"name": "node.entered", "node": "talk"}


def row(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "offset_ms": 1, "at": "2026-01-01T00:00:00Z", **fields}


def detail(*attempts: Attempt, rows: tuple[dict[str, Any], ...] = (), **facts: Any) -> CallDetail:
    record = finished_call(attempts=attempts, **facts).record
    return CallDetail(call=ended_call(record), timeline=timeline_events(rows))


def sentence(attempt: Attempt) -> str:
    return why(detail(attempt)).sentences[0]


class TestAnInvite:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, "rang, then was refused with 486 Busy Here after 2.1 s: busy."),
            (
                {"causes": ("Q.850 17 User busy",)},
                "refused with 486 Busy Here after 2.1 s (Q.850 17 User busy): busy.",
            ),
            (
                {
                    "code": 503,
                    "reason": "No",
                    "retry_after": 30,
                    "steps": (Step(1, "invite_sent"),),
                },
                "was refused with 503 No after 2.1 s, with Retry-After 30 s",
            ),
            (
                {"code": None, "timer": "ring", "outcome": Outcome.NO_ANSWER},
                "rang for 2.1 s, and was cancelled (timer ring): no_answer.",
            ),
            (
                {"code": None, "reason": "caller hung up", "outcome": Outcome.ABANDONED},
                "rang, then was cancelled after 2.1 s: the caller hung up: abandoned.",
            ),
            (
                {"code": None, "reason": "cancelled by the bot", "outcome": Outcome.CANCELLED},
                "was cancelled after 2.1 s: cancelled by the bot: cancelled.",
            ),
            (
                {
                    "code": None,
                    "steps": (),
                    "reason": "matches nothing of `allow`",
                    "outcome": Outcome.BLOCKED,
                },
                "was not sent: matches nothing of `allow`: blocked.",
            ),
            (
                {
                    "code": 200,
                    "reason": "answered without audio in common",
                    "outcome": Outcome.MEDIA_INCOMPATIBLE,
                    "steps": (Step(1, "invite_sent"), Step(90, "answered", 200)),
                },
                "was answered, but failed after 2.1 s: answered without audio in common",
            ),
            (
                {"code": None, "reason": "no response", "outcome": Outcome.NETWORK_FAILURE},
                "failed after 2.1 s: no response: network_failure.",
            ),
            (
                {
                    "code": 200,
                    "outcome": Outcome.CONNECTED,
                    "talk_ms": 12_000,
                    "bye_by": Side.TARGET,
                },
                "answered after 2.1 s; they talked for 12.0 s, until the agent hung up.",
            ),
        ],
    )
    def test_is_told_by_its_evidence(self, changes: dict[str, Any], expected: str) -> None:
        told = sentence(replace(DIALLED, **changes))
        assert told.startswith("t1: INVITE to billing (sip:b@192.0.2.9) ")
        assert expected in told


def test_an_attempt_that_the_agent_asked_for_says_so() -> None:
    told = sentence(replace(DIALLED, referred_by="agent-1"))
    assert "INVITE to billing (sip:b@192.0.2.9), as agent-1 asked, rang" in told


class TestARefer:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            (
                {},
                "was accepted (202), then no NOTIFY came within 15.0 s (timer first_notify)",
            ),
            (
                {"sipfrags": ("100 Trying",), "timer": "final_notify"},
                "NOTIFY said 100 Trying, then no final NOTIFY came within 15.0 s",
            ),
            (
                {
                    "timer": None,
                    "code": 486,
                    "outcome": Outcome.BUSY,
                    "sipfrags": ("100 Trying", "486 Busy Here"),
                    "verdict_ms": 3000,
                },
                "was accepted (202); NOTIFY said 100 Trying, then 486 Busy Here after 3.0 s: busy.",
            ),
            (
                {"timer": None, "outcome": Outcome.PRESUMED_CONNECTED},
                "then the peer hung up before it said how it went: presumed_connected.",
            ),
            (
                {
                    "timer": None,
                    "code": 487,
                    "reason": "Request Terminated",
                    "outcome": Outcome.CANCELLED,
                    "sipfrags": ("487 Request Terminated",),
                },
                "was accepted (202); NOTIFY said 487 Request Terminated after 15.0 s: cancelled.",
            ),
            (
                {"timer": None, "reason": "subscription ended without a status"},
                "was accepted (202), then subscription ended without a status: no_verdict.",
            ),
            (
                {
                    "timer": None,
                    "code": 405,
                    "reason": "Method Not Allowed",
                    "outcome": Outcome.METHOD_UNSUPPORTED,
                    "steps": (Step(2, "refer_final", 405),),
                },
                "was refused with 405 Method Not Allowed: method_unsupported.",
            ),
            (
                {
                    "timer": "response",
                    "reason": "no response to REFER in time",
                    "outcome": Outcome.NETWORK_FAILURE,
                    "steps": (Step(1, "refer_sent"),),
                },
                "was not accepted: no response to REFER in time: network_failure.",
            ),
            (
                {
                    "timer": None,
                    "reason": "set to unavailable: at lunch",
                    "outcome": Outcome.UNAVAILABLE,
                    "steps": (),
                },
                "was not sent: set to unavailable: at lunch: unavailable.",
            ),
        ],
    )
    def test_is_told_by_its_evidence(self, changes: dict[str, Any], expected: str) -> None:
        told = sentence(replace(REFERRED, **changes))
        assert told.startswith("t1: REFER to expert (sip:e@192.0.2.9) was ")
        assert expected in told


class TestAReferThatWasSentAgain:
    """After a 491 (RFC 3261 section 14.1)."""

    GLARED = (Step(1, "refer_sent"), Step(5, "refer_final", 491))
    TAKEN = (*GLARED, Step(900, "refer_sent"), Step(920, "refer_final", 202))

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            (
                {"verdict_ms": 15920},
                "once, then accepted (202), then no NOTIFY came within 15.0 s (timer first_notify)",
            ),
            (
                {"timer": None, "outcome": Outcome.PRESUMED_CONNECTED},
                "once, then accepted (202), then the peer hung up before it said how it went",
            ),
            (
                {"timer": None, "outcome": Outcome.CONNECTED, "sipfrags": ("200 OK",)},
                "once, then accepted (202); NOTIFY said 200 OK after 15.0 s.",
            ),
            (
                {
                    "timer": None,
                    "outcome": Outcome.CANCELLED,
                    "reason": "cancelled by the bot",
                    "steps": GLARED,
                },
                "once, then not answered yet: cancelled by the bot: cancelled.",
            ),
            (
                {
                    "timer": None,
                    "outcome": Outcome.GLARE,
                    "code": 491,
                    "reason": "Request Pending",
                    "steps": GLARED * 4,
                },
                "3 times, then refused with 491 Request Pending: glare.",
            ),
        ],
    )
    def test_is_told_by_its_last_answer(self, changes: dict[str, Any], expected: str) -> None:
        told = sentence(replace(replace(REFERRED, steps=self.TAKEN), **changes))
        assert f"was refused with 491 {expected}" in told


class TestANotifyThatOvertakesTheAnswer:
    """RFC 3515 section 2.4.4."""

    SENT = (Step(1, "refer_sent"), Step(3, "notify"))

    def test_may_decide(self) -> None:
        early = replace(REFERRED, timer=None, steps=self.SENT, verdict_ms=3)
        told = sentence(
            replace(early, outcome=Outcome.CONNECTED, code=200, reason="OK", sipfrags=("200 OK",))
        )
        assert told.endswith("was not answered yet when NOTIFY said 200 OK after 3 ms.")

    def test_is_outweighed_by_a_refusal(self) -> None:
        steps = (*self.SENT, Step(9, "refer_final", 603))
        refused = replace(REFERRED, timer=None, steps=steps, sipfrags=("100 Trying",))
        told = sentence(replace(refused, outcome=Outcome.DECLINED, code=603, reason="Decline"))
        assert "was refused with 603 Decline, after NOTIFY said 100 Trying: declined." in told


class TestAHandBack:
    def test_that_was_answered(self) -> None:
        assert sentence(BACK).endswith("was answered with 200 OK: the call went back.")

    def test_that_was_not(self) -> None:
        failed = replace(
            BACK, code=None, reason="no response to BYE", outcome=Outcome.NETWORK_FAILURE
        )
        assert "got no response to BYE; the call has ended all the same" in sentence(failed)


class TestTheFallback:
    TAKEN = row("fallback.taken", attempt="t1", outcome="busy", code=486, key="busy", to="talk")
    HEARD = row("prompt.started", prompt="It is busy.", duration_ms=900)

    def test_says_which_row_what_was_heard_and_where_it_went(self) -> None:
        told = why(detail(DIALLED, rows=(self.TAKEN, self.HEARD, row("node.entered", node="talk"))))
        assert told.sentences[1] == (
            "The fallback row `busy` played “It is busy.” and went on at `talk`."
        )

    def test_a_prompt_of_the_next_node_is_not_the_rows(self) -> None:
        rows = (self.TAKEN, row("node.entered", node="talk"), self.HEARD)
        assert "played nothing and went on at `talk`" in why(detail(DIALLED, rows=rows)).text()

    def test_another_try_is_told_before_it(self) -> None:
        again = row("transfer.retried", attempt="t1", key="busy", target="second", delay_ms=2000)
        told = why(detail(DIALLED, replace(DIALLED, id="t2"), rows=(again,)))
        assert told.sentences[1] == "The fallback row `busy` had second tried after 2.0 s."
        assert told.sentences[2].startswith("t2: ")

    def test_one_that_ends_the_call(self) -> None:
        ends = {**self.TAKEN, "to": ""}
        told = why(detail(DIALLED, rows=(ends, self.HEARD), end=EndReason.FALLBACK))
        assert "played “It is busy.” and ended the call." in told.sentences[1]
        assert told.sentences[-1].startswith("In the end the fallback ended the call at `desk`")


class TestACall:
    def test_without_a_transfer_says_how_it_ended(self) -> None:
        told = why(
            detail(
                end=EndReason.CALLER_HANGUP,
                disposition=Disposition.CONTAINED,
                ended_at=STARTED + 13.5,
            )
        )
        assert told.sentences == (
            "No transfer was attempted: the caller hung up at `desk`, 12.5 s after the INVITE.",
        )
        assert told.advice == ()

    def test_in_progress_says_what_is_going_on(self) -> None:
        live = CallDetail(call=LiveCall.model_validate(LIVE_CALL), timeline=[])
        assert why(live).sentences == ("A transfer to billing is ringing.",)

    def test_with_two_transfers_tells_both_and_each_advice_once(self) -> None:
        told = why(detail(DIALLED, replace(DIALLED, id="t2"), end=EndReason.HANGUP))
        assert [each[:3] for each in told.sentences] == ["t1:", "t2:", "In "]
        assert len(told.advice) == 1
        assert "What to do: the called party is on the phone." in told.text()

    @given(
        st.sampled_from(Method),
        st.sampled_from(Outcome),
        st.none() | st.integers(200, 699),
        st.lists(st.sampled_from(["100 Trying", "486 Busy Here", "(no status)"]), max_size=2),
        st.lists(
            st.builds(
                Step,
                st.integers(0, 9000),
                st.sampled_from(["invite_sent", "provisional", "refer_final", "answered"]),
                st.none() | st.sampled_from([180, 202, 405]),
            ),
            max_size=4,
        ),
    )
    def test_whatever_the_evidence_it_is_told_in_one_sentence_each(
        self,
        method: Method,
        outcome: Outcome,
        code: int | None,
        sipfrags: list[str],
        steps: list[Step],
    ) -> None:
        attempt = Attempt(
            "t1", method, "x", "", outcome, code, sipfrags=tuple(sipfrags), steps=tuple(steps)
        )
        told = why(detail(attempt))
        assert len(told.sentences) == 2
        assert told.sentences[0].endswith(".")
        assert (told.advice == ()) == (outcome is Outcome.CONNECTED)


class TestWhatToDo:
    def test_every_outcome_that_is_no_success_has_an_advice(self) -> None:
        assert set(BY_OUTCOME) == set(Outcome) - {Outcome.CONNECTED}

    def test_a_code_says_more_than_its_outcome(self) -> None:
        found = advice(replace(DIALLED, code=603, outcome=Outcome.DECLINED))
        assert found is table.BY_CODE[603]
        assert advice(replace(DIALLED, code=500, outcome=Outcome.SERVER_UNAVAILABLE)) is not None

    def test_a_code_that_did_not_decide_says_nothing(self) -> None:
        """A `no_verdict` after NOTIFY 100, a redirection that our rules blocked."""
        blocked = replace(DIALLED, code=302, outcome=Outcome.BLOCKED)
        assert advice(blocked) is BY_OUTCOME[Outcome.BLOCKED]
        silent = replace(DIALLED, code=408, outcome=Outcome.NETWORK_FAILURE)
        assert advice(silent) is BY_OUTCOME[Outcome.NETWORK_FAILURE]

    def test_the_page_has_the_table(self) -> None:
        """`python -m gateway.advice` prints it."""
        assert table.table() in TRANSFERS.read_text(encoding="utf-8")
