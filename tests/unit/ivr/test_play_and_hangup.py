"""`play`, `goto` and `hangup`: words, another node, goodbye."""

from __future__ import annotations

from random import Random
from typing import Any

from ivr.events import (
    FlowEnded,
    FlowStarted,
    NodeEntered,
    NodeLeft,
    Playback,
    PromptEnded,
    PromptStarted,
    ValueDropped,
)
from ivr.result import EndReason
from sip.outcome import Side
from tests.unit.ivr.scene import Scene, flow_of


async def test_a_flow_answers_plays_and_hangs_up() -> None:
    scene = Scene(
        {
            "hello": {"type": "play", "prompt": "Welcome", "next": "bye"},
            "bye": {"type": "hangup", "prompt": "Goodbye", "headers": {"X-Done": "yes"}},
        }
    )
    result = await scene.run()
    assert scene.journal == [
        "answer",
        "play Welcome",
        "played Welcome",
        "play Goodbye",
        "played Goodbye",
        "bye X-Done: yes",
        "ended by gateway",
    ]
    assert result.path == ("hello", "bye")
    assert result.end is EndReason.HANGUP
    assert result.attempts == ()
    assert result.handover is None
    assert scene.events == [
        FlowStarted("main"),
        NodeEntered("main", "hello", "play"),
        PromptStarted("Welcome", 0),
        PromptEnded("Welcome", Playback.PLAYED),
        NodeLeft("main", "hello", "bye"),
        NodeEntered("main", "bye", "hangup"),
        PromptStarted("Goodbye", 0),
        PromptEnded("Goodbye", Playback.PLAYED),
        NodeLeft("main", "bye", "", EndReason.HANGUP),
        FlowEnded(EndReason.HANGUP),
    ]


async def test_one_of_several_prompts_is_chosen_at_random() -> None:
    nodes = {
        "hello": {"type": "play", "prompt": ["One", "Two", {"text": "Three"}], "next": "bye"},
        "bye": {"type": "hangup"},
    }
    heard = set()
    for seed in range(20):
        scene = Scene(nodes, rng=Random(seed))
        await scene.run()
        heard.add(scene.journal[1])
    assert heard == {"play One", "play Two", "play Three"}


async def test_the_same_seed_chooses_the_same_prompt() -> None:
    nodes = {"bye": {"type": "hangup", "prompt": ["One", "Two", "Three"]}}
    first, second = Scene(nodes, rng=Random(7)), Scene(nodes, rng=Random(7))
    await first.run()
    await second.run()
    assert first.journal == second.journal


async def test_a_prompt_that_cannot_be_played_costs_no_call() -> None:
    scene = Scene(
        {
            "hello": {"type": "play", "prompt": {"file": "/sounds/hello.wav"}, "next": "bye"},
            "bye": {"type": "hangup"},
        },
        broken=["hello.wav"],
    )
    result = await scene.run()
    assert result.end is EndReason.HANGUP
    assert scene.of(PromptEnded) == [
        PromptEnded("hello.wav", Playback.FAILED, "hello.wav is broken")
    ]


async def test_goto_leads_to_a_node_of_the_flow() -> None:
    scene = Scene({"start": {"type": "goto", "node": "bye"}, "bye": {"type": "hangup"}})
    assert (await scene.run()).path == ("start", "bye")


async def test_goto_leads_to_the_start_of_another_flow() -> None:
    night = flow_of(
        {
            "closed": {"type": "play", "prompt": "We are closed", "next": "bye"},
            "bye": {"type": "hangup"},
        },
        name="night",
    )
    scene = Scene({"start": {"type": "goto", "flow": "night"}}, others=[night])
    result = await scene.run()
    assert result.path == ("start", "night/closed", "night/bye")
    assert scene.of(NodeLeft)[0].to == "night/closed"
    assert scene.interpreter.position == "night/bye"


async def test_a_flow_in_circles_ends_as_failed_and_hangs_up() -> None:
    scene = Scene(
        {"here": {"type": "goto", "node": "there"}, "there": {"type": "goto", "node": "here"}}
    )
    result = await scene.run()
    assert result.end is EndReason.FAILED
    assert "circles" in result.message
    assert scene.journal[-2:] == ["bye", "ended by gateway"]
    assert scene.events[-1] == FlowEnded(EndReason.FAILED, result.message)


async def test_hang_up_at_every_step_ends_the_flow_as_caller_hangup() -> None:
    nodes = {
        "hello": {"type": "play", "prompt": "Welcome", "next": "bye"},
        "bye": {"type": "hangup", "prompt": "Goodbye"},
    }
    for step in range(1, 7):
        scene = Scene(nodes)
        scene.stage.at(step, scene.call.hang_up)
        result = await scene.run()
        assert result.end is EndReason.CALLER_HANGUP, step
        assert "bye" not in scene.journal
        assert [type(event) for event in scene.events].count(FlowEnded) == 1


async def test_a_prompt_is_stopped_when_the_caller_hangs_up() -> None:
    scene = Scene({"bye": {"type": "hangup", "prompt": "Goodbye"}})
    scene.call.endless.add("Goodbye")
    scene.stage.on("play Goodbye", scene.call.hang_up)
    result = await scene.run()
    assert result.end is EndReason.CALLER_HANGUP
    assert scene.of(PromptEnded) == [PromptEnded("Goodbye", Playback.STOPPED)]


async def test_a_leg_that_the_gateway_ends_is_no_hang_up_of_the_caller() -> None:
    scene = Scene({"bye": {"type": "hangup", "prompt": "Goodbye"}})
    scene.call.endless.add("Goodbye")
    scene.stage.on("play Goodbye", lambda: scene.call.hang_up(Side.GATEWAY))
    assert (await scene.run()).end is EndReason.SHUTDOWN


async def test_cancelling_the_flow_is_a_shutdown_and_still_gives_a_result() -> None:
    scene = Scene({"bye": {"type": "hangup", "prompt": "Goodbye"}})
    scene.call.endless.add("Goodbye")
    flow = scene.start()
    scene.stage.on("play Goodbye", flow.cancel)
    result = await flow
    assert result.end is EndReason.SHUTDOWN
    assert scene.journal[-3:] == ["stopped Goodbye", "bye", "ended by gateway"]
    assert not flow.cancelled()


async def test_cancelling_the_flow_after_the_caller_left_is_a_hang_up() -> None:
    scene = Scene({"bye": {"type": "hangup", "prompt": "Goodbye"}})
    scene.call.endless.add("Goodbye")
    flow = scene.start()

    def leave() -> None:
        scene.call.hang_up()
        flow.cancel()

    scene.stage.on("play Goodbye", leave)
    assert (await flow).end is EndReason.CALLER_HANGUP


async def test_a_fault_in_a_node_ends_the_call_as_failed() -> None:
    scene = Scene({"bye": {"type": "hangup", "prompt": "Goodbye"}})

    def fail() -> None:
        raise OSError("no memory for the player")

    scene.stage.on("play Goodbye", fail)
    result = await scene.run()
    assert result.end is EndReason.FAILED
    assert result.message == "bye: OSError: no memory for the player"
    assert scene.journal[-2:] == ["bye", "ended by gateway"]


TAGGED: dict[str, Any] = {
    "type": "hangup",
    "prompt": "Goodbye",
    "tags": ["contained", "{{ call.trunk }}, faq", "{{ variables.topic }}"],
}


async def test_a_call_is_filed_under_the_tags_of_its_end() -> None:
    scene = Scene({"bye": TAGGED})
    result = await scene.run()
    assert result.tags == ("contained", "carrier", "faq")
    assert [lost.field for lost in scene.of(ValueDropped)] == ["tags"]


async def test_who_does_not_hear_the_goodbye_out_is_filed_all_the_same() -> None:
    scene = Scene({"bye": TAGGED})
    scene.stage.on("play Goodbye", scene.call.hang_up)
    result = await scene.run()
    assert result.end is EndReason.CALLER_HANGUP
    assert result.tags == ("contained", "carrier", "faq")
