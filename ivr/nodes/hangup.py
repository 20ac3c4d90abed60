"""`hangup`: goodbye, then BYE."""

from __future__ import annotations

from config.context import FlowContext
from config.flows import Hangup
from ivr.events import ValueDropped
from ivr.flow_run import End, FlowRun, Step
from ivr.result import EndReason


async def enter(node: Hangup, run: FlowRun) -> Step:
    """Play the prompt out, then end the call with the node's headers on the BYE.

    It is filed under the node's tags also where the caller does not hear the prompt out.
    """
    filling = run.filling()
    run.file_under(filling.context(FlowContext(tags=node.tags)).tags)
    if node.prompt is not None:
        await run.play(node.prompt)
    headers = filling.headers(node.headers)
    for lost in filling.dropped:
        run.emit(ValueDropped(lost.field, lost.reason))
    return End(EndReason.HANGUP, headers)
