"""`goto`: on at another node, in this flow or another."""

from __future__ import annotations

from config.flows import Goto
from ivr.flow_run import FlowRun, Place, Step


def enter(node: Goto, run: FlowRun) -> Step:
    """The node named; of a flow named without a node, its start."""
    flow = node.flow or run.place.flow
    return Place(flow, node.node or run.flows[flow].start)
