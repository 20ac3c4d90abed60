"""The bench counts a frame as lost when its number is missing among those that came."""

from __future__ import annotations

from collections.abc import Iterable

from bench.arrivals import Arrivals
from bench.numbered import NUMBERS, mulaw_frame


def _heard(numbers: Iterable[int]) -> Arrivals:
    """One frame a second."""
    arrivals = Arrivals()
    for second, number in enumerate(numbers):
        arrivals.take_mulaw(mulaw_frame(number), second)
    return arrivals


def test_nothing_is_missing_while_the_numbers_follow_each_other() -> None:
    assert _heard(range(10)).gaps(0, 9) == 0


def test_what_is_left_out_is_missing() -> None:
    assert _heard([0, 1, 2, 5, 6, 8]).gaps(0, 9) == 3


def test_only_what_came_in_the_time_is_looked_at() -> None:
    heard = _heard([0, 1, 4, 5, 6, 9])
    assert heard.between(2, 4) == [4, 5, 6]
    assert heard.gaps(2, 4) == 0


def test_numbers_that_start_anew_leave_no_gap() -> None:
    assert _heard([NUMBERS - 2, NUMBERS - 1, 0, 2]).gaps(0, 9) == 1


def test_a_call_that_heard_nothing_has_no_gap() -> None:
    assert _heard([]).gaps(0, 9) == 0
