"""Which next hop a call goes to, and where and when a trunk registers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.hops import (
    FIRST_PAUSE,
    FIRST_WAIT,
    LONGEST_WAIT,
    REFUSED_WAIT,
    RETURN_AFTER,
    Hops,
    NextRegister,
    Registering,
)


def plan(count: int) -> Registering:
    return Registering(count, lambda: 1.0)


class TestCalls:
    """RFC 3263 section 4.3: the next one, where one does not answer or says 503."""

    def test_the_first_hop_is_the_first_choice_and_the_registered_one_before_it(self) -> None:
        hops = Hops(3)
        assert hops.choose(0) == 0
        assert hops.choose(0, preferred=2) == 2
        assert hops.left(0, 0) == 2

    def test_one_that_failed_is_left_alone_for_a_while_longer_each_time(self) -> None:
        hops = Hops(2)
        hops.failed(0, 100.0, None)
        assert (hops.choose(129.0), hops.choose(130.0)) == (1, 0)
        hops.failed(0, 130.0, None)
        assert (hops.choose(189.0), hops.choose(190.0)) == (1, 0)
        hops.worked(0)
        hops.failed(0, 200.0, None)
        assert hops.choose(230.0) == 0

    def test_it_says_itself_how_long(self) -> None:
        hops = Hops(2)
        hops.failed(0, 0.0, 7)
        assert (hops.choose(6.9), hops.choose(7.0)) == (1, 0)

    def test_when_all_are_down_the_one_that_is_due_first_is_tried(self) -> None:
        hops = Hops(2)
        hops.failed(0, 0.0, 60)
        hops.failed(1, 0.0, 50)
        assert hops.choose(1.0) == 1
        assert hops.left(1.0, 1) == 0

    @given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.floats(0, 100)), max_size=60))
    def test_there_is_always_one_to_try(self, events: list[tuple[int, bool, float]]) -> None:
        hops, now = Hops(3), 0.0
        for hop, works, pause in events:
            now += pause
            if works:
                hops.worked(hop)
            else:
                hops.failed(hop, now, None)
            assert 0 <= hops.choose(now) < 3
            assert 0 <= hops.left(now, hop) <= 2


class TestPinged:
    """RFC 3261 section 11: a hop that does not answer OPTIONS is out of service until it does."""

    def test_one_that_does_not_answer_is_passed_over_however_long(self) -> None:
        hops = Hops(2)
        hops.pinged(0, alive=False)
        assert (hops.choose(0.0), hops.choose(1e9), hops.left(0.0, 1)) == (1, 1, 0)
        assert hops.choose(0.0, preferred=0) == 1

    def test_one_that_answers_again_is_used_at_once(self) -> None:
        hops = Hops(2)
        hops.failed(0, 0.0, None)  # a call had found it first
        hops.pinged(0, alive=False)
        hops.pinged(0, alive=True)
        assert (hops.choose(1.0), hops.left(1.0, 1)) == (0, 1)

    def test_one_that_answered_a_call_with_503_keeps_its_pause(self) -> None:
        hops = Hops(2)
        hops.failed(0, 0.0, 60, answered=True)
        hops.pinged(0, alive=False)
        hops.pinged(0, alive=True)
        assert (hops.choose(59.0), hops.choose(60.0)) == (1, 0)

    def test_one_that_answers_options_but_no_call_keeps_its_pause(self) -> None:
        hops = Hops(2)
        hops.failed(0, 0.0, None)
        hops.pinged(0, alive=True)
        assert (hops.choose(FIRST_PAUSE - 1), hops.choose(FIRST_PAUSE)) == (1, 0)

    def test_where_none_answers_the_first_is_tried_and_no_other(self) -> None:
        hops = Hops(3)
        for hop in range(3):
            hops.pinged(hop, alive=False)
        assert (hops.choose(0.0), hops.left(0.0, 0)) == (0, 0)

    @given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
    def test_one_that_is_out_is_never_used_while_another_is_not(
        self, answers: list[tuple[int, bool]]
    ) -> None:
        hops, up = Hops(3), [True, True, True]
        for hop, alive in answers:
            hops.pinged(hop, alive=alive)
            up[hop] = alive
            assert up[hops.choose(0.0)] or not any(up)


class TestRegistering:
    """RFC 3261 section 10.3, with failover and return."""

    def test_what_was_granted_at_the_first_hop_pjsip_refreshes(self) -> None:
        assert plan(2).answered(200, 300, None) is None

    def test_a_failure_leads_to_the_next_hop_at_once_then_to_a_pause(self) -> None:
        registering = plan(2)
        assert registering.answered(503, 0, None) == NextRegister(1, 0)
        registering.hop = 1
        assert registering.answered(408, 0, None) == NextRegister(0, FIRST_WAIT)

    def test_the_pause_doubles_up_to_its_limit_and_ends_with_success(self) -> None:
        registering, waits = plan(1), []
        for _ in range(9):
            following = registering.answered(503, 0, None)
            assert following is not None
            waits.append(following.delay)
        assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
        assert waits[-1] == LONGEST_WAIT
        registering.answered(200, 60, None)
        assert registering.answered(503, 0, None) == NextRegister(0, FIRST_WAIT)

    def test_retry_after_is_waited_out(self) -> None:
        registering = plan(2)
        registering.answered(503, 0, 120)
        registering.hop = 1
        assert registering.answered(503, 0, 30) == NextRegister(0, 120)

    def test_at_a_fallback_the_first_hop_is_asked_again_after_a_while(self) -> None:
        registering = plan(2)
        registering.hop = 1
        assert registering.answered(200, 300, None) == NextRegister(0, RETURN_AFTER)

    @pytest.mark.parametrize("code", [401, 403, 404])
    def test_wrong_credentials_are_not_tried_elsewhere(self, code: int) -> None:
        assert plan(3).answered(code, 0, None) == NextRegister(0, REFUSED_WAIT)

    @given(st.lists(st.sampled_from([200, 401, 403, 408, 500, 503, 603]), max_size=80))
    def test_whatever_is_answered_it_never_gives_up_and_never_floods(
        self, codes: list[int]
    ) -> None:
        registering, at_once = plan(3), 0
        for code in codes:
            following = registering.answered(code, 60 if code == 200 else 0, None)
            if following is None:
                at_once = 0
                continue
            at_once = at_once + 1 if following.delay == 0 else 0
            assert at_once < 3
            registering.hop = following.hop
