"""Attended transfer (RFC 5589 section 7): the target is consulted before it gets the caller.

The consultation is the INVITE's: rung, asked to accept, told who is coming. Until it is over the
caller can be brought back. Then the caller's peer is asked by REFER to call the target in place of
us (RFC 3891); where it does not, nothing is lost: both are still here, and are joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from sip.errors import CallEnded
from sip.leg import Leg
from sip.outcome import Attempt, Outcome
from sip.transfer.evidence import Evidence, TakeOver
from sip.transfer.replaces import Replaces
from sip.transfer.talk import abandoned, declined

Refer = Callable[[str, Evidence], Awaitable[Attempt]]
"""Refers the caller's peer to this URI, and returns the verdict: `by_refer`."""

# What may stand in a header of a URI as it is, beside letters and digits (RFC 3261 section 25.1).
_PLAIN = "-_.!~*'()"


async def hand_over(caller: Leg, refer: Refer, evidence: Evidence, target: Leg) -> Attempt | None:
    """Have the caller's peer take the call of a consulted target over.

    Returns:
        The attempt; None: the caller's peer does not do it, and both parties are still here.
    """
    kept = False
    try:
        uri = f"{target.dialog.remote_target}?Replaces={_escaped(target)}"
        verdict = await refer(uri, TakeOver(evidence))
        if verdict.outcome.succeeded and evidence.attempt is not None:
            return evidence.attempt
        outcome = verdict.outcome
        evidence.step("not_taken_over", verdict.code, outcome.value)
        if caller.gone:
            return abandoned(caller, evidence)
        if outcome is Outcome.CANCELLED or target.gone:
            return evidence.conclude(outcome, verdict.code, verdict.reason, verdict.timer)
        kept = True
        return None
    except CallEnded:
        return declined(evidence, "agent hung up after the consultation")
    except asyncio.CancelledError:
        evidence.torn_away(caller)
        raise
    finally:
        if not kept:
            target.release()


def _escaped(target: Leg) -> str:
    """The dialog with the target as the target itself names it: our tag is its peer's."""
    ours, theirs = target.dialog.tags
    return quote(
        str(Replaces(target.dialog.sip_call_id, to_tag=theirs, from_tag=ours)), safe=_PLAIN
    )
