"""Caller and target talk: from the target's acceptance until one of them leaves.

The target hears its whisper while the caller still hears the waiting sound; a caller that waits for
its answer gets it now (RFC 3261 section 13.3.1.4); then both hear each other.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from sip.audio import Pcm
from sip.errors import CallEnded, MediaError
from sip.events import TransferJoined
from sip.leg import Leg
from sip.order import Whisper
from sip.outcome import Attempt, Outcome, Side
from sip.transfer.beside import beside
from sip.transfer.bridge import Bridge
from sip.transfer.evidence import Evidence

TALK_TIMER = "max_talk"

WHISPER_LIMIT = 1.5
"""Seconds that an agent who has answered waits for words that are still being spoken: about as long
as one says hello twice. A telephone rings longer than any engine speaks."""


async def join(caller: Leg, target: Leg, evidence: Evidence) -> Attempt:
    """Join the target, once it is consulted, with the caller until one of them leaves, or they have
    talked for as long as they may.

    Returns:
        The attempt; or that of the target's own REFER, where it failed after the target had left.
        The target's leg has been released; the caller's, if it lives, hears nothing. Cancelling
        releases the target too.
    """
    order = evidence.order
    try:
        await caller.answer()
        if order.withdrawal.done():
            return _taken_back(evidence)
        caller.audio.stop_loop()
        with Bridge(caller, target, order.hold_music, evidence):
            evidence.joined()
            caller.emit(TransferJoined(order.attempt, target.label))
            attempt = await _until_over(caller, target, evidence)
        return target.stranded or attempt
    except CallEnded:
        return abandoned(caller, evidence)
    except asyncio.CancelledError:
        evidence.bye_by = Side.GATEWAY
        if evidence.was_joined:
            evidence.conclude(Outcome.CONNECTED, 200, "OK")
        else:
            evidence.torn_away(caller)
        raise
    finally:
        target.release()


async def consult(caller: Leg, target: Leg, evidence: Evidence) -> Attempt | None:
    """Tell the target who is coming, while the caller waits.

    Returns:
        None: it has heard the order's whisper, or there is none. The attempt, if one of them leaves
        meanwhile, or the order is taken back; then the target has been released.
    """
    if evidence.order.whisper is None:
        return None
    failed: Attempt | None = None
    try:
        with beside(_whisper(target, evidence.order.whisper, evidence)) as playing:
            await _first_to_leave(caller, target, playing, evidence.order.withdrawal)
            if caller.gone:
                failed = abandoned(caller, evidence)
            elif target.gone:
                failed = declined(evidence, "agent hung up at the whisper")
            elif evidence.order.withdrawal.done():
                failed = _taken_back(evidence)
            else:
                with suppress(MediaError):  # the bridge is full: better no whisper than no agent
                    playing.result()
    except asyncio.CancelledError:
        evidence.bye_by = Side.GATEWAY
        failed = evidence.torn_away(caller)
        raise
    finally:
        if failed is not None:
            target.release()
    return failed


async def _whisper(target: Leg, whisper: Whisper, evidence: Evidence) -> None:
    """Play it, if it is there in time."""
    words = whisper
    if isinstance(words, asyncio.Future):
        await asyncio.wait({words}, timeout=WHISPER_LIMIT)
        if not words.done():
            evidence.step("whisper_left_out", detail=f"not spoken within {WHISPER_LIMIT:g} s")
            return
        spoken = words.result()
        if spoken is None:
            evidence.step("whisper_left_out", detail="cannot be spoken")
            return
        words = spoken
    evidence.step("whisper")
    await target.play(words)


async def _until_over(caller: Leg, target: Leg, evidence: Evidence) -> Attempt:
    order = evidence.order
    await _first_to_leave(caller, target, limit=order.max_talk)
    if not (caller.gone or target.gone):
        evidence.step("timer", detail=TALK_TIMER)
        if order.max_talk_prompt is not None:
            await _tell_both(caller, target, order.max_talk_prompt)
        evidence.bye_by = Side.GATEWAY
        return evidence.conclude(Outcome.CONNECTED, 200, "OK", timer=TALK_TIMER)
    leaver = target if target.gone and not caller.gone else caller
    first = await leaver.wait_ended()
    evidence.because(leaver.dialog.wire.bye_received)
    evidence.bye_by = first.by
    evidence.step("bye", detail=f"by {first.by.value}")
    return evidence.conclude(Outcome.CONNECTED, 200, "OK")


async def _tell_both(caller: Leg, target: Leg, words: Pcm) -> None:
    """Until the prompt is over, or one of them has left."""
    with (
        beside(caller.play(words)) as one,
        beside(target.play(words)) as other,
        suppress(CallEnded, MediaError),
    ):
        await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)
        for playing in (one, other):
            await playing


async def _first_to_leave(
    caller: Leg, target: Leg, *others: asyncio.Future[Any], limit: float | None = None
) -> None:
    """Wait until a leg has ended, or one of `others` is done; at most `limit` seconds."""
    with beside(caller.wait_ended()) as one, beside(target.wait_ended()) as other:
        ends: set[asyncio.Future[Any]] = {one, other, *others}
        await asyncio.wait(ends, timeout=limit, return_when=asyncio.FIRST_COMPLETED)


def declined(evidence: Evidence, how: str) -> Attempt:
    """The agent has left before it was joined with the caller."""
    evidence.bye_by = Side.TARGET
    evidence.step("bye", detail=f"by {Side.TARGET.value}")
    return evidence.conclude(Outcome.DECLINED, reason=how)


def _taken_back(evidence: Evidence) -> Attempt:
    why = evidence.order.withdrawal.result()
    evidence.bye_by = Side.GATEWAY
    evidence.step("bye_sent", detail=why)
    return evidence.conclude(Outcome.CANCELLED, reason=why)


def abandoned(caller: Leg, evidence: Evidence) -> Attempt:
    """The caller has left before it was joined with the agent, who is released."""
    evidence.step("bye_sent", detail="the caller's leg has ended")
    return evidence.left_by(caller)
