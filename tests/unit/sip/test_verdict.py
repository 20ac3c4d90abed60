"""The REFER verdict (RFC 3515): one outcome, whatever the peer does and in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.message import sipfrag_status
from sip.outcome import Outcome
from sip.transfer.verdict import (
    TABLE,
    Action,
    IllegalInput,
    Input,
    Progress,
    ReferVerdict,
    SendBye,
    StartTimer,
    State,
    StopTimer,
    Timer,
    Verdict,
    notify_input,
)

ACCEPTED = (Input.ACCEPT, 202, "Accepted")
TRYING = (Input.NOTIFY_PROGRESS, 100, "Trying")
RINGING = (Input.NOTIFY_PROGRESS, 180, "Ringing")
SUCCESS = (Input.NOTIFY_SUCCESS, 200, "OK")
BUSY = (Input.NOTIFY_FAILURE, 486, "Busy Here")
ENDED = (Input.NOTIFY_WITHOUT_VERDICT, None, "")
BYE = (Input.BYE, None, "")
TIMEOUT = (Input.TIMEOUT, None, "")
CANCEL = (Input.CANCEL, None, "")


@dataclass
class Follower:
    """Does what the verdict says, as the adapter does, and remembers it."""

    verdict: ReferVerdict = field(default_factory=ReferVerdict)
    timer: Timer | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    byes: int = 0

    def feed(self, *inputs: tuple[Input, int | None, str]) -> list[Action]:
        done: list[Action] = []
        for what, code, reason in inputs:
            if what is Input.TIMEOUT:
                self.timer = None
            for action in self.verdict.happened(what, code, reason):
                done.append(action)
                match action:
                    case StartTimer(timer):
                        self.timer = timer
                    case StopTimer():
                        self.timer = None
                    case Verdict():
                        self.verdicts.append(action)
                    case SendBye():
                        self.byes += 1
        return done


@pytest.mark.parametrize(
    ("told", "outcome", "code"),
    [
        ([ACCEPTED, TRYING, SUCCESS], Outcome.CONNECTED, 200),
        ([ACCEPTED, SUCCESS], Outcome.CONNECTED, 200),
        ([TRYING, SUCCESS], Outcome.CONNECTED, 200),
        ([ACCEPTED, TRYING, BUSY], Outcome.BUSY, 486),
        ([ACCEPTED, ENDED], Outcome.NO_VERDICT, None),
        ([ACCEPTED, TRYING, ENDED], Outcome.NO_VERDICT, None),
        ([ACCEPTED, TIMEOUT], Outcome.NO_VERDICT, None),
        ([ACCEPTED, TRYING, RINGING, TIMEOUT], Outcome.NO_VERDICT, None),
        ([(Input.REFUSE, 603, "Decline")], Outcome.DECLINED, 603),
        ([(Input.REFUSE, 405, "No")], Outcome.METHOD_UNSUPPORTED, 405),
        ([(Input.REFUSE, 481, "No dialog")], Outcome.METHOD_UNSUPPORTED, 481),
        ([(Input.REFUSE, 407, "Proxy auth")], Outcome.UNAUTHORIZED, 407),
        ([(Input.NO_RESPONSE, 408, "Timeout")], Outcome.NETWORK_FAILURE, 408),
        ([ACCEPTED, BYE, TIMEOUT], Outcome.PRESUMED_CONNECTED, None),
        ([ACCEPTED, TRYING, BYE, TIMEOUT], Outcome.PRESUMED_CONNECTED, None),
        ([ACCEPTED, BYE, SUCCESS], Outcome.CONNECTED, 200),
        ([ACCEPTED, BYE, BUSY], Outcome.BUSY, 486),
        ([ACCEPTED, BYE, ENDED], Outcome.PRESUMED_CONNECTED, None),
        ([BYE], Outcome.ABANDONED, None),
        ([ACCEPTED, CANCEL], Outcome.CANCELLED, None),
        ([CANCEL], Outcome.CANCELLED, None),
    ],
)
def test_the_verdict_is(
    told: list[tuple[Input, int | None, str]], outcome: Outcome, code: int
) -> None:
    follower = Follower()
    follower.feed(*told)
    assert [(v.outcome, v.code) for v in follower.verdicts] == [(outcome, code)]


def test_a_202_alone_is_no_success() -> None:
    follower = Follower()
    assert follower.feed(ACCEPTED) == [StartTimer(Timer.FIRST_NOTIFY)]
    assert follower.verdicts == []


def test_the_timer_that_decided_is_named() -> None:
    first, final = Follower(), Follower()
    first.feed(ACCEPTED, TIMEOUT)
    final.feed(ACCEPTED, TRYING, TIMEOUT)
    assert first.verdicts[0].timer is Timer.FIRST_NOTIFY
    assert final.verdicts[0].timer is Timer.FINAL_NOTIFY


def test_after_success_the_peer_may_say_bye_first() -> None:
    follower = Follower()
    follower.feed(ACCEPTED, SUCCESS)
    assert follower.timer is Timer.BYE_GRACE
    follower.feed(BYE)
    assert follower.byes == 0
    assert follower.verdict.state is State.DONE


def test_after_success_a_silent_peer_is_released_by_our_bye() -> None:
    follower = Follower()
    follower.feed(ACCEPTED, SUCCESS, TIMEOUT)
    assert follower.byes == 1
    assert follower.verdict.state is State.DONE


def test_progress_is_told() -> None:
    follower = Follower()
    assert Progress(180, "Ringing") in follower.feed(ACCEPTED, TRYING, RINGING)


def test_the_first_final_notify_wins() -> None:
    follower = Follower()
    follower.feed(ACCEPTED, BUSY, SUCCESS, BUSY)
    assert [v.outcome for v in follower.verdicts] == [Outcome.BUSY]


def test_an_illegal_input_raises_and_changes_nothing() -> None:
    verdict = ReferVerdict()
    with pytest.raises(IllegalInput, match="TIMEOUT in state SENT"):
        verdict.happened(Input.TIMEOUT)
    assert verdict.state is State.SENT


def test_a_peer_can_send_anything_at_any_time() -> None:
    from_peer = set(Input) - {Input.TIMEOUT}
    assert all(from_peer <= TABLE[state].keys() for state in State)


def peer_inputs() -> st.SearchStrategy[tuple[Input, int | None, str]]:
    codes = {
        Input.PROVISIONAL: st.just(100),
        Input.ACCEPT: st.sampled_from([200, 202]),
        Input.REFUSE: st.integers(300, 699),
        Input.NO_RESPONSE: st.sampled_from([408, 503]),
        Input.NOTIFY_PROGRESS: st.integers(100, 199),
        Input.NOTIFY_SUCCESS: st.integers(200, 299),
        Input.NOTIFY_FAILURE: st.integers(300, 699),
    }
    return st.sampled_from(list(Input)).flatmap(
        lambda what: st.tuples(st.just(what), codes.get(what, st.none()), st.just("reason"))
    )


@given(st.lists(peer_inputs(), max_size=30))
def test_any_interleaving_gives_exactly_one_outcome(
    told: list[tuple[Input, int | None, str]],
) -> None:
    follower = Follower()
    for what in told:
        if what[0] is Input.TIMEOUT and follower.timer is None:
            continue  # a timer that does not run cannot fire
        follower.feed(what)
        assert len(follower.verdicts) <= 1
    # The peer falls silent: what is still running ends by timers alone. A REFER itself is
    # bounded by PJSIP's transaction timer (NO_RESPONSE).
    if follower.verdict.state is State.SENT:
        follower.feed((Input.NO_RESPONSE, 408, "Request Timeout"))
    for _ in range(3):
        if follower.timer is not None:
            follower.feed(TIMEOUT)
    assert follower.verdict.state is State.DONE
    assert follower.timer is None
    assert len(follower.verdicts) == 1
    assert follower.byes <= (follower.verdicts[0].outcome is Outcome.CONNECTED)


@pytest.mark.parametrize(
    ("body", "terminated", "expected"),
    [
        ("SIP/2.0 100 Trying\r\n", False, Input.NOTIFY_PROGRESS),
        ("SIP/2.0 183 Session Progress", False, Input.NOTIFY_PROGRESS),
        ("SIP/2.0 200 OK", False, Input.NOTIFY_SUCCESS),
        ("SIP/2.0 200 OK", True, Input.NOTIFY_SUCCESS),
        ("SIP/2.0 486 Busy Here", True, Input.NOTIFY_FAILURE),
        ("SIP/2.0 302 Moved", True, Input.NOTIFY_FAILURE),
        ("SIP/2.0 100 Trying", True, Input.NOTIFY_WITHOUT_VERDICT),
        ("", True, Input.NOTIFY_WITHOUT_VERDICT),
        ("", False, Input.NOTIFY_PROGRESS),
        ("not a sipfrag", True, Input.NOTIFY_WITHOUT_VERDICT),
    ],
)
def test_a_notify_says(body: str, terminated: bool, expected: Input) -> None:
    assert notify_input(sipfrag_status(body), terminated) is expected
