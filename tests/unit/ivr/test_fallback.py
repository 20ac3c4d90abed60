"""The fallback table: the most exact key wins, for every code and outcome."""

from __future__ import annotations

from itertools import combinations

import pytest

from config.flows import Fallback
from config.outcomes import NO_FALLBACK, check_fallback_key
from ivr.fallback import DEFAULT, choose
from sip.outcome import Attempt, Method, Outcome, classify

ROW = Fallback(end=True)


def attempt(outcome: Outcome, code: int | None = None) -> Attempt:
    """A failed attempt."""
    return Attempt("t1", Method.INVITE, "billing", "sip:b@h", outcome, code)


def keys_for(outcome: Outcome, code: int | None) -> list[str]:
    """The keys that fit an attempt, the most exact first."""
    if code is None:
        return [outcome.value, DEFAULT]
    return [str(code), outcome.value, f"{code // 100}xx", DEFAULT]


FAILURES = [(classify(code), code) for code in range(300, 700)] + [
    (outcome, None) for outcome in Outcome if not outcome.succeeded
]


def test_the_most_exact_of_any_keys_wins() -> None:
    for outcome, code in FAILURES:
        keys = keys_for(outcome, code)
        unfit = {"7xx": ROW, "699" if code != 699 else "698": ROW}
        for count in range(1, len(keys) + 1):
            for present in combinations(keys, count):
                table = dict.fromkeys(reversed(present), ROW) | unfit
                assert choose(table, attempt(outcome, code))[0] == present[0]


def test_the_row_of_the_key_is_returned() -> None:
    busy, rest = Fallback(node="later"), Fallback(end=True)
    assert choose({"busy": busy, "default": rest}, attempt(Outcome.BUSY, 600)) == ("busy", busy)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"486", "busy", "4xx", "default"}, "486"),
        ({"busy", "4xx", "default"}, "busy"),
        ({"4xx", "default"}, "4xx"),
        ({"default"}, "default"),
        ({"480", "no_answer", "5xx", "default"}, "default"),
    ],
)
def test_a_486_is_also_busy_and_also_4xx(table: set[str], key: str) -> None:
    rows = dict.fromkeys(table, ROW)
    assert choose(rows, attempt(Outcome.BUSY, 486)) == (key, ROW)


def test_no_verdict_has_no_code() -> None:
    rows = dict.fromkeys(("2xx", "4xx", "no_verdict", "default"), ROW)
    assert choose(rows, attempt(Outcome.NO_VERDICT))[0] == "no_verdict"
    assert choose({"default": ROW}, attempt(Outcome.NO_VERDICT))[0] == "default"


def test_a_table_without_a_fitting_row_is_an_error() -> None:
    with pytest.raises(LookupError, match="no fallback for busy"):
        choose({"5xx": ROW}, attempt(Outcome.BUSY, 486))


def test_every_key_that_can_win_can_be_written() -> None:
    keys = {key for outcome, code in FAILURES for key in keys_for(outcome, code)}
    for key in keys - NO_FALLBACK:
        assert check_fallback_key(key) == key
