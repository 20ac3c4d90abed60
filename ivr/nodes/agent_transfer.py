"""`agent_transfer`: the caller is handed to a person, and what happens when that fails.

order ──▶ reachable? ──▶ accepted message ──▶ hunt ──▶ joined ──▶ target leaves ──▶ `next`
  handover: queued                            ringing   active     completed
               └────────────────┬───────────────┘ ▲
                             failure ──▶ `retry` ─┘
                                └─────▶ `fallback` row: prompt, then node or end
"""

from __future__ import annotations

from config.flows import AgentTransfer
from ivr.events import FallbackTaken
from ivr.fallback import choose
from ivr.flow_run import End, FlowRun, Step
from ivr.hunt.handing_over import MAX_ATTEMPTS, HandingOver
from ivr.ports import CallEnded
from ivr.result import EndReason
from sip.outcome import Attempt, Method, Outcome, Side

UNAVAILABLE = 480
"""RFC 3261 section 21.4.18: what a caller that was not answered gets for a failure without a code.
A timeout, a destination of ours that is not allowed: nobody is there for it now."""


async def enter(node: AgentTransfer, run: FlowRun) -> Step:
    """Reach the target, followed by `next` or by the fallback."""
    if run.attempts_made >= MAX_ATTEMPTS:
        message = f"{MAX_ATTEMPTS} transfers attempted: the flow runs in circles"
        return End(EndReason.FAILED, message=message)
    if not node.answer_on_bridge:
        await run.answer()
    run.cancel_digit = node.cancel_digit
    try:
        attempt = await HandingOver(node, run).carry_out()
    finally:
        run.cancel_digit = None
    if attempt.handed_over:
        by_bye = attempt.method is Method.BYE
        return End(EndReason.HANDED_BACK if by_bye else EndReason.TRANSFERRED)
    if attempt.method is Method.BYE and run.caller_left is Side.GATEWAY:
        message = f"handed back to {attempt.target}, which was not confirmed: {attempt.reason}"
        return End(EndReason.FAILED, message=message)
    if run.caller_left is not None or attempt.outcome is Outcome.ABANDONED:
        raise CallEnded
    if attempt.outcome.succeeded:
        return _go_on(node, run)
    return await _fall_back(node, run, attempt)


def _go_on(node: AgentTransfer, run: FlowRun) -> Step:
    """After the agent: at the entry point that was set meanwhile, else below the node."""
    entry, run.continue_at = run.continue_at, None
    if entry is not None and node.flow_continuation == "entry_point":
        return entry
    return run.to(node.next) if node.next else End(EndReason.TRANSFERRED)


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
