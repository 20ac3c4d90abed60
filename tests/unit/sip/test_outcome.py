"""Every final SIP status has exactly one outcome (RFC 3261 section 21)."""

from __future__ import annotations

import pytest

from sip.outcome import (
    Attempt,
    Handover,
    HandoverErrorReason,
    HandoverStatus,
    Method,
    Outcome,
    classify,
)

EXPECTED = {
    Outcome.CONNECTED: {200, 202, 299},
    Outcome.BUSY: {486, 600},
    Outcome.NO_ANSWER: {408, 480},
    Outcome.CANCELLED: {487},
    Outcome.DECLINED: {400, 402, 499, 603, 607, 608, 699},
    Outcome.BAD_DESTINATION: {404, 410, 414, 416, 484, 485, 604},
    Outcome.UNAUTHORIZED: {401, 403, 407},
    Outcome.METHOD_UNSUPPORTED: {405, 420, 421, 489, 501},
    Outcome.MEDIA_INCOMPATIBLE: {415, 488, 606},
    Outcome.ROUTING_LOOP: {482, 483},
    Outcome.GLARE: {491},
    Outcome.SERVER_UNAVAILABLE: {500, 502, 503, 504, 513, 580, 599},
    Outcome.BLOCKED: {300, 301, 302, 305, 380},
}


def test_every_final_status_from_300_to_699_is_classified_and_none_is_a_success() -> None:
    for code in range(300, 700):
        for method in Method:
            assert not classify(code, method).succeeded


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(code, outcome) for outcome, codes in EXPECTED.items() for code in sorted(codes)],
)
def test_a_status_means(code: int, outcome: Outcome) -> None:
    assert classify(code) is outcome


def test_481_to_a_refer_says_that_the_peer_does_not_know_the_method() -> None:
    assert classify(481, Method.REFER) is Outcome.METHOD_UNSUPPORTED
    assert classify(481, Method.INVITE) is Outcome.DECLINED


@pytest.mark.parametrize("code", [0, 100, 183, 199, 700, -1])
def test_what_is_no_final_status_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"{code} is not a final SIP status"):
        classify(code)


def attempt(outcome: Outcome, code: int | None = None, reason: str = "") -> Attempt:
    return Attempt("t1", Method.INVITE, "billing", "sip:b@h", outcome, code, reason)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_rolls_up_to_one_handover_status(outcome: Outcome) -> None:
    handover = Handover.of(attempt(outcome))
    expected = {
        Outcome.CONNECTED: HandoverStatus.COMPLETED,
        Outcome.PRESUMED_CONNECTED: HandoverStatus.COMPLETED,
        Outcome.CANCELLED: HandoverStatus.CANCELLED,
        Outcome.ABANDONED: HandoverStatus.CANCELLED,
    }.get(outcome, HandoverStatus.ERROR)
    assert handover.status is expected
    assert (handover.error_reason is not None) is (expected is HandoverStatus.ERROR)


def test_a_method_that_the_peer_cannot_do_is_reported_as_unsupported() -> None:
    handover = Handover.of(attempt(Outcome.METHOD_UNSUPPORTED, 405, "Method Not Allowed"))
    assert handover.error_reason is HandoverErrorReason.UNSUPPORTED
    assert handover.message == "Method Not Allowed"
    assert handover.sip_code == 405
