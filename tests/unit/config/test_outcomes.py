"""The outcomes that flows name are those that SIP has."""

from __future__ import annotations

from config.outcomes import ERROR_REASONS, HANDOVER_STATUSES, NO_FALLBACK, OUTCOMES
from sip.outcome import HandoverErrorReason, HandoverStatus, Outcome


def test_the_outcomes_are_those_of_sip() -> None:
    assert tuple(outcome.value for outcome in Outcome) == OUTCOMES


def test_whatever_succeeds_has_no_fallback() -> None:
    assert {outcome.value for outcome in Outcome if outcome.succeeded} < NO_FALLBACK


def test_a_lookup_sees_what_a_transfer_can_end_as() -> None:
    running = {HandoverStatus.QUEUED, HandoverStatus.RINGING, HandoverStatus.ACTIVE}
    assert {status.value for status in set(HandoverStatus) - running} == set(HANDOVER_STATUSES)
    assert tuple(reason.value for reason in HandoverErrorReason) == ERROR_REASONS
