"""`play`: a prompt to its end."""

from __future__ import annotations

from config.flows import Play
from ivr.flow_run import FlowRun, Step


async def enter(node: Play, run: FlowRun) -> Step:
    """Play the prompt, then go on at `next`."""
    await run.play(node.prompt)
    return run.to(node.next)
