"""What a referrer is told (RFC 3515): the table, and that no interleaving tells it two ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.transfer.inbound_refer import (
    TABLE,
    Action,
    Answer,
    Close,
    Grant,
    IllegalInput,
    InboundRefer,
    Input,
    Notify,
    RefuseSubscribe,
    StartExpiry,
    State,
    StopExpiry,
)


class Subscription:
    """Follows the actions as the referrer and the timer see them."""

    def __init__(self) -> None:
        self.refer = InboundRefer()
        self.answers: list[Answer] = []
        self.notifies: list[Notify] = []
        self.running = False
        self.closed = 0
        self.granted = 0
        self.refused = 0

    def feed(self, what: Input, code: int = 0, reason: str = "") -> list[Action]:
        actions = self.refer.happened(what, code, reason)
        for action in actions:
            match action:
                case Answer():
                    self.answers.append(action)
                case Notify():
                    assert not self.ended, "a NOTIFY after the one that ended the subscription"
                    self.notifies.append(action)
                case StartExpiry():
                    self.running = True
                case StopExpiry():
                    self.running = False
                case Close():
                    self.closed += 1
                case Grant():
                    assert not self.closed, "a subscription that is over was granted"
                    self.granted += 1
                case RefuseSubscribe():
                    self.refused += 1
        return actions

    def possible(self, what: Input) -> bool:
        """A timer that does not run cannot fire; a SUBSCRIBE after the end never gets here."""
        if what in SUBSCRIBES:
            return not self.closed
        return what is not Input.EXPIRED or self.running

    @property
    def ended(self) -> list[Notify]:
        return [notify for notify in self.notifies if notify.ending]


def test_a_transfer_that_succeeds_is_told_from_trying_to_200() -> None:
    told = Subscription()
    told.feed(Input.ACCEPT)
    told.feed(Input.PROGRESS, 180, "Ringing")
    told.feed(Input.SUCCESS, 200, "OK")
    assert told.answers == [Answer(202, "Accepted", heard=True)]
    assert told.notifies == [
        Notify(100, "Trying"),
        Notify(180, "Ringing"),
        Notify(200, "OK", "noresource"),
    ]
    assert not told.closed
    told.feed(Input.ALL_ANSWERED)
    assert (told.closed, told.running) == (1, False)


def test_a_refused_refer_has_its_answer_and_no_notify() -> None:
    told = Subscription()
    told.feed(Input.REFUSE, 603, "Destination Not Allowed")
    assert told.answers == [Answer(603, "Destination Not Allowed")]
    assert (told.notifies, told.closed) == ([], 1)


def test_who_wants_no_subscription_hears_nothing() -> None:
    """RFC 4488."""
    told = Subscription()
    told.feed(Input.ACCEPT_UNHEARD)
    told.feed(Input.PROGRESS, 180, "Ringing")
    told.feed(Input.FAILURE, 486, "Busy Here")
    assert (told.notifies, told.closed) == ([], 1)
    assert told.refer.state is State.CLOSED


def test_a_notify_that_is_refused_ends_the_reports_and_not_the_transfer() -> None:
    """RFC 6665 section 4.2.2: 481 removes the subscription."""
    told = Subscription()
    told.feed(Input.ACCEPT)
    told.feed(Input.NOTIFY_REFUSED)
    told.feed(Input.SUCCESS, 200, "OK")
    assert told.ended == []
    assert told.closed == 1


def test_a_subscription_that_expires_is_ended_without_a_verdict() -> None:
    told = Subscription()
    told.feed(Input.ACCEPT)
    told.feed(Input.EXPIRED)
    told.feed(Input.SUCCESS, 200, "OK")
    assert told.ended == [Notify(100, "Trying", "timeout")]
    assert told.closed == 1


class TestSubscribe:
    """RFC 3515 section 2.4.4, RFC 6665 sections 4.1.2.2, 4.1.2.3 and 4.2.1.3."""

    def test_a_refresh_is_granted_and_tells_how_it_stands(self) -> None:
        told = Subscription()
        told.feed(Input.ACCEPT)
        told.feed(Input.PROGRESS, 183, "Session Progress")
        actions = told.feed(Input.REFRESH)
        assert actions == [Grant(), StartExpiry(), Notify(183, "Session Progress")]
        told.feed(Input.SUCCESS, 200, "OK")
        assert told.ended == [Notify(200, "OK", "noresource")]

    def test_who_unsubscribes_is_told_how_it_stands_and_nothing_more(self) -> None:
        told = Subscription()
        told.feed(Input.ACCEPT)
        told.feed(Input.PROGRESS, 180, "Ringing")
        actions = told.feed(Input.UNSUBSCRIBE)
        assert actions == [Grant(), StopExpiry(), Notify(180, "Ringing", "timeout"), Close()]
        for what, code in ((Input.PROGRESS, 183), (Input.SUCCESS, 200)):
            assert told.feed(what, code) == []

    @pytest.mark.parametrize("what", [Input.REFRESH, Input.UNSUBSCRIBE])
    def test_after_the_last_notify_there_is_no_subscription(self, what: Input) -> None:
        told = Subscription()
        told.feed(Input.ACCEPT)
        told.feed(Input.FAILURE, 486, "Busy Here")
        assert told.feed(what) == [RefuseSubscribe()]
        assert told.ended == [Notify(486, "Busy Here", "noresource")]


def test_an_illegal_input_raises_and_changes_nothing() -> None:
    refer = InboundRefer()
    with pytest.raises(IllegalInput, match="SUCCESS in state RECEIVED"):
        refer.happened(Input.SUCCESS, 200, "OK")
    assert refer.state is State.RECEIVED


def test_a_referrer_can_answer_or_fall_silent_at_any_time() -> None:
    accepted = set(State) - {State.RECEIVED}
    from_peer = {Input.NOTIFY_REFUSED, Input.ALL_ANSWERED}
    assert all(from_peer <= TABLE[state].keys() for state in accepted)


FROM_OUTSIDE = [Input.NOTIFY_REFUSED, Input.ALL_ANSWERED, Input.EXPIRED]

SUBSCRIBES = [Input.REFRESH, Input.UNSUBSCRIBE]


@given(
    accept=st.sampled_from([Input.ACCEPT, Input.ACCEPT_UNHEARD]),
    before=st.lists(st.sampled_from([*FROM_OUTSIDE, *SUBSCRIBES, Input.PROGRESS]), max_size=20),
    verdict=st.sampled_from([(Input.SUCCESS, 200), (Input.FAILURE, 486), (Input.FAILURE, 603)]),
    after=st.lists(st.sampled_from([*FROM_OUTSIDE, *SUBSCRIBES]), max_size=10),
)
def test_any_interleaving_ends_a_subscription_once_and_closes_it_once(
    accept: Input, before: list[Input], verdict: tuple[Input, int], after: list[Input]
) -> None:
    told = Subscription()
    told.feed(accept)
    for what in before:
        if told.possible(what):
            told.feed(what, 180, "Ringing")
    told.feed(verdict[0], verdict[1], "verdict")
    for what in after:
        if told.possible(what):
            told.feed(what)
    if told.refer.state is State.REPORTED:
        told.feed(Input.ALL_ANSWERED)
    silenced = {Input.NOTIFY_REFUSED, Input.EXPIRED, Input.UNSUBSCRIBE} & set(before)
    assert told.refer.state is State.CLOSED
    assert not told.running
    assert told.closed == 1
    assert len(told.answers) == 1
    assert len(told.ended) <= 1
    if accept is Input.ACCEPT and not silenced:
        assert [notify.code for notify in told.ended] == [verdict[1]]
