"""The REFER verdict (RFC 3515): one outcome, whatever the peer does and in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.outcome import Outcome
from sip.transfer.verdict import (
    MAX_RETRIES,
    TABLE,
    Action,
    IllegalInput,
    Input,
    Progress,
    ReferVerdict,
    Send,
    SendBye,
    StartTimer,
    State,
    StopTimer,
    Timer,
    Unsubscribe,
    Verdict,
    notify_input,
    response_input,
    retry_bounds,
)

SEND = (Input.SEND, None, "")
ACCEPTED = (Input.ACCEPT, 202, "Accepted")
TRYING = (Input.NOTIFY_PROGRESS, 100, "Trying")
RINGING = (Input.NOTIFY_PROGRESS, 180, "Ringing")
SUCCESS = (Input.NOTIFY_SUCCESS, 200, "OK")
BUSY = (Input.NOTIFY_FAILURE, 486, "Busy Here")
ENDED = (Input.NOTIFY_WITHOUT_VERDICT, None, "")
CANCELLED = (Input.NOTIFY_FAILURE, 487, "Request Terminated")
GLARE = (Input.GLARE, 491, "Request Pending")
BYE = (Input.BYE, None, "")
BYE_487 = (Input.BYE_WITH_STATUS, 487, "BYE: SIP;cause=487")
BYE_486 = (Input.BYE_WITH_STATUS, 486, "BYE: Q.850;cause=17")
LOST = (Input.LOST, None, "")
TIMEOUT = (Input.TIMEOUT, None, "")
CANCEL = (Input.CANCEL, None, "")


@dataclass
class Follower:
    """Does what the verdict says, as the adapter does, and holds it to what it may say."""

    verdict: ReferVerdict = field(default_factory=ReferVerdict)
    timer: Timer | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    sent: int = 0
    byes: int = 0
    unsubscribed: int = 0
    gone: bool = False
    """Whether the dialog has ended."""

    def __post_init__(self) -> None:
        self.feed(SEND)

    def feed(self, *inputs: tuple[Input, int | None, str]) -> list[Action]:
        done: list[Action] = []
        for what, code, reason in inputs:
            if what is Input.TIMEOUT:
                self.timer = None
            if what in (Input.BYE, Input.BYE_WITH_STATUS, Input.LOST):
                self.gone = True
            for action in self.verdict.happened(what, code, reason):
                done.append(action)
                self._do(action)
        return done

    def _do(self, action: Action) -> None:
        match action:
            case StartTimer(timer):
                self.timer = timer
            case StopTimer():
                self.timer = None
            case Verdict():
                assert not self.verdicts, f"a second verdict: {action}"
                self.verdicts.append(action)
            case Send() | Unsubscribe() | SendBye() if self.gone:
                raise AssertionError(f"{action} in a dialog that has ended")
            case Send():
                assert not self.verdicts
                self.sent += 1
            case SendBye():
                self.byes += 1
            case Unsubscribe():
                self.unsubscribed += 1


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
        ([BYE_486], Outcome.ABANDONED, None),
        ([ACCEPTED, BYE_487], Outcome.ABANDONED, 487),
        ([ACCEPTED, RINGING, BYE_486], Outcome.BUSY, 486),
        ([ACCEPTED, RINGING, BYE, CANCELLED], Outcome.ABANDONED, 487),
        ([ACCEPTED, RINGING, CANCELLED], Outcome.CANCELLED, 487),
        ([ACCEPTED, LOST], Outcome.NETWORK_FAILURE, None),
        ([LOST], Outcome.NETWORK_FAILURE, None),
        ([TIMEOUT], Outcome.NETWORK_FAILURE, None),
        ([(Input.PROVISIONAL, 100, "Trying"), TIMEOUT], Outcome.NETWORK_FAILURE, None),
        ([(Input.UNSENT, None, "no transport")], Outcome.NETWORK_FAILURE, None),
        ([(Input.REFUSE, 302, "Moved")], Outcome.BLOCKED, 302),
        ([GLARE, TIMEOUT, ACCEPTED, SUCCESS], Outcome.CONNECTED, 200),
        ([GLARE, BYE], Outcome.ABANDONED, None),
        ([GLARE, CANCEL], Outcome.CANCELLED, None),
        ([*[GLARE, TIMEOUT] * MAX_RETRIES, GLARE], Outcome.GLARE, 491),
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


def test_after_491_it_is_sent_again_a_bounded_number_of_times() -> None:
    """RFC 3261 section 14.1."""
    follower = Follower()
    for _ in range(MAX_RETRIES):
        assert follower.feed(GLARE) == [StartTimer(Timer.GLARE)]
        assert follower.feed(TIMEOUT) == [StartTimer(Timer.RESPONSE), Send()]
    follower.feed(GLARE)
    assert follower.sent == 1 + MAX_RETRIES
    assert follower.verdict.state is State.DONE


def test_the_owner_of_the_call_id_waits_longer_after_491() -> None:
    """So that the two sides cannot meet for ever."""
    assert retry_bounds(owns_call_id=True) == (2.1, 4.0)
    assert retry_bounds(owns_call_id=False) == (0.0, 2.0)


@pytest.mark.parametrize(
    "told", [[CANCEL], [ACCEPTED, CANCEL], [ACCEPTED, TIMEOUT], [ACCEPTED, TRYING, TIMEOUT]]
)
def test_a_subscription_that_nobody_waits_for_is_ended(
    told: list[tuple[Input, int | None, str]],
) -> None:
    """RFC 3515 section 2.4.4: the call is kept, and so are its NOTIFYs otherwise."""
    follower = Follower()
    follower.feed(*told)
    assert follower.unsubscribed == 1


@pytest.mark.parametrize("told", [[ACCEPTED, BUSY], [ACCEPTED, ENDED], [GLARE, CANCEL], [BYE]])
def test_a_subscription_that_is_over_is_not_ended(
    told: list[tuple[Input, int | None, str]],
) -> None:
    follower = Follower()
    follower.feed(*told)
    assert follower.unsubscribed == 0


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


@pytest.mark.parametrize("state", State)
def test_an_illegal_input_raises_and_changes_nothing(state: State) -> None:
    verdict = ReferVerdict()
    verdict.state = state
    for what in set(Input) - TABLE[state].keys():
        with pytest.raises(IllegalInput, match=f"{what.name} in state {state.name}"):
            verdict.happened(what, 500)
        assert verdict.state is state


def test_a_peer_can_send_anything_at_any_time() -> None:
    from_outside = set(Input) - {Input.SEND, Input.UNSENT, Input.TIMEOUT}
    assert all(from_outside <= TABLE[state].keys() for state in set(State) - {State.NEW})


@pytest.mark.parametrize(
    "state", [state for state in State if state not in (State.NEW, State.DONE)]
)
def test_silence_ends_every_state(state: State) -> None:
    """No state but the last is without a timer, so no transfer hangs."""
    assert Input.TIMEOUT in TABLE[state]
    assert Input.TIMEOUT not in TABLE[State.DONE]


def peer_inputs() -> st.SearchStrategy[tuple[Input, int | None, str]]:
    codes = {
        Input.PROVISIONAL: st.just(100),
        Input.ACCEPT: st.sampled_from([200, 202]),
        Input.REFUSE: st.integers(300, 699),
        Input.GLARE: st.just(491),
        Input.UNSENT: st.none(),
        Input.BYE_WITH_STATUS: st.integers(300, 699),
        Input.NO_RESPONSE: st.sampled_from([408, 503]),
        Input.NOTIFY_PROGRESS: st.integers(100, 199),
        Input.NOTIFY_SUCCESS: st.integers(200, 299),
        Input.NOTIFY_FAILURE: st.integers(300, 699),
    }
    return st.sampled_from(sorted(set(Input) - {Input.SEND}, key=Input.__repr__)).flatmap(
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
        if what[0] is Input.UNSENT and follower.verdict.state is not State.SENT:
            continue  # told at once by what sends
        if what[0] in (Input.BYE, Input.BYE_WITH_STATUS, Input.LOST) and follower.gone:
            continue  # a dialog ends once
        follower.feed(what)
        running = follower.verdict.state is not State.DONE
        assert (follower.timer is not None) == running
    # The peer falls silent: what is still running ends by timers alone.
    for _ in range(2 * MAX_RETRIES + 4):
        if follower.timer is not None:
            follower.feed(TIMEOUT)
    assert follower.verdict.state is State.DONE
    assert len(follower.verdicts) == 1
    assert follower.byes <= (follower.verdicts[0].outcome is Outcome.CONNECTED)
    assert follower.sent <= 1 + MAX_RETRIES
    assert follower.unsubscribed <= 1


@pytest.mark.parametrize(
    ("code", "terminated", "expected"),
    [
        (100, False, Input.NOTIFY_PROGRESS),
        (183, False, Input.NOTIFY_PROGRESS),
        (200, False, Input.NOTIFY_SUCCESS),
        (200, True, Input.NOTIFY_SUCCESS),
        (486, True, Input.NOTIFY_FAILURE),
        (486, False, Input.NOTIFY_FAILURE),
        (302, True, Input.NOTIFY_FAILURE),
        (100, True, Input.NOTIFY_WITHOUT_VERDICT),
        (180, True, Input.NOTIFY_WITHOUT_VERDICT),
        (None, True, Input.NOTIFY_WITHOUT_VERDICT),
        (None, False, Input.NOTIFY_PROGRESS),
    ],
)
def test_a_notify_says(code: int | None, terminated: bool, expected: Input) -> None:
    assert notify_input(code, terminated) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (200, Input.ACCEPT),
        (202, Input.ACCEPT),
        (302, Input.REFUSE),
        (491, Input.GLARE),
        (603, Input.REFUSE),
    ],
)
def test_a_response_says(code: int, expected: Input) -> None:
    assert response_input(code) is expected
