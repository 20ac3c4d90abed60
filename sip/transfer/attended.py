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
from sip.outcome import Attempt, Outcome, Side
from sip.transfer.evidence import Evidence, TakeOver
from sip.transfer.replaces import Replaces
from sip.transfer.ringing import Ringing
from sip.transfer.talk import consult, join

Refer = Callable[[str, Evidence], Awaitable[Attempt]]
"""Refers the caller's peer to this URI, and returns the verdict: `by_refer`."""

# What may stand in a header of a URI as it is, beside letters and digits (RFC 3261 section 25.1).
_PLAIN = "-_.!~*'()"


async def by_attended(
    caller: Leg, ringing: Ringing, refer: Refer | None, evidence: Evidence
) -> Attempt:
    """Reach and consult the target, then hand the caller over to it.

    Args:
        caller: waits meanwhile.
        ringing: reaches the target.
        refer: asks the caller's peer to take the target's call over; None: the legs are joined.
        evidence: of the attempt.

    Returns:
        The attempt, when it has failed, when the caller's peer has taken both parties over, or when
        one of the joined parties has left.
    """
    target = await ringing.reach()
    if isinstance(target, Attempt):
        return target
    failed = await consult(caller, target, evidence)
    if failed is not None:
        return failed
    if refer is not None:
        concluded = await _hand_over(caller, target, refer, evidence)
        if concluded is not None:
            return concluded
    return await join(caller, target, evidence)


async def _hand_over(caller: Leg, target: Leg, refer: Refer, evidence: Evidence) -> Attempt | None:
    """None: the caller's peer does not do it, and both parties are still here."""
    kept = False
    try:
        uri = f"{target.remote_target}?Replaces={_escaped(target)}"
        verdict = await refer(uri, TakeOver(evidence))
        if verdict.outcome.succeeded and evidence.attempt is not None:
            return evidence.attempt
        outcome = verdict.outcome
        evidence.step("not_taken_over", verdict.code, outcome.value)
        if caller.gone:
            evidence.bye_by = Side.CALLER
            return evidence.conclude(Outcome.ABANDONED, reason="caller hung up")
        if outcome is Outcome.CANCELLED or target.gone:
            return evidence.conclude(outcome, verdict.code, verdict.reason, verdict.timer)
        kept = True
        return None
    except CallEnded:
        evidence.bye_by = Side.TARGET
        return evidence.conclude(Outcome.DECLINED, reason="agent hung up after the consultation")
    except asyncio.CancelledError:
        evidence.conclude(Outcome.ABANDONED if caller.gone else Outcome.CANCELLED)
        raise
    finally:
        if not kept:
            target.release()


def _escaped(target: Leg) -> str:
    """The dialog with the target as the target itself names it: our tag is its peer's."""
    ours, theirs = target.tags
    return quote(str(Replaces(target.sip_call_id, to_tag=theirs, from_tag=ours)), safe=_PLAIN)
