"""`lookup`: branch on what the last transfer came to."""

from __future__ import annotations

from config.flows import Lookup
from ivr.flow_run import FlowRun, Step
from sip.outcome import Handover


def enter(node: Lookup, run: FlowRun) -> Step:
    """The case that matches, else `default`; before any transfer always `default`."""
    return run.to(node.cases.get(_value(node, run.handover), node.default))


def _value(node: Lookup, handover: Handover | None) -> str:
    if handover is None:
        return ""
    match node.on:
        case "handover.status":
            return handover.status.value
        case "handover.outcome":
            return handover.outcome.value if handover.outcome else ""
        case "handover.error.reason":
            return handover.error_reason.value if handover.error_reason else ""
        case "handover.sip_code":
            return str(handover.sip_code or "")
