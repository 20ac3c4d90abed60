"""Keys of one leg on their way to the other: each once, as long as it was pressed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip.digits import SHORTEST_MS, Digits

KEYS = st.lists(st.tuples(st.sampled_from("0123456789*#ABCD"), st.booleans(), st.integers(0, 900)))


@given(KEYS)
def test_each_key_crosses_once_and_in_order(keys: list[tuple[str, bool, int]]) -> None:
    """A release may be lost: RFC 4733 section 2.5.1.4 sends it three times, over UDP."""
    sent: list[tuple[str, int]] = []
    digits = Digits()
    digits.relay_to(lambda key, ms: sent.append((key, ms)))
    for key, released, ms in keys:
        digits.pressed(key)
        if released:
            digits.released(key, ms)
    expected = [(key, max(ms, SHORTEST_MS) if up else SHORTEST_MS) for key, up, ms in keys]
    held = bool(keys) and not keys[-1][1]
    assert sent == (expected[:-1] if held else expected)


def test_what_was_pressed_before_the_join_stays_there() -> None:
    sent: list[tuple[str, int]] = []
    digits = Digits()
    digits.pressed("1")
    digits.relay_to(lambda key, ms: sent.append((key, ms)))
    digits.pressed("2")
    digits.released("2", 100)
    assert sent == [("2", 100)]


def test_a_key_that_crosses_by_itself_is_not_sent_once_more() -> None:
    """RFC 4733 section 2.5.2.1: its packets are passed on, its loss does not press another."""
    sent: list[tuple[str, int]] = []
    digits = Digits()
    digits.relay_to(lambda key, ms: sent.append((key, ms)))
    digits.pressed("1", crosses=True)
    digits.released("1", 100, crosses=True)
    digits.pressed("2", crosses=True)
    digits.pressed("3")
    digits.released("3", 100)
    assert sent == [("3", 100)]


def test_nobody_to_tell_is_no_error() -> None:
    digits = Digits()
    digits.pressed("1")
    digits.released("1", 100)
