"""One target from INVITE to "answered and accepted", or to the attempt that says why not.

Several may ring at once for one caller (a group's wave): each has its order and its evidence. The
first whose `order.claim` is granted is joined; the orders of the others are withdrawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any

from sip.errors import CallEnded, DestinationBlocked, UnresolvedHost
from sip.events import Event, LegEnded, LegProgress
from sip.leg import Leg
from sip.message import Message, address
from sip.offer import Offer
from sip.order import Acceptance, TransferOrder, Withdrawal
from sip.outcome import Attempt, Outcome, Side, classify, left
from sip.transfer.acceptance import ask
from sip.transfer.beside import beside
from sip.transfer.early_media import EarlyMedia
from sip.transfer.evidence import Evidence
from sip.transfer.redirection import Redirections

Dial = Callable[[str, Offer | None], Awaitable[Leg]]
"""Sends the INVITE to the order's target, or to the URI of a Contact that it redirects to, with the
trunk's first offer or the given one; the leg may already have failed. Raises DestinationBlocked,
UnresolvedHost."""

# Seconds for PJSIP to make something of the answer's SDP. It does so at once, or ends the call.
MEDIA_LIMIT = 2.0

RING_TIMER = "ring"
ACCEPT_TIMER = "accept"

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
        """Dial, and wait until the target has answered and, where asked, accepted.

        Returns:
            The target's leg, which the caller of this releases; or the failed attempt, whose leg
            has been released. Cancelling concludes the attempt and releases the leg.
        """
        reached: Leg | None = None
        try:
            answered = await self._dial_on()
            if isinstance(answered, Attempt):
                return answered
            failed = None
            if self._order.accept is not None:
                failed = await self._ask(answered, self._order.accept)
            if failed is None and not self._order.claim():
                failed = self._beaten()
            if failed is not None:
                return failed
            reached = answered
            return reached
        except DestinationBlocked as error:
            return self._evidence.conclude(Outcome.BLOCKED, reason=str(error))
        except UnresolvedHost as error:
            return self._evidence.conclude(Outcome.NETWORK_FAILURE, reason=str(error))
        except asyncio.CancelledError:
            self._evidence.torn_away(self._caller)
            raise
        finally:
            target, self._target = self._target, None  # which tells us its events
            if reached is None and target is not None:
                target.release(self._cancel_headers())

    async def _dial_on(self) -> Leg | Attempt:
        """Dial the target and, where it redirects, the places that it names and our rules allow,
        until one has answered (RFC 3261 section 8.1.3.4). Each over the trunk's next hops in turn,
        until one has taken the INVITE. An offer that is refused is followed by another, once."""
        evidence = self._evidence
        redirections = Redirections(self._order.target.destination)
        deadline = asyncio.get_running_loop().time() + self._order.timeout
        contact, offer, last = "", None, None
        while True:
            try:
                dialled = await self._dial_one(contact, offer)
            except DestinationBlocked as error:
                if last is None:
                    raise
                evidence.step("invite_blocked", detail=str(error))
            else:
                if isinstance(dialled, Attempt):
                    return dialled
                if (failed := await self._ring(dialled, deadline)) is not None:
                    return failed
                if dialled.dialog.answered:
                    return await self._audible(dialled)
                last = dialled
                ended = await last.wait_ended()
                if last.dialog.unreached and last.info.hops_left:
                    evidence.step("next_hop", ended.code, ended.reason)
                    continue
                final = last.dialog.wire.failure
                if final is not None and final.status is not None:
                    evidence.step("final", final.status, final.reason)
                    if (narrow := _another_offer(last, final)) is not None:
                        offer = narrow
                        evidence.step("offered_again", detail=str(offer))
                        continue
                    if final.status < 400:
                        redirections.add(final)
            refusal = last.dialog.wire.failure
            decided = refusal is not None and (refusal.status or 0) >= 600
            contact = "" if decided else redirections.next()
            if not contact:
                return _failure(last, await last.wait_ended(), self._order, evidence)
            evidence.step("redirected", detail=contact)

    async def _audible(self, target: Leg) -> Leg | Attempt:
        """The target's leg, or the attempt where its answer leaves nothing to hear it by."""
        with beside(target.wait_audible()) as audible:
            if (called_off := await self._unless_called_off(audible, MEDIA_LIMIT)) is not None:
                return called_off
            if audible.done() and (audible.exception() is None or target.dialog.wire.bye_received):
                return target
        self._evidence.bye_by = Side.GATEWAY
        self._evidence.step("bye_sent", detail="no audio in common")
        return self._evidence.conclude(
            Outcome.MEDIA_INCOMPATIBLE, 200, "answered without audio in common"
        )

    async def _dial_one(self, contact: str, offer: Offer | None) -> Leg | Attempt:
        with beside(self._call(contact, offer)) as dialling:
            if (called_off := await self._unless_called_off(dialling)) is not None:
                return called_off
            target = dialling.result()
        self._evidence.step("invite_sent")
        target.subscribe(self._note)
        return target

    async def _call(self, contact: str, offer: Offer | None) -> Leg:
        self._target = target = await self._dial(contact, offer)
        return target

    async def _ring(self, target: Leg, deadline: float) -> Attempt | None:
        """Wait until the target has answered or failed; the attempt where that is not awaited."""
        evidence, order = self._evidence, self._order
        left = deadline - asyncio.get_running_loop().time()
        heard = EarlyMedia(self._caller, target) if order.early_media else nullcontext()
        with beside(target.wait_confirmed()) as answered, heard:
            if (called_off := await self._unless_called_off(answered, left)) is not None:
                return called_off
            if not answered.done():
                evidence.step("timer", detail=RING_TIMER)
                evidence.step("cancel_sent")
                return evidence.conclude(
                    Outcome.NO_ANSWER, reason=f"no answer in {order.timeout:g} s", timer=RING_TIMER
                )
            if answered.exception() is None:
                evidence.step("answered", 200)
        return None

    async def _ask(self, target: Leg, question: Acceptance) -> Attempt | None:
        """Have the agent accept; the attempt if it does not."""
        evidence = self._evidence
        evidence.step("accept_asked")
        with beside(_key(target, question)) as asking:
            if (called_off := await self._unless_called_off(asking)) is not None:
                return called_off
            try:
                key = asking.result()
            except CallEnded:
                evidence.bye_by = Side.TARGET
                evidence.step("accept_refused", detail="hung up")
                return evidence.conclude(Outcome.DECLINED, reason="agent hung up at the prompt")
        if key is not None and key in question.digits:
            evidence.step("accepted")
            return None
        evidence.bye_by = Side.GATEWAY
        if key is not None:
            evidence.step("accept_refused", detail="another key")
            return evidence.conclude(Outcome.DECLINED, reason="agent declined by another key")
        evidence.step("timer", detail=ACCEPT_TIMER)
        evidence.step("accept_refused", detail="no key")
        return evidence.conclude(
            Outcome.DECLINED, reason="agent pressed no key in time", timer=ACCEPT_TIMER
        )

    async def _unless_called_off(
        self, work: asyncio.Future[Any], limit: float | None = None
    ) -> Attempt | None:
        """Wait for `work`; the attempt, if the caller leaves first or the target is withdrawn."""
        evidence = self._evidence
        with beside(self._caller.wait_ended()) as caller_left:
            ends: set[asyncio.Future[Any]] = {work, caller_left, self._withdrawn}
            await asyncio.wait(ends, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if caller_left.done():
                by = caller_left.result().by
                evidence.bye_by = by if by is Side.GATEWAY else Side.CALLER
                return self._called_off(*left(by))
            if self._withdrawn.done():
                return self._called_off(Outcome.CANCELLED, self._withdrawn.result())
            return None

    def _called_off(self, outcome: Outcome, why: str) -> Attempt:
        if self._target is None:
            return self._evidence.conclude(outcome, reason=f"{why} before the INVITE")
        released = "bye_sent" if self._target.dialog.answered else "cancel_sent"
        self._evidence.step(released, detail=why)
        return self._evidence.conclude(outcome, reason=why)

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


async def _key(target: Leg, question: Acceptance) -> str | None:
    """The key an agent presses, as `ask`; raises CallEnded whenever it hangs up."""
    with beside(ask(target, question)) as asking, beside(target.wait_ended()) as left:
        await asyncio.wait({asking, left}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise CallEnded("the agent hung up")
        return asking.result()


def _another_offer(target: Leg, refusal: Message) -> Offer | None:
    offered = target.info.offer
    return None if offered is None else offered.after(refusal)


def _failure(target: Leg, ended: LegEnded, order: TransferOrder, evidence: Evidence) -> Attempt:
    final, bye = target.dialog.wire.failure, target.dialog.wire.bye_received
    if bye is not None:  # only a caller may send it now (RFC 3261 section 15), but it is clear
        evidence.bye_by = Side.TARGET
        evidence.because(bye)
        evidence.step("bye", detail=f"by {Side.TARGET.value}")
        return evidence.conclude(Outcome.DECLINED, reason="agent hung up before it had answered")
    if final is None or final.status is None:
        # The status is PJSIP's own: a timer, or a transport that failed.
        evidence.step("final", ended.code, "no response")
        return evidence.conclude(
            Outcome.NETWORK_FAILURE, reason=ended.reason or "no response to INVITE"
        )
    evidence.retry_after = final.retry_after
    evidence.because(final)
    if 300 <= final.status < 400:
        contact = address(final.header("Contact"))
        return evidence.conclude(
            Outcome.BLOCKED, final.status, f"redirection to {contact or 'nowhere'} is not followed"
        )
    outcome = classify(final.status)
    # 403 over a trunk, before anything rang, is the trunk's own refusal; else the called party's.
    if final.status == 403 and (order.target.trunk is None or target.dialog.rang):
        outcome = Outcome.DECLINED
    return evidence.conclude(outcome, final.status, final.reason)
