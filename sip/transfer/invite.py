"""Transfer by INVITE: a second leg is dialled, the two are joined here and stay anchored.

The sound that the caller waits by ends with the target's answer. It goes on after a failure: other
targets may be ringing, or be rung next. On failure the flow goes on at once; on success when the
target has left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sip.leg import Leg
from sip.outcome import Attempt
from sip.transfer.evidence import Evidence
from sip.transfer.ringing import Ringing
from sip.transfer.talk import consult, join

HandOver = Callable[[Leg], Awaitable[Attempt | None]]
"""Has the caller's peer take the target's leg over: `sip.transfer.attended.hand_over`."""


async def by_invite(
    caller: Leg, ringing: Ringing, evidence: Evidence, over: HandOver | None = None
) -> Attempt:
    """Reach the target, tell it who is coming, and join it with the caller.

    Args:
        caller: waits meanwhile.
        ringing: reaches the target.
        evidence: of the attempt.
        over: of an attended transfer: asked to take place of the join.

    Returns:
        The attempt, when it has failed, when the caller's peer has taken both parties over, or when
        one of the joined parties has left.
    """
    target = await ringing.reach()
    if isinstance(target, Attempt):
        return target
    concluded = await consult(caller, target, evidence)
    if concluded is None and over is not None:
        concluded = await over(target)
    return concluded or await join(caller, target, evidence)
