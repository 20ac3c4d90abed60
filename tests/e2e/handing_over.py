"""A caller who is handed over: the flow, the two telephones, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sip.softphone import commands
from sip.softphone.driver import Softphone
from tests.e2e.world import AGENT_TONE, CALLER_TONE, World, prompt, transfer_node


def flow(name: str, target: str = "sales", **node: Any) -> dict[str, Any]:
    """A flow that hands every caller over, and says goodbye afterwards."""
    goodbye = {"type": "hangup", "prompt": prompt("goodbye")}
    nodes = {"hand_over": transfer_node(target=target, next="goodbye", **node), "goodbye": goodbye}
    return {"flow": name, "start": "hand_over", "nodes": nodes}


async def sales(pbx: Softphone, folder: Path, **policy: Any) -> None:
    """How sales takes its calls."""
    taken = {"tone": AGENT_TONE, "record": folder / "agent.wav", **policy}
    await pbx.send(commands.Policy(user="sales", **taken))


async def dial(caller: Softphone, world: World, number: str, folder: Path, **more: Any) -> Path:
    """The caller calls, and speaks its tone; what it hears is in the file that is returned."""
    recording = folder / "caller.wav"
    talk = {"tone": CALLER_TONE, "record": recording, **more}
    await caller.send(commands.Dial(call="a", to=world.number(number), **talk))
    return recording


def steps(attempt: dict[str, Any]) -> list[str]:
    """What happened in an attempt, in order."""
    return [step["what"] for step in attempt["steps"]]
