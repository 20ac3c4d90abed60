"""`record`: the recording of the call is started, paused, resumed or stopped."""

from __future__ import annotations

from config.flows import Record
from ivr.events import RecordingRefused
from ivr.flow_run import FlowRun, Step


def enter(node: Record, run: FlowRun) -> Step:
    """Do it, or report why not, and go on at `next`."""
    refusal = run.record_call(node.action, node.consent)
    if refusal and node.action is not None:
        run.emit(RecordingRefused(node.action, refusal))
    return run.to(node.next)
