"""One target from INVITE to "answered and accepted", or to the attempt that says why not.

Several may ring at once for one caller (a group's wave): each has its order and its evidence. The
first whose `order.claim` is granted is joined; the orders of the others are withdrawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sip.errors import DestinationBlocked, UnresolvedHost
from sip.events import Event, LegEnded, LegProgress
from sip.leg import Leg
from sip.message import address
from sip.order import TransferOrder, Withdrawal
from sip.outcome import Attempt, Outcome, Side, classify
from sip.transfer.evidence import Evidence

Dial = Callable[[], Awaitable[Leg]]
"""Sends the INVITE; the leg may already have failed. Raises DestinationBlocked, UnresolvedHost."""

RING_TIMER = "ring"

_COMPLETED_ELSEWHERE = {"Reason": 'SIP;cause=200;text="Call completed elsewhere"'}
"""On the CANCEL (RFC 3326 section 2): telephones then list no missed call."""


class Ringing:
    """Reaches one target for a caller. Satisfied or failed once; made anew for each attempt."""

    def __init__(self, caller: Leg, order: TransferOrder, dial: Dial, evidence: Evidence) -> None:
        self._caller = caller
        self._order = order
        self._dial = dial
        self._evidence = evidence
        self._target: Leg | None = None
        self._withdrawn = order.withdrawal

    async def reach(self) -> Leg | Attempt:
        """Dial, and wait until the target has answered.

        Returns:
            The target's leg, which the caller of this releases; or the failed attempt, whose leg
            has been released. Cancelling concludes the attempt and releases the leg.
        """
        reached: Leg | None = None
        try:
            target = await self._dialled()
            if target is None:
                why = self._withdrawn.result()
                return self._evidence.conclude(Outcome.CANCELLED, reason=f"{why} before the INVITE")
            self._evidence.step("invite_sent")
            target.subscribe(self._note)
            if self._order.early_media:
                self._caller.audio.hear(target.audio)
            failed = await self._ring(target)
            if failed is not None:
                return failed
            reached = target
            return reached
        except DestinationBlocked as error:
            return self._evidence.conclude(Outcome.BLOCKED, reason=str(error))
        except UnresolvedHost as error:
            return self._evidence.conclude(Outcome.NETWORK_FAILURE, reason=str(error))
        except asyncio.CancelledError:
            gone = self._caller.gone
            self._evidence.conclude(Outcome.ABANDONED if gone else Outcome.CANCELLED)
            raise
        finally:
            if reached is None and self._target is not None:
                if self._caller.audio.hears is self._target.audio:
                    self._caller.audio.unhear()
                self._target.release(self._cancel_headers())

    async def _dialled(self) -> Leg | None:
        """The target's leg; None: the order was taken back while its host was looked up."""

        async def dial() -> None:
            self._target = await self._dial()

        dialling = asyncio.ensure_future(dial())
        try:
            first: set[asyncio.Future[Any]] = {dialling, self._withdrawn}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if dialling.done():
                dialling.result()
        finally:
            dialling.cancel()
        return self._target

    async def _ring(self, target: Leg) -> Attempt | None:
        """Wait for the target's answer; the attempt if there is none."""
        answered = asyncio.ensure_future(target.wait_confirmed())
        caller_left = asyncio.ensure_future(self._caller.wait_ended())
        evidence, order = self._evidence, self._order
        try:
            first: set[asyncio.Future[Any]] = {answered, caller_left, self._withdrawn}
            await asyncio.wait(
                first,
                timeout=order.timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if caller_left.done():
                evidence.step("cancel_sent", detail="caller hung up")
                evidence.bye_by = Side.CALLER
                return evidence.conclude(Outcome.ABANDONED, reason="caller hung up")
            if self._withdrawn.done():
                why = self._withdrawn.result()
                evidence.step("cancel_sent", detail=why)
                return evidence.conclude(Outcome.CANCELLED, reason=why)
            if not answered.done():
                evidence.step("timer", detail=RING_TIMER)
                evidence.step("cancel_sent")
                return evidence.conclude(
                    Outcome.NO_ANSWER, reason=f"no answer in {order.timeout:g} s", timer=RING_TIMER
                )
            if answered.exception() is None:
                return None if order.claim() else self._beaten()
            return _failure(target, await target.wait_ended(), order, evidence)
        finally:
            answered.cancel()
            caller_left.cancel()

    def _beaten(self) -> Attempt:
        """The target answered in the very moment in which another one had."""
        self._order.withdraw(Withdrawal.ELSEWHERE)
        self._evidence.step("final", 200, Withdrawal.ELSEWHERE)
        return self._evidence.conclude(Outcome.CANCELLED, reason=Withdrawal.ELSEWHERE)

    def _cancel_headers(self) -> Mapping[str, str]:
        elsewhere = self._withdrawn.done() and self._withdrawn.result() is Withdrawal.ELSEWHERE
        return _COMPLETED_ELSEWHERE if elsewhere else {}

    def _note(self, event: Event) -> None:
        if isinstance(event, LegProgress):
            self._evidence.step("provisional", event.code, event.reason)
            self._evidence.progress(event.code, event.reason)


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
