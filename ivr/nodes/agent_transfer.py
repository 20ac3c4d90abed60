"""`agent_transfer`: the caller is handed to a person, and what happens when that fails.

order ──▶ accepted message ──▶ sip dials or refers ──▶ joined ──▶ target leaves ──▶ `next`
  handover: queued                 ringing               active       completed
                 └─────────────┬──────┘
                            failure ──▶ `fallback` row: prompt, then node or end
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from config.flows import AgentTransfer, Waiting
from config.targets import Target
from ivr.events import FallbackTaken, ResumeOffered
from ivr.fallback import choose
from ivr.flow_run import End, FlowRun, Step
from ivr.ports import CallEnded, TransferOrder
from ivr.result import EndReason
from ivr.resumption import Resumption, has_left, trunk_of, way_back
from ivr.tasks import finished, stop
from ivr.transfer_request import method
from sip.order import Acceptance, Withdrawal
from sip.outcome import Attempt, Handover, HandoverStatus, Method, Outcome, Side

log = structlog.get_logger()

RELEASE_LIMIT = 10.0
"""Seconds for the verdict on an attempt that is torn away: cancelled (a CANCEL has its 487 within
a round trip), or left by the caller (a trunk's `bye_grace` is a second). Then it is cut off."""


UNAVAILABLE = 480
"""RFC 3261 section 21.4.18: what a caller that was not answered gets for a failure without a code.
A timeout, a destination of ours that is not allowed: nobody is there for it now."""

MAX_ATTEMPTS = 50
"""In one call. More is a flow that retries for ever, and a phone that never stops ringing."""


async def enter(node: AgentTransfer, run: FlowRun) -> Step:
    """One attempt to reach the target, followed by `next` or by the fallback."""
    if run.attempts_made == MAX_ATTEMPTS:
        message = f"{MAX_ATTEMPTS} transfers attempted: the flow runs in circles"
        return End(EndReason.FAILED, message=message)
    if not node.answer_on_bridge:
        await run.answer()
    attempt = await _attempt(node, run)
    if attempt.outcome.succeeded and attempt.method is Method.REFER:
        return End(EndReason.TRANSFERRED)
    if attempt.outcome.succeeded and attempt.method is Method.BYE:
        return End(EndReason.HANDED_BACK)
    if attempt.method is Method.BYE and run.caller_left is Side.GATEWAY:
        message = f"handed back to {attempt.target}, which was not confirmed: {attempt.reason}"
        return End(EndReason.FAILED, message=message)
    if run.caller_left is not None or attempt.outcome is Outcome.ABANDONED:
        raise CallEnded
    if attempt.outcome.succeeded:
        return run.to(node.next) if node.next else End(EndReason.TRANSFERRED)
    return await _fall_back(node, run, attempt)


async def _attempt(node: AgentTransfer, run: FlowRun) -> Attempt:
    """Announce and carry out one attempt. It is recorded, whatever becomes of it."""
    request = run.request
    # The method was asked for once; a fallback node that tries again has its own.
    run.request = replace(request, method=None)
    name, target = run.directory.reached_by(node, request)
    run.handover = Handover(HandoverStatus.QUEUED, target=name)
    if target is None:
        reason = f"no such target: {name}" if name else "no target was asked for"
        return _undialled(run, Method.INVITE, name, Outcome.BAD_DESTINATION, reason)
    how = method(node, request, target)
    if refused := target.method_refused(how.value):
        return _undialled(run, how, name, Outcome.METHOD_UNSUPPORTED, refused.message)
    if how is not Method.INVITE:
        await run.answer()
    await _announce(node, run)
    token = await _token(node, run, how, name, target)
    if run.cancel_requested:
        run.cancel_requested = False
        if token:
            run.resumptions.withdraw(token)
        return _undialled(run, how, name, Outcome.CANCELLED, "cancelled before it was dialled")
    filling = run.filling()
    headers = filling.headers(node.headers)
    context = request.context.under(filling.context(node.context))
    run.handover = replace(run.handover, status=HandoverStatus.RINGING)
    order = TransferOrder(
        attempt=run.next_attempt(),
        name=name,
        target=target,
        method=how,
        timeout=node.timeout or target.timeout,
        # The flow's author has the last word on what both say.
        headers={**request.headers, **headers},
        context=context,
        token=token,
        dropped=tuple(filling.dropped),
        early_media=node.waiting is Waiting.EARLY_MEDIA,
        accept=_acceptance(node, run),
        whisper=run.audio(node.whisper),
        max_talk=node.max_talk,
        max_talk_prompt=run.audio(node.max_talk_prompt),
        hold_music=run.prompts.waiting(Waiting.MUSIC),
    )
    run.wait_by(node.waiting)
    try:
        return await _carry_out(run, order)
    finally:
        run.call.stop_loop()


def _acceptance(node: AgentTransfer, run: FlowRun) -> Acceptance | None:
    """The question to the agent; None also where its prompt cannot be played, as with others."""
    accept = node.accept
    prompt = run.audio(accept.prompt) if accept is not None else None
    if accept is None or prompt is None:
        return None
    return Acceptance(prompt, accept.digits, accept.timeout, accept.times)


async def _token(node: AgentTransfer, run: FlowRun, how: Method, name: str, target: Target) -> str:
    """The hand-back token that the call leaves with; empty: it does not come back."""
    back = way_back(node, how)
    trunk = trunk_of(how, run.call.info.trunk, target)
    if back is None or trunk is None:
        return ""
    leaving = Resumption(run.call.id, run.place.flow, back, name, dict(run.variables))
    token = await run.resumptions.offer(leaving, trunk)
    if token:
        run.emit(ResumeOffered(trunk, back))
    return token


def _undialled(run: FlowRun, how: Method, target: str, outcome: Outcome, reason: str) -> Attempt:
    attempt = Attempt(run.next_attempt(), how, target, uri="", outcome=outcome, reason=reason)
    run.record_undialled(attempt)
    return attempt


async def _announce(node: AgentTransfer, run: FlowRun) -> None:
    """Play the accepted message out; returns early where the transfer is cancelled meanwhile."""
    if node.accepted_message is None or run.cancel_requested:
        return
    message = run.spawn(run.play(node.accepted_message))
    run.announcement = message
    try:
        await asyncio.wait({message})
    finally:
        run.announcement = None
        await stop(message)
    if not message.cancelled():
        message.result()


async def _carry_out(run: FlowRun, order: TransferOrder) -> Attempt:
    transfer = asyncio.create_task(run.call.transfer(order))
    run.order = order
    try:
        attempt = await asyncio.shield(transfer)
    except asyncio.CancelledError:
        if run.caller_left is None:
            order.withdraw(Withdrawal.CANCELLED)
            if run.connected:
                transfer.cancel()  # there is no verdict to wait for
        if not await finished(transfer, RELEASE_LIMIT):
            log.error("transfer without a verdict", call_id=run.call.id, attempt=order.attempt)
            await stop(transfer)
        attempt = _salvage(run, order, transfer)
        _record(run, order, attempt)
        if run.caller_left is None:
            raise
        return attempt
    finally:
        run.order = None
    _record(run, order, attempt)
    return attempt


def _record(run: FlowRun, order: TransferOrder, attempt: Attempt) -> None:
    run.record(attempt)
    if order.token and not has_left(attempt):
        run.resumptions.withdraw(order.token)


def _salvage(run: FlowRun, order: TransferOrder, transfer: asyncio.Task[Attempt]) -> Attempt:
    """The verdict on an attempt that was torn away: its own, else the one in its `TransferEnded`,
    else what is known here."""
    if not transfer.cancelled() and transfer.exception() is None:
        return transfer.result()
    if order.attempt in run.attempts:
        return run.attempts[order.attempt]
    outcome = Outcome.CANCELLED if run.caller_left is None else Outcome.ABANDONED
    return Attempt(order.attempt, order.method, order.name, order.target.destination, outcome)


async def _fall_back(node: AgentTransfer, run: FlowRun, attempt: Attempt) -> Step:
    key, row = choose(node.fallback, attempt)
    run.emit(FallbackTaken(attempt.id, attempt.outcome, attempt.code, key, row.node or ""))
    if row.prompt is not None:
        await run.play(row.prompt)
    if row.node:
        return run.to(row.node)
    # A caller that was not answered is refused as the target refused: its trunk may try elsewhere.
    failed = attempt.code is not None and 400 <= attempt.code < 700
    return End(EndReason.FALLBACK, code=attempt.code if failed and attempt.code else UNAVAILABLE)
