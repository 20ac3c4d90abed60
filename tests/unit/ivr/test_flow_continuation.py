"""Where a call goes after the agent: below the transfer, or where somebody said meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from ivr.decisions import ContinueAt, DecisionRefused, RefusalReason
from sip.outcome import Outcome
from tests.twin import Verdict
from tests.unit.ivr.scene import Scene

TRANSFER: dict[str, Any] = {
    "type": "agent_transfer",
    "target": "billing",
    "fallback": {"default": {"node": "again"}},
    "next": "below",
}
NODES: dict[str, Any] = {
    "hand": TRANSFER,
    "again": {**TRANSFER, "target": "sales"},
    "below": {"type": "hangup", "prompt": "Below"},
    "survey": {"type": "hangup", "prompt": "Survey"},
}
SURVEY = ["survey"]


def decided(scene: Scene, node: str) -> None:
    """Say it while the agent talks."""

    def decide() -> None:
        scene.interpreter.decide(ContinueAt(node))
        scene.call.agent_leaves()

    scene.stage.on("joined billing", decide)


async def test_it_goes_on_at_the_entry_point_that_was_set() -> None:
    scene = Scene(NODES, verdicts=[Verdict(talks=True)], entries=SURVEY)
    decided(scene, "survey")
    result = await scene.run()
    assert result.path == ("hand", "survey")


async def test_without_one_it_goes_on_below() -> None:
    scene = Scene(NODES, entries=SURVEY)
    assert (await scene.run()).path == ("hand", "below")


async def test_it_outlasts_an_attempt_that_fails() -> None:
    """Who set it spoke of the agent that the caller reaches in the end."""
    scene = Scene(NODES, verdicts=[Verdict(Outcome.BUSY, 486), Verdict()], entries=SURVEY)
    scene.stage.on("invite billing as t1", lambda: scene.interpreter.decide(ContinueAt("survey")))
    assert (await scene.run()).path == ("hand", "again", "survey")


async def test_a_node_that_goes_on_below_says_so() -> None:
    nodes = {**NODES, "hand": {**TRANSFER, "flow_continuation": "below"}}
    scene = Scene(nodes, verdicts=[Verdict(talks=True)], entries=SURVEY)
    refusals: list[RefusalReason] = []

    def decide() -> None:
        with pytest.raises(DecisionRefused) as refused:
            scene.interpreter.decide(ContinueAt("survey"))
        refusals.append(refused.value.reason)
        scene.call.agent_leaves()

    scene.stage.on("joined billing", decide)
    assert (await scene.run()).path == ("hand", "below")
    assert refusals == [RefusalReason.CONTINUATION_FIXED]


async def test_a_node_that_is_not_there_is_refused() -> None:
    scene = Scene(NODES, entries=SURVEY)
    with pytest.raises(DecisionRefused) as refused:
        scene.interpreter.decide(ContinueAt("nowhere"))
    assert refused.value.reason is RefusalReason.UNKNOWN_NODE
