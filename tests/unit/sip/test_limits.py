"""The limits of what is dialled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from config.limits import Rate
from sip.limits import TokenBucket

RATE = Rate(calls_per_second=2, burst=5)


def test_a_burst_is_free_then_the_rate_holds() -> None:
    bucket = TokenBucket(RATE)
    assert [bucket.take(100.0) for _ in range(6)] == [True] * 5 + [False]
    assert not bucket.take(100.4)
    assert bucket.take(100.6)


def test_a_quiet_time_gives_no_more_than_a_burst() -> None:
    bucket = TokenBucket(RATE)
    bucket.take(0.0)
    assert sum(bucket.take(1000.0) for _ in range(20)) == 5


@given(st.lists(st.floats(min_value=0, max_value=2), max_size=200))
def test_no_order_of_calls_gets_more_than_burst_and_rate(pauses: list[float]) -> None:
    bucket, now, taken = TokenBucket(RATE), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
    assert taken <= RATE.burst + now * RATE.calls_per_second + 1e-6
