"""An operator decides for a running call: what is carried out, what is refused, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.flows import FilePrompt
from ivr.decisions import (
    CancelTransfer,
    Decision,
    DecisionRefused,
    GotoDecision,
    HangupDecision,
    PlayDecision,
    RefusalReason,
    TransferDecision,
)
from ivr.disposition import Disposition, disposition
from ivr.events import DecisionTaken, NodeLeft, Playback, PromptEnded
from ivr.ports import BotHangup
from ivr.result import EndReason
from sip.events import DtmfReceived, TransferEnded
from sip.outcome import Attempt, Handover, HandoverStatus, Method, Outcome, Side
from tests.twin import Verdict
from tests.unit.ivr.scene import Scene

NODES: dict[str, Any] = {
    "talk": {"type": "bot", "bot": "concierge", "error": "sorry"},
    "hand": {"type": "agent_transfer", "fallback": {"default": {"node": "sorry"}}},
    "announced": {
        "type": "agent_transfer",
        "target": "billing",
        "accepted_message": "One moment",
        "fallback": {"cancelled": {"node": "talk"}, "default": {"node": "sorry"}},
    },
    "sorry": {"type": "hangup", "prompt": "Sorry"},
}


def scene_of(start: str, verdicts: list[Verdict] | None = None, **keys: Any) -> Scene:
    """A call that begins at the node `start`."""
    nodes = {start: NODES[start], **NODES}
    return Scene(nodes, verdicts=verdicts or (), **{"transfer_node": "hand", **keys})


def two_transfers() -> Scene:
    """Where the first does not succeed, the next one is dialled."""
    again = {"type": "agent_transfer", "target": "sales", "fallback": {"default": {"end": True}}}
    announced = {**NODES["announced"], "fallback": {"default": {"node": "again"}}}
    return Scene({"announced": announced, "again": again})


def refused(scene: Scene, decision: Decision) -> RefusalReason:
    """Why a decision is refused; that nothing changes is checked too."""
    events = len(scene.events)
    with pytest.raises(DecisionRefused) as caught:
        scene.interpreter.decide(decision)
    assert len(scene.events) == events
    assert caught.value.message == str(caught.value)
    return caught.value.reason


async def at(scene: Scene, entry: str, *actions: Any) -> Any:
    """Run the flow; do something when it has come to an entry of the journal."""
    for action in actions:
        scene.stage.on(entry, action)
    return await scene.run()


async def test_hangup_releases_the_bot_and_sends_bye() -> None:
    scene = scene_of("talk")
    decision = HangupDecision({"X-By": "operator"}, ("fraud",))
    result = await at(scene, "bot listens", lambda: scene.interpreter.decide(decision))
    assert result.end is EndReason.OPERATOR_HANGUP
    assert result.tags == ("fraud",)
    assert scene.journal[-3:] == [
        "bot concierge released",
        "bye X-By: operator",
        "ended by gateway",
    ]
    assert scene.of(DecisionTaken) == [DecisionTaken("hangup")]


async def test_goto_leads_to_a_node_of_the_flow() -> None:
    scene = scene_of("talk")
    decision = GotoDecision("sorry")
    result = await at(scene, "bot listens", lambda: scene.interpreter.decide(decision))
    assert result.path == ("talk", "sorry")
    assert scene.journal.index("bot concierge released") < scene.journal.index("play Sorry")
    assert scene.of(NodeLeft)[0] == NodeLeft("main", "talk", "sorry")
    assert scene.of(DecisionTaken) == [DecisionTaken("goto", "sorry")]


async def test_transfer_enters_the_flows_transfer_node() -> None:
    scene = scene_of("talk")
    decision = TransferDecision("mobile", Method.INVITE, {"X-By": "operator"})
    result = await at(scene, "bot listens", lambda: scene.interpreter.decide(decision))
    assert result.path == ("talk", "hand")
    (order,) = scene.call.orders
    assert (order.name, order.method) == ("mobile", Method.INVITE)
    assert order.headers == {"X-By": "operator"}
    assert scene.of(DecisionTaken) == [DecisionTaken("transfer", "mobile")]


async def test_the_handover_shows_as_queued_at_once() -> None:
    scene = scene_of("talk")

    def transfer() -> None:
        scene.interpreter.decide(TransferDecision("sales"))
        handover = scene.interpreter.handover
        assert handover is not None
        assert (handover.status, handover.target) == (HandoverStatus.QUEUED, "sales")

    await at(scene, "bot listens", transfer)


async def test_play_sounds_over_the_bot_without_interrupting_it() -> None:
    scene = scene_of("talk")
    scene.stage.on("play Hello", scene.call.hang_up)
    decision = PlayDecision("Hello")
    result = await at(scene, "bot listens", lambda: scene.interpreter.decide(decision))
    assert result.path == ("talk",)
    assert result.end is EndReason.CALLER_HANGUP
    assert scene.journal.index("play Hello") < scene.journal.index("bot concierge released")


async def test_play_is_stopped_when_the_flow_ends() -> None:
    scene = scene_of("talk")
    scene.call.endless.add("Hello")
    scene.stage.on("play Hello", lambda: scene.interpreter.decide(HangupDecision()))
    await at(scene, "bot listens", lambda: scene.interpreter.decide(PlayDecision("Hello")))
    assert scene.of(PromptEnded) == [PromptEnded("Hello", Playback.STOPPED)]
    assert scene.journal.index("stopped Hello") < scene.journal.index("bye")


async def test_a_prompt_that_cannot_be_rendered_is_reported_and_nothing_else() -> None:
    scene = Scene(NODES, broken=["Hello"])
    scene.stage.on("render Hello", scene.call.hang_up)
    await at(scene, "bot listens", lambda: scene.interpreter.decide(PlayDecision("Hello")))
    assert scene.of(PromptEnded) == [PromptEnded("Hello", Playback.FAILED, "Hello is broken")]


async def test_a_second_prompt_waits_for_no_one() -> None:
    scene = scene_of("talk")
    scene.call.endless.add("Hello")

    def again() -> None:
        assert refused(scene, PlayDecision("Hello?")) is RefusalReason.ANNOUNCING
        scene.call.hang_up()

    scene.stage.on("play Hello", again)
    await at(scene, "bot listens", lambda: scene.interpreter.decide(PlayDecision("Hello")))


async def test_cancel_takes_back_a_ringing_transfer_and_the_fallback_follows() -> None:
    scene = scene_of("announced", [Verdict(rings=True)])
    scene.stage.on("bot listens", scene.call.hang_up)
    cancel = CancelTransfer()
    result = await at(scene, "invite billing as t1", lambda: scene.interpreter.decide(cancel))
    assert result.path == ("announced", "talk")
    assert [attempt.outcome for attempt in result.attempts] == [Outcome.CANCELLED]
    assert scene.of(DecisionTaken) == [DecisionTaken("cancel_transfer", "billing")]
    assert scene.bot.starts[0].handover is not None
    assert scene.bot.starts[0].handover.status is HandoverStatus.CANCELLED


async def test_cancel_during_the_accepted_message_dials_nobody() -> None:
    scene = scene_of("announced")
    scene.stage.on("bot listens", scene.call.hang_up)
    cancel = CancelTransfer()
    result = await at(scene, "play One moment", lambda: scene.interpreter.decide(cancel))
    assert scene.call.orders == []
    assert result.path == ("announced", "talk")
    assert [(each.outcome, each.code) for each in result.attempts] == [(Outcome.CANCELLED, None)]
    assert "stopped One moment" in scene.journal


async def test_cancel_right_after_the_order_dials_nobody() -> None:
    scene = scene_of("talk", transfer_node="announced")

    def order_and_cancel() -> None:
        scene.interpreter.decide(TransferDecision("billing"))
        scene.interpreter.decide(CancelTransfer())
        scene.stage.on("bot listens", scene.call.hang_up)

    result = await at(scene, "bot listens", order_and_cancel)
    assert scene.call.orders == []
    assert "play One moment" not in scene.journal
    assert [attempt.outcome for attempt in result.attempts] == [Outcome.CANCELLED]


@pytest.mark.parametrize("target", ["sales", "sip:sales@10.0.0.8"])
async def test_a_transfer_to_the_same_target_joins_the_running_one(target: str) -> None:
    scene = scene_of("talk", [Verdict(rings=True)])
    scene.stage.on("bot listens", lambda: scene.interpreter.decide(TransferDecision("sales")))

    def once_more() -> None:
        scene.interpreter.decide(TransferDecision(target))
        scene.call.hang_up()

    result = await at(scene, "invite sales as t1", once_more)
    assert result.path == ("talk", "hand")
    assert len(scene.call.orders) == 1


async def test_a_transfer_to_another_target_is_refused_while_one_runs() -> None:
    scene = scene_of("talk", [Verdict(rings=True)])
    scene.stage.on("bot listens", lambda: scene.interpreter.decide(TransferDecision("sales")))

    def another() -> None:
        assert refused(scene, TransferDecision("mobile")) is RefusalReason.TRANSFER_RUNNING
        scene.call.hang_up()

    await at(scene, "invite sales as t1", another)
    assert len(scene.call.orders) == 1


async def test_goto_cancels_a_ringing_target_first() -> None:
    scene = scene_of("announced", [Verdict(rings=True)])
    goto = GotoDecision("sorry")
    result = await at(scene, "invite billing as t1", lambda: scene.interpreter.decide(goto))
    assert result.path == ("announced", "sorry")
    assert scene.journal.index("t1 cancelled") < scene.journal.index("play Sorry")
    assert [attempt.outcome for attempt in result.attempts] == [Outcome.CANCELLED]


async def test_goto_takes_the_caller_back_from_an_agent() -> None:
    scene = scene_of("announced", [Verdict(talks=True)])
    goto = GotoDecision("sorry")
    result = await at(scene, "joined billing", lambda: scene.interpreter.decide(goto))
    assert result.path == ("announced", "sorry")
    assert [(each.outcome, each.bye_by) for each in result.attempts] == [
        (Outcome.CONNECTED, Side.GATEWAY)
    ]


async def test_goto_during_the_accepted_message_drops_the_transfer() -> None:
    scene = scene_of("announced")
    scene.call.endless.add("One moment")
    seen: list[Handover | None] = []
    scene.stage.on("play Sorry", lambda: seen.append(scene.interpreter.handover))
    goto = GotoDecision("sorry")
    result = await at(scene, "play One moment", lambda: scene.interpreter.decide(goto))
    assert scene.call.orders == []
    assert result.attempts == ()
    assert scene.journal.index("stopped One moment") < scene.journal.index("play Sorry")
    assert [each and each.status for each in seen] == [HandoverStatus.CANCELLED]
    assert disposition(result) is Disposition.CONTAINED


async def test_a_cancelled_transfer_does_not_cancel_the_next() -> None:
    scene = two_transfers()
    cancel = CancelTransfer()
    result = await at(scene, "play One moment", lambda: scene.interpreter.decide(cancel))
    assert [attempt.outcome for attempt in result.attempts] == [
        Outcome.CANCELLED,
        Outcome.CONNECTED,
    ]


async def test_a_transfer_that_a_goto_replaced_does_not_cancel_the_next() -> None:
    scene = scene_of("talk")

    def change_mind() -> None:
        scene.interpreter.decide(TransferDecision("sales"))
        scene.interpreter.decide(CancelTransfer())
        scene.interpreter.decide(GotoDecision("announced"))

    result = await at(scene, "bot listens", change_mind)
    assert [order.name for order in scene.call.orders] == ["billing"]
    assert result.end is EndReason.TRANSFERRED


async def test_the_last_of_two_decisions_at_once_counts() -> None:
    scene = scene_of("talk", [Verdict(rings=True)])

    def both() -> None:
        scene.interpreter.decide(TransferDecision("sales"))
        scene.interpreter.decide(GotoDecision("sorry"))

    result = await at(scene, "bot listens", both)
    assert result.path == ("talk", "sorry")
    assert scene.call.orders == []


async def test_nothing_outweighs_a_hangup() -> None:
    scene = scene_of("talk")

    def both() -> None:
        scene.interpreter.decide(HangupDecision())
        assert refused(scene, GotoDecision("sorry")) is RefusalReason.CALL_ENDED

    result = await at(scene, "bot listens", both)
    assert result.end is EndReason.OPERATOR_HANGUP


async def test_a_decision_before_the_first_node_is_followed() -> None:
    scene = scene_of("talk")
    scene.interpreter.decide(GotoDecision("sorry"))
    assert (await scene.run()).path == ("sorry",)


async def test_a_hangup_before_the_first_node_answers_nothing() -> None:
    scene = scene_of("talk")
    scene.interpreter.decide(HangupDecision())
    result = await scene.run()
    assert result.path == ()
    assert scene.journal == ["bye", "ended by gateway"]


async def test_a_decision_while_the_call_is_answered_is_followed() -> None:
    scene = scene_of("talk")
    result = await at(scene, "answer", lambda: scene.interpreter.decide(GotoDecision("sorry")))
    assert result.path == ("talk", "sorry")
    assert scene.journal[:3] == ["answer", "answer", "play Sorry"]


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (TransferDecision("nobody"), RefusalReason.UNKNOWN_TARGET),
        (TransferDecision(""), RefusalReason.UNKNOWN_TARGET),
        (TransferDecision("sales", Method.REFER), RefusalReason.METHOD_REFUSED),
        (CancelTransfer(), RefusalReason.NO_TRANSFER),
        (GotoDecision("nowhere"), RefusalReason.UNKNOWN_NODE),
        (PlayDecision(FilePrompt(file=Path("/etc/passwd"))), RefusalReason.UNPLAYABLE),
    ],
)
async def test_what_the_call_cannot_follow_is_refused_and_the_talk_goes_on(
    decision: Decision, reason: RefusalReason
) -> None:
    scene = scene_of("talk")

    def decide() -> None:
        assert refused(scene, decision) is reason
        scene.call.hang_up()

    result = await at(scene, "bot listens", decide)
    assert result.path == ("talk",)


async def test_a_flow_without_a_transfer_node_refuses_transfers() -> None:
    scene = scene_of("talk", transfer_node=None)

    def decide() -> None:
        assert refused(scene, TransferDecision("sales")) is RefusalReason.NO_TRANSFER_NODE
        scene.call.hang_up()

    await at(scene, "bot listens", decide)


async def test_a_transfer_node_with_its_own_target_serves_no_other() -> None:
    scene = scene_of("talk", transfer_node="announced")

    def decide() -> None:
        assert refused(scene, TransferDecision("sales")) is RefusalReason.TARGET_FIXED
        scene.interpreter.decide(TransferDecision())

    await at(scene, "bot listens", decide)
    assert [order.name for order in scene.call.orders] == ["billing"]


async def test_an_agent_who_talks_is_not_cancelled() -> None:
    scene = scene_of("announced", [Verdict(talks=True)])

    def decide() -> None:
        assert refused(scene, CancelTransfer()) is RefusalReason.TRANSFER_ACTIVE
        scene.call.agent_leaves()

    result = await at(scene, "joined billing", decide)
    assert result.end is EndReason.TRANSFERRED


HANDED_OVER = {
    "bye": ("bye mobile as t1", None),
    # The verdict is in, and the peer is left a second to hang up first (RFC 3515 section 2.4.5).
    "refer": (
        "referred to mobile",
        Attempt("t1", Method.REFER, "mobile", "", Outcome.CONNECTED, 200),
    ),
}


@pytest.mark.parametrize("method", list(HANDED_OVER))
async def test_a_caller_who_was_handed_over_is_not_taken_back(method: str) -> None:
    """No message takes a BYE back, or a REFER that has succeeded: that is said."""
    moment, verdict = HANDED_OVER[method]
    node = {**NODES["announced"], "target": "mobile", "method": method, "cancel_digit": "*"}
    scene = Scene({"announced": node, "sorry": NODES["sorry"], "talk": NODES["talk"]})

    def decide() -> None:
        if verdict is not None:
            scene.call.tells(TransferEnded(verdict))
        scene.call.tells(DtmfReceived("caller", "*", 0, "rtp"))
        assert refused(scene, CancelTransfer()) is RefusalReason.TRANSFER_ACTIVE
        assert not scene.call.orders[0].withdrawal.done()

    result = await at(scene, moment, decide)
    assert [each.outcome for each in result.attempts] == [Outcome.CONNECTED]


async def test_taken_back_while_it_is_asked_who_is_there_one_transfer_is_cancelled() -> None:
    """Closed, as it turns out: that is not what became of it. The next transfer is dialled."""
    scene = two_transfers()
    scene.availability.closed["billing"] = "office hours"
    cancel = CancelTransfer()
    result = await at(scene, "is billing there", lambda: scene.interpreter.decide(cancel))
    assert [attempt.outcome for attempt in result.attempts] == [
        Outcome.CANCELLED,
        Outcome.CONNECTED,
    ]


@pytest.mark.parametrize("entry", ["bye", "ended by gateway"])
async def test_a_call_that_is_over_takes_no_decision(entry: str) -> None:
    scene = Scene(NODES, exits=[BotHangup()])
    await at(scene, "bye", lambda: refused(scene, GotoDecision("sorry")))
    assert refused(scene, HangupDecision()) is RefusalReason.CALL_ENDED
