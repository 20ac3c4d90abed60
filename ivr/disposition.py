"""A call's disposition: what became of the caller, in one word.

The first row that fits decides:

| row | disposition |
| --- | --- |
| an attempt by `bye` succeeded | `handed_back` |
| any other attempt succeeded, `presumed_connected` included | `transferred` |
| the caller gave up before the answer | `abandoned` |
| the caller hung up between a transfer's order and its verdict | `abandoned` |
| the flow failed, or the gateway stopped under it | `failed` |
| a transfer failed and none came after it that was cancelled | `failed` |
| anything else: the flow did without a person | `contained` |

Whoever reached a person counts as transferred even if a later attempt failed. A transfer that was
cancelled (caller, bot or operator) is as if it had not been asked for. Attempts that a peer's REFER
asked for do not count: an agent's comes after the one that reached the agent, and a caller's only
hands the telephone to somebody else.
"""

from __future__ import annotations

from enum import StrEnum

from ivr.result import EndReason, FlowResult
from sip.outcome import Method, Outcome


class Disposition(StrEnum):
    """What became of the caller."""

    CONTAINED = "contained"
    TRANSFERRED = "transferred"
    HANDED_BACK = "handed_back"
    ABANDONED = "abandoned"
    FAILED = "failed"


def disposition(result: FlowResult, *, answered: bool = True) -> Disposition:
    """The disposition of a finished flow, by the table above.

    Args:
        result: what the flow came to.
        answered: whether the caller's leg was ever answered.
    """
    reached = [
        attempt
        for attempt in result.attempts
        if attempt.outcome.succeeded and not attempt.referred_by
    ]
    if any(attempt.method is Method.BYE for attempt in reached):
        return Disposition.HANDED_BACK
    if reached:
        return Disposition.TRANSFERRED
    if not answered and result.end is EndReason.CALLER_HANGUP:
        return Disposition.ABANDONED
    last = result.handover.outcome if result.handover else None
    if last is Outcome.ABANDONED:
        return Disposition.ABANDONED
    if result.end in (EndReason.FAILED, EndReason.SHUTDOWN):
        return Disposition.FAILED
    if last not in (None, Outcome.CANCELLED):
        return Disposition.FAILED
    return Disposition.CONTAINED
