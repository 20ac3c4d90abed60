"""The Reason of a BYE (RFC 3326), and the SIP status that it speaks of (RFC 3398 7.2.4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.message import Message
from sip.reason import failure_status


def bye(*reasons: str) -> Message:
    lines = "".join(f"Reason: {reason}\r\n" for reason in reasons)
    return Message(f"BYE sip:gateway SIP/2.0\r\n{lines}\r\n")


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        ([], None),
        (['SIP;cause=487;text="ORIGINATOR_CANCEL"'], 487),
        (["sip ; text=x ; Cause=486"], 486),
        (['SIP;cause=200;text="Call completed elsewhere"'], None),
        (["Q.850;cause=17"], 486),
        (["Q.850;cause=21"], 603),
        (['Q.850;cause=16;text="Normal call clearing"'], None),
        (["Q.850;cause=31", "SIP;cause=503"], 503),
        (["Q.850;cause=16, SIP;cause=603"], 603),
        (["preemption;cause=1"], None),
        (["SIP"], None),
        (["SIP;cause=many"], None),
        (["SIP;cause=4860"], None),
        (["Q.850;cause=²"], None),
        ([""], None),
    ],
)
def test_a_failure_is_read(reasons: list[str], status: int | None) -> None:
    assert failure_status(bye(*reasons)) == status


@given(st.text(st.characters(exclude_characters="\r\n")))
def test_any_reason_is_read_without_an_error(reason: str) -> None:
    status = failure_status(bye(reason))
    assert status is None or 300 <= status <= 699
