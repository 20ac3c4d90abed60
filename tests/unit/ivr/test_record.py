"""`record`: what a flow and an operator do with the recording, and the caller's consent."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from config.call_recordings import Consent, RecordAction
from config.flows import Flow, Record
from ivr.decisions import DecisionRefused, RecordDecision, RefusalReason
from ivr.events import DecisionTaken, RecordingRefused
from ivr.ports import RecordOrder
from tests.unit.ivr.scene import Scene

BYE = {"type": "hangup"}


def flow(**node: Any) -> dict[str, Any]:
    return {"record": {"type": "record", "next": "bye", **node}, "bye": BYE}


@pytest.mark.parametrize("action", RecordAction)
async def test_the_action_is_done_and_the_call_goes_on(action: RecordAction) -> None:
    scene = Scene(flow(action=action))
    result = await scene.run()
    assert f"recording {action}" in scene.journal
    assert result.path == ("record", "bye")


async def test_a_flow_records_from_where_it_is_entered() -> None:
    scene = Scene({"bye": BYE}, record=True)
    await scene.run()
    assert scene.journal[0] == "recording start caller"


async def test_a_flow_says_which_legs_are_recorded() -> None:
    scene = Scene({"bye": BYE}, record=[{"leg": "agent", "sides": "said"}, {"leg": "caller"}])
    await scene.run()
    assert scene.journal[:2] == ["recording start agent", "recording start caller"]


@pytest.mark.parametrize(
    "node",
    [
        {"leg": "agent", "consent": "granted"},
        {"action": "pause", "sides": "said"},
        {"action": "start", "leg": "agent-1"},
    ],
)
def test_a_leg_without_an_action_and_sides_without_a_start_are_mistakes(
    node: dict[str, str],
) -> None:
    with pytest.raises(ValidationError):
        Record.model_validate({"type": "record", "next": "bye", **node})


def test_a_flow_names_each_leg_once() -> None:
    with pytest.raises(ValidationError, match="twice"):
        Flow.model_validate(
            {"flow": "a", "start": "bye", "nodes": {"bye": BYE}, "record": [{"leg": "agent"}] * 2}
        )


async def test_what_cannot_be_done_is_told_and_the_call_goes_on() -> None:
    scene = Scene(flow(action="pause"))
    scene.recording.refusal = "nothing is being recorded"
    result = await scene.run()
    assert scene.of(RecordingRefused) == [
        RecordingRefused(RecordAction.PAUSE, "nothing is being recorded")
    ]
    assert result.path == ("record", "bye")


async def test_after_a_no_nothing_starts() -> None:
    scene = Scene(flow(action="start", consent="declined"))
    await scene.run()
    assert "recording start" not in scene.journal
    assert scene.interpreter.consent is Consent.DECLINED
    assert len(scene.of(RecordingRefused)) == 1


async def test_consent_that_nobody_gave_is_unknown() -> None:
    scene = Scene(flow(action="start"))
    await scene.run()
    assert scene.interpreter.consent is Consent.UNKNOWN


async def test_an_operator_pauses_at_once() -> None:
    scene = Scene({"greet": {"type": "play", "prompt": "Welcome", "next": "bye"}, "bye": BYE})
    decision = RecordDecision(RecordOrder(RecordAction.PAUSE), Consent.GRANTED)
    scene.stage.on("play Welcome", lambda: scene.interpreter.decide(decision))
    result = await scene.run()
    assert "recording pause" in scene.journal
    assert scene.of(DecisionTaken) == [DecisionTaken("recording", "pause, consent granted")]
    assert scene.interpreter.consent is Consent.GRANTED
    assert result.path == ("greet", "bye")


async def test_an_operator_learns_what_cannot_be_done() -> None:
    scene = Scene({"greet": {"type": "play", "prompt": "Welcome", "next": "bye"}, "bye": BYE})
    scene.recording.refusal = "nothing is being recorded"

    def pause() -> None:
        with pytest.raises(DecisionRefused, match="nothing is being") as refused:
            scene.interpreter.decide(RecordDecision(RecordOrder(RecordAction.PAUSE)))
        assert refused.value.reason is RefusalReason.RECORDING

    scene.stage.on("play Welcome", pause)
    await scene.run()
    assert scene.of(DecisionTaken) == []
