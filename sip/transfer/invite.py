"""Transfer by INVITE: a second leg is dialled, the two are joined here and stay anchored.

The sound that the caller waits by ends with the target's answer. It goes on after a failure: other
targets may be ringing, or be rung next. On failure the flow goes on at once; on success when the
target has left.
"""

from __future__ import annotations

from sip.leg import Leg
from sip.order import TransferOrder
from sip.outcome import Attempt
from sip.transfer.evidence import Evidence
from sip.transfer.ringing import Dial, Ringing
from sip.transfer.talk import talk


async def by_invite(caller: Leg, order: TransferOrder, dial: Dial, evidence: Evidence) -> Attempt:
    """Dial the target and join it with the caller.

    Returns:
        The attempt, when it has failed, or when one of the joined parties has left.
    """
    reached = await Ringing(caller, order, dial, evidence).reach()
    if isinstance(reached, Attempt):
        return reached
    return await talk(caller, reached, evidence)
