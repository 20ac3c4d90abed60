"""`record`: recordings of the call are started, paused, resumed or stopped."""

from __future__ import annotations

from config.call_recordings import Sides
from config.flows import Record
from ivr.events import RecordingRefused
from ivr.flow_run import FlowRun, Step
from ivr.ports import RecordOrder


def enter(node: Record, run: FlowRun) -> Step:
    """Do it, or report why not, and go on at `next`."""
    order = None
    if node.action is not None:
        order = RecordOrder(node.action, node.leg or "", node.sides or Sides.BOTH)
    refusal = run.record_call(order, node.consent)
    if refusal and node.action is not None:
        run.emit(RecordingRefused(node.action, refusal))
    return run.to(node.next)
