"""A call's disposition: one rule, as a table."""

from __future__ import annotations

import pytest

from ivr.disposition import Disposition, disposition
from ivr.result import EndReason, FlowResult
from sip.outcome import Attempt, Handover, HandoverStatus, Method, Outcome

CONTAINED, TRANSFERRED, HANDED_BACK, ABANDONED, FAILED = Disposition


def attempts(*made: tuple[Method, Outcome]) -> tuple[Attempt, ...]:
    """Attempts in order."""
    return tuple(
        Attempt(f"t{index}", method, "billing", "sip:b@h", outcome)
        for index, (method, outcome) in enumerate(made, 1)
    )


INVITE, REFER, BYE = Method.INVITE, Method.REFER, Method.BYE
CONNECTED, BUSY, CANCELLED, LEFT = (
    Outcome.CONNECTED,
    Outcome.BUSY,
    Outcome.CANCELLED,
    Outcome.ABANDONED,
)

TABLE = [
    # no transfer
    (EndReason.BOT_HANGUP, [], CONTAINED),
    (EndReason.BOT_DONE, [], CONTAINED),
    (EndReason.HANGUP, [], CONTAINED),
    (EndReason.OPERATOR_HANGUP, [], CONTAINED),
    (EndReason.CALLER_HANGUP, [], CONTAINED),
    (EndReason.FAILED, [], FAILED),
    (EndReason.SHUTDOWN, [], FAILED),
    # a person was reached
    (EndReason.TRANSFERRED, [(INVITE, CONNECTED)], TRANSFERRED),
    (EndReason.TRANSFERRED, [(REFER, Outcome.PRESUMED_CONNECTED)], TRANSFERRED),
    (EndReason.CALLER_HANGUP, [(INVITE, CONNECTED)], TRANSFERRED),
    (EndReason.TRANSFERRED, [(INVITE, BUSY), (INVITE, CONNECTED)], TRANSFERRED),
    (EndReason.FALLBACK, [(INVITE, CONNECTED), (INVITE, BUSY)], TRANSFERRED),
    (EndReason.FAILED, [(INVITE, CONNECTED)], TRANSFERRED),
    (EndReason.CALLER_HANGUP, [(INVITE, CONNECTED), (INVITE, LEFT)], TRANSFERRED),
    # back to the trunk
    (EndReason.HANDED_BACK, [(BYE, CONNECTED)], HANDED_BACK),
    (EndReason.HANDED_BACK, [(INVITE, BUSY), (BYE, CONNECTED)], HANDED_BACK),
    (EndReason.HANDED_BACK, [(INVITE, CONNECTED), (BYE, CONNECTED)], HANDED_BACK),
    # the caller did not wait
    (EndReason.CALLER_HANGUP, [(INVITE, LEFT)], ABANDONED),
    (EndReason.CALLER_HANGUP, [(INVITE, BUSY), (REFER, LEFT)], ABANDONED),
    # nobody was reached
    (EndReason.FALLBACK, [(INVITE, BUSY)], FAILED),
    (EndReason.BOT_HANGUP, [(INVITE, BUSY)], FAILED),
    (EndReason.CALLER_HANGUP, [(INVITE, BUSY)], FAILED),
    (EndReason.FALLBACK, [(REFER, Outcome.NO_VERDICT)], FAILED),
    (EndReason.FALLBACK, [(INVITE, Outcome.BLOCKED)], FAILED),
    (EndReason.SHUTDOWN, [(INVITE, CANCELLED)], FAILED),
    # as if it had not been asked for
    (EndReason.BOT_HANGUP, [(INVITE, CANCELLED)], CONTAINED),
    (EndReason.BOT_HANGUP, [(INVITE, BUSY), (INVITE, CANCELLED)], CONTAINED),
]


@pytest.mark.parametrize(("end", "made", "expected"), TABLE)
def test_disposition(
    end: EndReason, made: list[tuple[Method, Outcome]], expected: Disposition
) -> None:
    done = attempts(*made)
    handover = Handover.of(done[-1]) if done else None
    assert disposition(FlowResult((), end, handover, done)) is expected


def test_a_caller_who_left_before_anything_was_dialled_has_abandoned() -> None:
    handover = Handover(HandoverStatus.CANCELLED, outcome=LEFT, target="billing")
    result = FlowResult((), EndReason.CALLER_HANGUP, handover, ())
    assert disposition(result) is ABANDONED


@pytest.mark.parametrize("end", EndReason)
@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_every_result_has_a_disposition(end: EndReason, outcome: Outcome | None) -> None:
    done = attempts(*([] if outcome is None else [(INVITE, outcome)]))
    handover = Handover.of(done[-1]) if done else None
    assert disposition(FlowResult((), end, handover, done)) in Disposition


def test_a_caller_who_gives_up_before_the_answer_has_abandoned_the_call() -> None:
    result = FlowResult(("talk",), EndReason.CALLER_HANGUP, None, ())
    assert disposition(result, answered=False) is ABANDONED
    assert disposition(result) is CONTAINED
