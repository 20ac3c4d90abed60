"""Transfer by INVITE: a second leg is dialled, the two are joined here and stay anchored.

The caller hears the waiting sound until the target answers. On failure the flow goes on at once; on
success when the target has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sip.errors import DestinationBlocked, UnresolvedHost
from sip.events import Event, LegEnded, LegProgress, TransferJoined
from sip.leg import Leg
from sip.message import address
from sip.order import TransferOrder
from sip.outcome import Attempt, Outcome, Side, classify
from sip.transfer.evidence import Evidence

Dial = Callable[[], Awaitable[Leg]]
"""Sends the INVITE; the leg may already have failed. Raises DestinationBlocked, UnresolvedHost."""

RING_TIMER = "ring"


async def by_invite(caller: Leg, order: TransferOrder, dial: Dial, evidence: Evidence) -> Attempt:
    """Dial the target and join it with the caller.

    Returns:
        The attempt, when it has failed, or when one of the joined parties has left.
    """
    if order.waiting is not None:
        caller.audio.loop(order.waiting)
    target: Leg | None = None
    cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    caller.cancel_requested = cancelled
    try:
        target = await dial()
        evidence.step("invite_sent")
        target.subscribe(lambda event: _note(event, evidence))
        if order.waiting is None:
            caller.audio.hear(target.audio)
        if (failed := await _ring(caller, target, order, cancelled, evidence)) is not None:
            return failed
        caller.audio.stop_loop()
        return await _talk(caller, target, evidence)
    except DestinationBlocked as error:
        return evidence.conclude(Outcome.BLOCKED, reason=str(error))
    except UnresolvedHost as error:
        return evidence.conclude(Outcome.NETWORK_FAILURE, reason=str(error))
    except asyncio.CancelledError:
        if evidence.was_joined:
            evidence.bye_by = Side.GATEWAY
            evidence.conclude(Outcome.CONNECTED, 200, "OK")
        else:
            evidence.conclude(Outcome.ABANDONED if caller.gone else Outcome.CANCELLED)
        raise
    finally:
        caller.cancel_requested = None
        caller.audio.stop_loop()
        caller.audio.part()
        if target is not None:
            target.release()


async def _ring(
    caller: Leg,
    target: Leg,
    order: TransferOrder,
    cancelled: asyncio.Future[None],
    evidence: Evidence,
) -> Attempt | None:
    """Wait for the target's answer; the attempt if there is none."""
    answered = asyncio.ensure_future(target.wait_confirmed())
    caller_left = asyncio.ensure_future(caller.wait_ended())
    try:
        first: set[asyncio.Future[Any]] = {answered, caller_left, cancelled}
        await asyncio.wait(
            first,
            timeout=order.timeout,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if caller_left.done():
            evidence.step("cancel_sent", detail="caller hung up")
            evidence.bye_by = Side.CALLER
            return evidence.conclude(Outcome.ABANDONED, reason="caller hung up")
        if cancelled.done():
            evidence.step("cancel_sent", detail="cancelled")
            return evidence.conclude(Outcome.CANCELLED, reason="cancelled")
        if not answered.done():
            evidence.step("timer", detail=RING_TIMER)
            evidence.step("cancel_sent")
            return evidence.conclude(
                Outcome.NO_ANSWER, reason=f"no answer in {order.timeout:g} s", timer=RING_TIMER
            )
        if answered.exception() is None:
            return None
        return _failure(target, await target.wait_ended(), order, evidence)
    finally:
        caller.cancel_requested = None
        answered.cancel()
        caller_left.cancel()


def _failure(target: Leg, ended: LegEnded, order: TransferOrder, evidence: Evidence) -> Attempt:
    final = target.wire.failure
    if final is None or final.status is None:
        # The status is PJSIP's own: a timer, or a transport that failed.
        evidence.step("final", ended.code, "no response")
        return evidence.conclude(
            Outcome.NETWORK_FAILURE, reason=ended.reason or "no response to INVITE"
        )
    evidence.step("final", final.status, final.reason)
    evidence.retry_after = final.retry_after
    if 300 <= final.status < 400:
        contact = address(final.header("Contact"))
        return evidence.conclude(
            Outcome.BLOCKED, final.status, f"redirection to {contact or 'nowhere'} is not followed"
        )
    outcome = classify(final.status)
    # 403 over a trunk, before anything rang, is the trunk's own refusal; else the called party's.
    if final.status == 403 and (order.target.trunk is None or target.rang):
        outcome = Outcome.DECLINED
    return evidence.conclude(outcome, final.status, final.reason)


async def _talk(caller: Leg, target: Leg, evidence: Evidence) -> Attempt:
    """Join the legs until one of them leaves."""
    caller.audio.part()
    caller.audio.join(target.audio)
    evidence.joined()
    caller.emit(TransferJoined(evidence.order.attempt, target.label))
    ends = {leg: asyncio.ensure_future(leg.wait_ended()) for leg in (caller, target)}
    try:
        await asyncio.wait(ends.values(), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends.values():
            end.cancel()
    first = target if target.gone and not caller.gone else caller
    ended = await first.wait_ended()
    evidence.bye_by = ended.by
    evidence.step("bye", detail=f"by {ended.by.value}")
    return evidence.conclude(Outcome.CONNECTED, 200, "OK")


def _note(event: Event, evidence: Evidence) -> None:
    if isinstance(event, LegProgress):
        evidence.step("provisional", event.code, event.reason)
        evidence.progress(event.code, event.reason)
