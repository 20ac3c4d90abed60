"""What a transfer by INVITE may ask of the agent's leg, and a caller that waits for its answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from config.context import Context
from config.groups import Group, Member
from ivr.events import PromptEnded
from ivr.ports import BotTransfer
from ivr.result import EndReason
from sip.audio import Pcm
from sip.outcome import Method, Outcome
from tests.twin import Verdict
from tests.unit.ivr.scene import Scene

TRANSFER: dict[str, Any] = {
    "type": "agent_transfer",
    "target": "billing",
    "fallback": {"default": {"end": True}},
}
BRIDGED = {**TRANSFER, "answer_on_bridge": True}


async def test_the_order_carries_question_whisper_and_limit() -> None:
    accept = {"prompt": "Press 5", "digits": "5", "timeout": 3, "times": 1}
    node = {**TRANSFER, "accept": accept, "whisper": "A caller", "max_talk": 60}
    scene = Scene({"hand": {**node, "max_talk_prompt": "Time is up"}})
    await scene.run()
    (order,) = scene.call.orders
    assert order.accept is not None
    assert (order.accept.prompt.samples, order.accept.digits) == (b"Press 5", "5")
    assert (order.accept.timeout, order.accept.times) == (3, 1)
    assert isinstance(order.whisper, Pcm)
    assert order.max_talk_prompt is not None
    assert (order.whisper.samples, order.max_talk) == (b"A caller", 60)
    assert order.max_talk_prompt.samples == b"Time is up"
    assert not order.early_media


async def test_early_media_is_asked_for_with_ringback_below_it() -> None:
    scene = Scene({"hand": {**TRANSFER, "waiting": "early_media"}})
    await scene.run()
    assert scene.call.orders[0].early_media
    assert scene.call.sounds == ["early_media"]


async def test_an_agent_whose_prompt_cannot_be_played_is_not_asked() -> None:
    """Silence where a question should be would decline every call."""
    node = {**TRANSFER, "accept": {"prompt": "Press 1"}}
    scene = Scene({"hand": node}, broken=["Press 1"])
    await scene.run()
    assert scene.call.orders[0].accept is None


async def test_a_caller_is_answered_first_unless_the_node_says_otherwise() -> None:
    scene = Scene({"hand": TRANSFER})
    await scene.run()
    assert scene.journal[0] == "answer"


async def test_answer_on_bridge_leaves_the_answer_to_the_transfer() -> None:
    scene = Scene({"hand": BRIDGED})
    await scene.run()
    assert "answer" not in scene.journal


@pytest.mark.parametrize("first", ["goto", "lookup"])
async def test_what_only_decides_answers_nobody(first: str) -> None:
    ways = {
        "goto": {"type": "goto", "node": "hand"},
        "lookup": {
            "type": "lookup",
            "on": "handover.status",
            "cases": {"error": "hand"},
            "default": "hand",
        },
    }
    scene = Scene({"way": ways[first], "hand": BRIDGED})
    await scene.run()
    assert "answer" not in scene.journal


async def test_a_prompt_below_a_failed_transfer_answers() -> None:
    node = {**BRIDGED, "fallback": {"default": {"node": "sorry"}}}
    scene = Scene(
        {"hand": node, "sorry": {"type": "hangup", "prompt": "Sorry"}},
        verdicts=[Verdict(Outcome.BUSY, 486)],
    )
    await scene.run()
    assert scene.journal.index("answer") < scene.journal.index("play Sorry")


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict(Outcome.BUSY, 486), 486),
        (Verdict(Outcome.NO_ANSWER), 480),
        (Verdict(Outcome.BLOCKED, 302), 480),
    ],
)
async def test_a_caller_that_was_not_answered_is_refused_as_the_agent_refused(
    verdict: Verdict, code: int
) -> None:
    scene = Scene({"hand": BRIDGED}, verdicts=[verdict])
    result = await scene.run()
    assert result.end is EndReason.FALLBACK
    assert scene.call.refused_with == code


async def test_refer_needs_a_dialog_so_the_caller_is_answered() -> None:
    """RFC 3515 section 2.4.1: REFER is sent within the call."""
    scene = Scene({"hand": {**BRIDGED, "target": "mobile", "method": "refer"}})
    await scene.run()
    assert scene.journal[0] == "answer"


async def test_auto_does_without_refer_where_the_target_answers_first() -> None:
    scene = Scene({"hand": {**BRIDGED, "target": "mobile"}})
    await scene.run()
    assert scene.journal[0] == "invite mobile as t1"


TOLD = "{{ context.summary }} {{ context.skills | join(', ') }} {{ context.information.order }}"


async def told(scene: Scene) -> bytes | None:
    """What the agent of the last order is told."""
    whisper = scene.call.orders[-1].whisper
    assert isinstance(whisper, asyncio.Future)
    audio = await whisper
    return None if audio is None else audio.samples


async def test_the_packet_of_bot_and_flow_becomes_words() -> None:
    packet = Context(summary="Ada wants her money back.", information={"order": "4711"})
    hand = {**TRANSFER, "whisper": {"text": TOLD}, "context": {"skills": ["refunds"]}}
    talk = {"type": "bot", "bot": "assistant", "transfer": {"billing": "hand"}, "error": "hand"}
    scene = Scene({"talk": talk, "hand": hand}, exits=[BotTransfer("billing", context=packet)])
    await scene.run()
    assert await told(scene) == b"Ada wants her money back. refunds 4711"


async def test_nobody_is_dialled_later_because_of_them() -> None:
    scene = Scene({"hand": {**TRANSFER, "whisper": "From {{ call.caller }}"}})
    await scene.run()
    dialled = scene.journal.index("invite billing as t1")
    assert dialled < scene.journal.index("render From +4930123")


async def test_they_are_spoken_once_for_all_who_are_rung() -> None:
    retry = {"default": {"retry": {"times": 1}, "end": True}}
    node = {**TRANSFER, "target": "desks", "fallback": retry, "whisper": "From {{ call.caller }}"}
    desks = Group(members=[Member(target="billing"), Member(target="sales")])
    busy = [Verdict(Outcome.BUSY, 486)]
    scene = Scene({"hand": node}, verdicts=busy, groups={"desks": desks})
    await scene.run()
    assert len(scene.call.orders) == 2
    assert scene.journal.count("render From +4930123") == 1


async def test_words_that_need_what_is_not_known_are_left_out_and_told() -> None:
    scene = Scene({"hand": {**TRANSFER, "whisper": "{{ context.summary }}"}})
    await scene.run()
    (order,) = scene.call.orders
    assert order.whisper is None
    assert [lost.field for lost in order.dropped] == ["whisper"]


async def test_words_that_cannot_be_spoken_do_not_cost_the_transfer() -> None:
    node = {**TRANSFER, "whisper": "From {{ call.caller }}"}
    scene = Scene({"hand": node}, broken=["From +4930123"])
    result = await scene.run()
    assert await told(scene) is None
    assert result.attempts[0].outcome is Outcome.CONNECTED
    (failed,) = scene.of(PromptEnded)
    assert failed.prompt == "From {{ call.caller }}", "what the caller said is not for the log"


async def test_a_refer_has_no_agent_to_tell() -> None:
    scene = Scene({"hand": {**TRANSFER, "target": "mobile", "whisper": "From {{ call.caller }}"}})
    await scene.run()
    (order,) = scene.call.orders
    assert (order.method, order.whisper) == (Method.REFER, None)
