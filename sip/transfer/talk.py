"""Caller and target joined: they hear each other until one of them leaves."""

from __future__ import annotations

import asyncio

from sip.events import TransferJoined
from sip.leg import Leg
from sip.outcome import Attempt, Outcome, Side
from sip.transfer.evidence import Evidence


async def talk(caller: Leg, target: Leg, evidence: Evidence) -> Attempt:
    """Join the legs until one of them leaves.

    Returns:
        The attempt; or that of the target's own REFER, where it failed after the target had left.
        The target's leg has been released; the caller's, if it lives, hears nothing. Cancelling
        releases the target too.
    """
    try:
        caller.audio.stop_loop()
        caller.join(target)
        evidence.joined()
        caller.emit(TransferJoined(evidence.order.attempt, target.label))
        ended = {leg: asyncio.ensure_future(leg.wait_ended()) for leg in (caller, target)}
        try:
            await asyncio.wait(ended.values(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ended.values():
                end.cancel()
        first = await (target if target.gone and not caller.gone else caller).wait_ended()
        evidence.bye_by = first.by
        evidence.step("bye", detail=f"by {first.by.value}")
    except asyncio.CancelledError:
        evidence.bye_by = Side.GATEWAY
        evidence.conclude(Outcome.CONNECTED, 200, "OK")
        raise
    finally:
        caller.part()
        target.release()
    attempt = evidence.conclude(Outcome.CONNECTED, 200, "OK")
    return target.stranded or attempt
