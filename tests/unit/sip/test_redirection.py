"""The Contacts of a 3xx, in the order in which they are tried (RFC 3261 section 8.1.3.4)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip.message import Message
from sip.transfer.redirection import MAX_REDIRECTIONS, Redirections


def redirection(*contacts: str) -> Message:
    lines = ["SIP/2.0 302 Moved Temporarily", *(f"Contact: {each}" for each in contacts)]
    return Message("\r\n".join([*lines, "", ""]))


def tried(*contacts: str, target: str = "sip:me@10.0.0.1") -> list[str]:
    redirections = Redirections(target)
    redirections.add(redirection(*contacts))
    return list(iter(redirections.next, ""))


def test_the_most_wanted_comes_first_and_equals_in_their_order() -> None:
    assert tried("<sip:c@h>;q=0.2, <sip:a@h>;q=0.9", "<sip:b@h> ; q=0.9") == [
        "sip:a@h",
        "sip:b@h",
        "sip:c@h",
    ]


def test_without_q_it_is_wanted_most() -> None:
    assert tried("<sip:b@h>;q=0.5", "<sip:a@h>;expires=60") == ["sip:a@h", "sip:b@h"]


def test_commas_in_names_and_uris_separate_nothing() -> None:
    assert tried('"Doe, Jane" <sip:a,b@h>, sip:c@h;q=0.1') == ["sip:a,b@h", "sip:c@h"]


def test_nobody_is_tried_twice_nor_the_target_again() -> None:
    assert tried("<sip:me@10.0.0.1>", "<sip:a@h>", "<sip:a@h>") == ["sip:a@h"]


def test_a_star_or_nothing_leads_nowhere() -> None:
    assert tried("*") == tried() == []


@given(st.lists(st.integers(0, 20), max_size=40), st.integers(1, 5))
def test_redirections_that_redirect_come_to_an_end(users: list[int], each: int) -> None:
    redirections = Redirections("sip:me@h")
    for start in range(0, len(users), each):
        redirections.add(redirection(*(f"<sip:{u}@h>" for u in users[start : start + each])))
    found = list(iter(redirections.next, ""))
    assert len(found) == len(set(found)) == min(len(set(users)), MAX_REDIRECTIONS)
