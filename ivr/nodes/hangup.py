"""`hangup`: goodbye, then BYE."""

from __future__ import annotations

from config.flows import Hangup
from ivr.events import ValueDropped
from ivr.flow_run import End, FlowRun, Step
from ivr.result import EndReason


async def enter(node: Hangup, run: FlowRun) -> Step:
    """Play the prompt out, then end the call with the node's headers on the BYE."""
    if node.prompt is not None:
        await run.play(node.prompt)
    filling = run.filling()
    headers = filling.headers(node.headers)
    for lost in filling.dropped:
        run.emit(ValueDropped(lost.field, lost.reason))
    return End(EndReason.HANGUP, headers)
