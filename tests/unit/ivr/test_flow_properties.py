"""Whatever the flow, the bot, the targets, the caller and the operator do: one result, one end, and
nothing left behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from config.flows import Flow
from config.outcomes import NO_FALLBACK, OUTCOMES
from ivr.decisions import (
    CancelTransfer,
    Decision,
    DecisionRefused,
    GotoDecision,
    HangupDecision,
    PlayDecision,
    TransferDecision,
)
from ivr.disposition import Disposition, disposition
from ivr.events import FlowEnded, FlowStarted, NodeEntered, NodeLeft, PromptEnded, PromptStarted
from ivr.flow_run import IN_PROGRESS
from ivr.ports import BotDone, BotExit, BotFailed, BotGoto, BotHangup, BotTransfer
from ivr.result import EndReason, FlowResult
from sip.outcome import Method, Outcome, Side
from tests.twin import Verdict
from tests.unit.ivr.scene import TARGETS, Scene

NODES = ["n0", "n1", "n2", "n3", "n4"]
TRANSFER = "n5"
"""Every flow has one node that any target can be transferred at."""

node_names = st.sampled_from([*NODES, TRANSFER])
asked_targets = st.sampled_from(["", "nobody", "+4989123", "sip:anna@example.com", *TARGETS])
methods = st.sampled_from([None, *Method])
prompts = st.sampled_from(["Hello", ["One", "Two"], {"text": "Long"}, "Broken"])
maybe_prompts = st.none() | prompts


def rows() -> st.SearchStrategy[dict[str, Any]]:
    """Rows of a fallback table."""
    to_node = st.fixed_dictionaries({"prompt": maybe_prompts, "node": node_names})
    to_end = st.fixed_dictionaries({"prompt": maybe_prompts, "end": st.just(True)})
    return to_node | to_end


fallback_keys = st.sampled_from(["486", "487", "503", "4xx", "5xx", *(set(OUTCOMES) - NO_FALLBACK)])
fallbacks = st.builds(
    lambda exact, rest: {**exact, "default": rest},
    st.dictionaries(fallback_keys, rows(), max_size=4),
    rows(),
)


def transfers(targets: st.SearchStrategy[str | None]) -> st.SearchStrategy[dict[str, Any]]:
    """`agent_transfer` nodes."""
    return st.fixed_dictionaries(
        {
            "type": st.just("agent_transfer"),
            "target": targets,
            "accepted_message": maybe_prompts,
            "fallback": fallbacks,
            "next": st.none() | node_names,
        }
    )


plays = st.fixed_dictionaries({"type": st.just("play"), "prompt": prompts, "next": node_names})
bots = st.fixed_dictionaries(
    {
        "type": st.just("bot"),
        "bot": st.just("b"),
        "transfer": st.dictionaries(
            st.sampled_from(["default", *TARGETS]), st.just(TRANSFER), max_size=2
        ),
        "done": st.none() | node_names,
        "error": node_names,
    }
)
to_anyone = transfers(st.none() | st.sampled_from(list(TARGETS)))
lookups = st.fixed_dictionaries(
    {
        "type": st.just("lookup"),
        "on": st.just("handover.outcome"),
        "cases": st.dictionaries(st.sampled_from(OUTCOMES), node_names, min_size=1),
        "default": node_names,
    }
)
gotos = st.fixed_dictionaries({"type": st.just("goto"), "node": node_names}) | st.just(
    {"type": "goto", "flow": "main"}
)
hangups = st.fixed_dictionaries({"type": st.just("hangup"), "prompt": maybe_prompts})

flows = st.fixed_dictionaries(
    {
        "n0": plays | bots | to_anyone,
        "n1": bots,
        "n2": to_anyone,
        "n3": plays | lookups | gotos | bots,
        "n4": hangups,
        TRANSFER: transfers(st.none() | st.just("billing")),
    }
)
"""Every type of node, and among them the ways that can go wrong more often than not."""

exits: st.SearchStrategy[BotExit] = st.one_of(
    st.builds(BotTransfer, asked_targets, methods),
    st.builds(BotGoto, st.sampled_from(["nowhere", *NODES])),
    st.just(BotHangup()),
    st.just(BotDone()),
    st.just(BotFailed("connection_lost", "")),
)

decisions: st.SearchStrategy[Decision] = st.one_of(
    st.builds(TransferDecision, asked_targets, methods),
    st.just(CancelTransfer()),
    st.just(HangupDecision()),
    st.just(PlayDecision("Announcement")),
    st.builds(GotoDecision, st.sampled_from(["nowhere", *NODES])),
)

verdicts = st.builds(
    Verdict,
    outcome=st.sampled_from([each for each in Outcome if each is not Outcome.ABANDONED]),
    code=st.sampled_from([None, 404, 486, 503, 603]),
    rings=st.booleans(),
    talks=st.booleans(),
)

steps = st.integers(min_value=1, max_value=16)
MANY_TURNS = 200
"""Turns of the loop without any event: every twin waits for the caller, the agent or the bot."""


@dataclass(frozen=True)
class Story:
    """One call: what its flow is, and what everybody does at which step."""

    flow: dict[str, Any]
    exits: list[BotExit]
    verdicts: list[Verdict]
    decisions: list[tuple[int, Decision]]
    hang_up: tuple[int, Side] | None
    at_once: bool
    """The service cancels the flow in the moment in which the leg ends."""
    shutdown: int | None


stories = st.builds(
    Story,
    flow=flows,
    exits=st.lists(exits, max_size=6),
    verdicts=st.lists(verdicts, max_size=6),
    decisions=st.lists(st.tuples(steps, decisions), min_size=1, max_size=5),
    hang_up=st.none() | st.tuples(steps, st.sampled_from([Side.CALLER, Side.GATEWAY])),
    at_once=st.booleans(),
    shutdown=st.none() | steps,
)


@settings(max_examples=400)
@given(stories)
def test_every_call_has_one_result_one_end_and_leaves_nothing(story: Story) -> None:
    asyncio.run(_play(story))


async def _play(story: Story) -> None:
    scene = Scene(
        story.flow,
        exits=story.exits,
        verdicts=story.verdicts,
        broken=["Broken"],
        transfer_node=TRANSFER,
    )
    scene.call.endless.add("Long")
    task = scene.start()
    for step, decision in story.decisions:
        scene.stage.at(step, partial(_decide, scene, decision))
    if story.shutdown is not None:
        scene.stage.at(story.shutdown, task.cancel)
    if story.hang_up is not None:
        step, side = story.hang_up
        scene.stage.at(step, partial(scene.call.hang_up, side))
        if story.at_once:
            scene.stage.at(step, task.cancel)
    await _until_over(scene, task)
    _check(scene, task.result())
    assert asyncio.all_tasks() == {asyncio.current_task()}


def _decide(scene: Scene, decision: Decision) -> None:
    with suppress(DecisionRefused):
        scene.interpreter.decide(decision)


async def _until_over(scene: Scene, task: asyncio.Task[FlowResult]) -> None:
    """Let the flow run. When all is quiet, the agent leaves; when it stays quiet, the caller."""
    for wake in (scene.call.agent_leaves, scene.call.hang_up, lambda: None):
        seen, quiet = -1, 0
        while not task.done() and quiet < MANY_TURNS:
            happened = len(scene.events) + scene.stage.steps
            quiet = 0 if happened != seen else quiet + 1
            seen = happened
            await asyncio.sleep(0)
        if task.done():
            return
        wake()
    raise AssertionError(f"the flow is stuck: {scene.journal}")


def _check(scene: Scene, result: FlowResult) -> None:
    kinds = [type(event) for event in scene.events]
    assert kinds[0] is FlowStarted
    assert kinds[-1] is FlowEnded
    assert kinds.count(FlowEnded) == 1
    assert scene.events[-1] == FlowEnded(result.end, result.message)
    assert scene.call.ended is not None

    entered = [(event.flow, event.node) for event in scene.of(NodeEntered)]
    assert tuple(node for _, node in entered) == result.path
    assert [(event.flow, event.node) for event in scene.of(NodeLeft)] == entered
    for left, (_, following) in zip(scene.of(NodeLeft), entered[1:], strict=False):
        assert left.to == following

    ids = [attempt.id for attempt in result.attempts]
    assert ids == [f"t{number}" for number in range(1, len(ids) + 1)]
    assert {order.attempt for order in scene.call.orders} <= set(ids)
    ended = Counter(entry.partition(" ")[0] for entry in scene.journal if entry.startswith("t"))
    assert all(ended[order.attempt] == 1 for order in scene.call.orders)
    assert result.handover is None or result.handover.status not in IN_PROGRESS

    talks = [entry for entry in scene.journal if entry == "bot b"]
    released = [entry for entry in scene.journal if entry == "bot b released"]
    assert len(talks) == len(released)
    failed = [event for event in scene.of(PromptEnded) if event.message]
    assert len(scene.of(PromptStarted)) == len(scene.of(PromptEnded)) - len(failed)

    if result.end is EndReason.FAILED:
        assert "circles" in result.message or "not confirmed" in result.message
    if result.end is EndReason.CALLER_HANGUP:
        assert scene.call.ended is Side.CALLER
    assert disposition(result) in Disposition


def test_the_flows_drawn_here_are_valid() -> None:
    """Guards the strategy: what it draws is what an operator could write."""

    @settings(max_examples=20)
    @given(flows)
    def check(drawn: dict[str, Any]) -> None:
        Flow.model_validate({"flow": "main", "start": "n0", "nodes": drawn})

    check()
