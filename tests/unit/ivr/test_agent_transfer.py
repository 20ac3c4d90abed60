"""`agent_transfer`: the accepted message, the three methods, the live handover, the fallback."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from config.flows import Waiting
from ivr.disposition import Disposition, disposition
from ivr.events import FallbackTaken, NodeLeft
from ivr.ports import BotTransfer
from ivr.result import EndReason
from sip.events import LegWent, TransferEnded
from sip.order import TransferOrder
from sip.outcome import Attempt, Handover, HandoverStatus, Method, Outcome, Side
from tests.twin import Verdict
from tests.unit.ivr.scene import Scene

TRANSFER: dict[str, Any] = {
    "type": "agent_transfer",
    "target": "billing",
    "accepted_message": "One moment",
    "fallback": {"default": {"prompt": "Nobody is free", "end": True}},
}
SAY = {"type": "hangup", "prompt": "Anything else?"}


async def test_the_message_is_played_out_before_anything_is_dialled() -> None:
    scene = Scene({"hand": TRANSFER})
    await scene.run()
    assert scene.journal == [
        "answer",
        "play One moment",
        "played One moment",
        "invite billing as t1",
        "joined billing",
        "t1 connected",
        "bye",
        "ended by gateway",
    ]


async def test_the_order_carries_what_the_node_and_the_target_say() -> None:
    node = {**TRANSFER, "target": "sales", "waiting": "music", "headers": {"X-Queue": "gold"}}
    scene = Scene({"hand": node})
    await scene.run()
    (order,) = scene.call.orders
    assert (order.attempt, order.name, order.method) == ("t1", "sales", Method.INVITE)
    assert order.timeout == 12
    assert scene.call.sounds == [Waiting.MUSIC]
    assert scene.call.looped is None
    assert order.headers == {"X-Queue": "gold"}


async def test_the_nodes_timeout_and_method_outweigh_the_targets() -> None:
    node = {**TRANSFER, "target": "mobile", "timeout": 7, "method": "invite"}
    scene = Scene({"hand": node})
    await scene.run()
    (order,) = scene.call.orders
    assert order.timeout == 7
    assert order.method is Method.INVITE


async def test_a_target_written_inline_is_named_by_its_destination() -> None:
    inline = {"kind": "external", "destination": "sip:anna@example.com", "method": "refer"}
    scene = Scene({"hand": {**TRANSFER, "target": inline}})
    await scene.run()
    (order,) = scene.call.orders
    assert order.name == "sip:anna@example.com"
    assert order.method is Method.REFER


async def test_after_the_agent_has_left_the_flow_goes_on_below() -> None:
    scene = Scene({"hand": {**TRANSFER, "next": "more"}, "more": SAY})
    result = await scene.run()
    assert result.path == ("hand", "more")
    assert result.end is EndReason.HANGUP
    assert disposition(result) is Disposition.TRANSFERRED
    assert result.handover is not None
    assert result.handover.status is HandoverStatus.COMPLETED


async def test_without_next_the_call_ends_when_the_agent_has_left() -> None:
    scene = Scene({"hand": TRANSFER}, verdicts=[Verdict(talks=True)])
    scene.stage.on("joined billing", scene.call.agent_leaves)
    result = await scene.run()
    assert result.end is EndReason.TRANSFERRED
    assert result.attempts[0].bye_by is Side.TARGET


async def test_a_refer_that_succeeds_ends_the_flow() -> None:
    scene = Scene({"hand": {**TRANSFER, "target": "mobile", "next": "more"}, "more": SAY})
    result = await scene.run()
    assert result.path == ("hand",)
    assert result.end is EndReason.TRANSFERRED
    assert "bye" not in scene.journal
    assert disposition(result) is Disposition.TRANSFERRED


async def test_a_peer_that_ends_the_leg_before_the_refers_verdict_is_no_caller_who_left() -> None:
    scene = Scene(
        {"hand": {**TRANSFER, "target": "mobile"}},
        verdicts=[Verdict(Outcome.PRESUMED_CONNECTED, bye_first=True)],
    )
    result = await scene.run()
    assert result.end is EndReason.TRANSFERRED
    assert [attempt.outcome for attempt in result.attempts] == [Outcome.PRESUMED_CONNECTED]


async def test_the_same_when_the_service_cancels_the_flow_at_the_legs_end() -> None:
    scene = Scene(
        {"hand": {**TRANSFER, "target": "mobile"}},
        verdicts=[Verdict(Outcome.PRESUMED_CONNECTED, bye_first=True)],
    )
    flow = scene.start()
    scene.stage.on("referred to mobile", flow.cancel)
    assert (await flow).end is EndReason.TRANSFERRED


async def test_a_hand_back_ends_the_flow() -> None:
    scene = Scene({"hand": {**TRANSFER, "target": "mobile", "method": "bye"}})
    result = await scene.run()
    assert result.end is EndReason.HANDED_BACK
    assert disposition(result) is Disposition.HANDED_BACK
    assert scene.journal[-2:] == ["ended by gateway", "t1 connected"]


async def test_a_hand_back_that_nobody_confirms_has_failed() -> None:
    scene = Scene(
        {"hand": {**TRANSFER, "target": "mobile", "method": "bye"}},
        verdicts=[Verdict(Outcome.NETWORK_FAILURE)],
    )
    result = await scene.run()
    assert result.end is EndReason.FAILED
    assert "not confirmed" in result.message
    assert disposition(result) is Disposition.FAILED
    assert scene.of(FallbackTaken) == []


async def test_a_hand_back_that_is_not_allowed_falls_back() -> None:
    scene = Scene(
        {"hand": {**TRANSFER, "target": "mobile", "method": "bye"}},
        verdicts=[Verdict(Outcome.BLOCKED)],
    )
    result = await scene.run()
    assert result.end is EndReason.FALLBACK
    assert "play Nobody is free" in scene.journal


async def test_a_failure_plays_its_prompt_and_ends() -> None:
    scene = Scene({"hand": TRANSFER}, verdicts=[Verdict(Outcome.BUSY, 486)])
    result = await scene.run()
    assert scene.journal[3:] == [
        "invite billing as t1",
        "t1 busy",
        "play Nobody is free",
        "played Nobody is free",
        "bye",
        "ended by gateway",
    ]
    assert result.end is EndReason.FALLBACK
    assert scene.of(FallbackTaken) == [FallbackTaken("t1", Outcome.BUSY, 486, "default", "")]
    assert disposition(result) is Disposition.FAILED


async def test_a_failure_leads_to_the_next_target() -> None:
    scene = Scene(
        {
            "hand": {
                **TRANSFER,
                "fallback": {
                    "486": {"prompt": "Busy", "node": "second"},
                    "default": {"end": True},
                },
            },
            "second": {**TRANSFER, "target": "sales", "accepted_message": "Another moment"},
        },
        verdicts=[Verdict(Outcome.BUSY, 486)],
    )
    result = await scene.run()
    assert result.path == ("hand", "second")
    assert [(attempt.id, attempt.outcome) for attempt in result.attempts] == [
        ("t1", Outcome.BUSY),
        ("t2", Outcome.CONNECTED),
    ]
    assert disposition(result) is Disposition.TRANSFERRED


async def test_a_fallback_node_without_a_target_tries_the_one_asked_for_by_its_own_method() -> None:
    open_to_all = {"type": "agent_transfer"}
    nodes = {
        "talk": {"type": "bot", "bot": "b", "transfer": {"default": "hand"}, "error": "again"},
        "hand": {**open_to_all, "fallback": {"default": {"node": "again"}}},
        "again": {**open_to_all, "fallback": {"default": {"end": True}}},
    }
    scene = Scene(
        nodes,
        exits=[BotTransfer("mobile", Method.INVITE)],
        verdicts=[Verdict(Outcome.MEDIA_INCOMPATIBLE, 488)],
    )
    await scene.run()
    assert [(order.name, order.method) for order in scene.call.orders] == [
        ("mobile", Method.INVITE),
        ("mobile", Method.REFER),
    ]


async def test_without_anybody_asked_for_the_fallback_is_taken() -> None:
    node = {"type": "agent_transfer", "fallback": TRANSFER["fallback"]}
    scene = Scene({"hand": node})
    result = await scene.run()
    (attempt,) = result.attempts
    assert attempt.outcome is Outcome.BAD_DESTINATION
    assert attempt.reason == "no target was asked for"
    assert scene.of(TransferEnded) == [TransferEnded(attempt)]
    assert scene.call.orders == []


async def test_a_method_that_the_target_does_not_take_is_not_tried() -> None:
    nodes = {
        "talk": {"type": "bot", "bot": "b", "transfer": {"default": "hand"}, "error": "hand"},
        "hand": {
            "type": "agent_transfer",
            "fallback": {"method_unsupported": {"node": "again"}, "default": {"end": True}},
        },
        "again": {
            "type": "agent_transfer",
            "method": "refer",
            "fallback": {"default": {"end": True}},
        },
    }
    scene = Scene(
        nodes,
        exits=[BotTransfer("sales")],
        verdicts=[Verdict(Outcome.METHOD_UNSUPPORTED, 405)],
    )
    result = await scene.run()
    assert [attempt.outcome for attempt in result.attempts] == [Outcome.METHOD_UNSUPPORTED] * 2
    assert len(scene.call.orders) == 1


async def test_the_live_handover_goes_from_queued_over_ringing_and_active_to_completed() -> None:
    scene = Scene({"hand": {**TRANSFER, "next": "more"}, "more": SAY})
    seen: list[Handover | None] = []
    for entry in ("answer", "play One moment", "invite billing as t1", "joined billing", "bye"):
        scene.stage.on(entry, lambda: seen.append(scene.interpreter.handover))
    await scene.run()
    assert [each and (each.status, each.target) for each in seen] == [
        None,
        (HandoverStatus.QUEUED, "billing"),
        (HandoverStatus.RINGING, "billing"),
        (HandoverStatus.ACTIVE, "billing"),
        (HandoverStatus.COMPLETED, "billing"),
    ]


async def test_a_caller_who_leaves_during_the_message_has_abandoned() -> None:
    scene = Scene({"hand": TRANSFER})
    scene.stage.on("play One moment", scene.call.hang_up)
    result = await scene.run()
    assert result.end is EndReason.CALLER_HANGUP
    assert result.attempts == ()
    assert result.handover is not None
    assert result.handover.outcome is Outcome.ABANDONED
    assert disposition(result) is Disposition.ABANDONED


async def test_a_caller_who_leaves_while_it_rings_has_abandoned() -> None:
    scene = Scene({"hand": TRANSFER}, verdicts=[Verdict(rings=True)])
    scene.stage.on("invite billing as t1", scene.call.hang_up)
    result = await scene.run()
    assert result.end is EndReason.CALLER_HANGUP
    assert [attempt.outcome for attempt in result.attempts] == [Outcome.ABANDONED]
    assert scene.of(FallbackTaken) == []
    assert disposition(result) is Disposition.ABANDONED


async def test_a_caller_who_leaves_the_agent_was_transferred() -> None:
    scene = Scene(
        {"hand": {**TRANSFER, "next": "more"}, "more": SAY}, verdicts=[Verdict(talks=True)]
    )
    scene.stage.on("joined billing", scene.call.hang_up)
    result = await scene.run()
    assert result.path == ("hand",)
    assert result.end is EndReason.CALLER_HANGUP
    assert [(each.outcome, each.bye_by) for each in result.attempts] == [
        (Outcome.CONNECTED, Side.CALLER)
    ]
    assert disposition(result) is Disposition.TRANSFERRED


async def test_a_verdict_outlasts_every_cancellation_once_the_caller_has_left() -> None:
    scene = Scene({"hand": TRANSFER}, verdicts=[Verdict(talks=True)])
    flow = scene.start()

    def leave() -> None:
        scene.call.hang_up()
        flow.cancel()
        asyncio.get_running_loop().call_soon(flow.cancel)

    scene.stage.on("joined billing", leave)
    result = await flow
    assert [attempt.outcome for attempt in result.attempts] == [Outcome.CONNECTED]
    assert result.end is EndReason.CALLER_HANGUP


async def test_a_call_that_is_joined_with_another_ends_without_its_next_node() -> None:
    """A desk telephone has joined two calls: its own leg here is released by the gateway."""
    scene = Scene({"hand": TRANSFER}, verdicts=[Verdict(talks=True)])
    flow = scene.start()

    def joined() -> None:
        scene.call.tells(LegWent("agent-1", "another-call", "agent-2"))
        scene.call.hang_up(Side.GATEWAY)

    scene.stage.on("joined billing", joined)
    result = await flow
    assert (result.end, result.path) == (EndReason.JOINED, ("hand",))
    assert [attempt.outcome for attempt in result.attempts] == [Outcome.CONNECTED]


async def test_a_shutdown_cancels_a_ringing_target() -> None:
    scene = Scene({"hand": TRANSFER}, verdicts=[Verdict(rings=True)])
    flow = scene.start()
    scene.stage.on("invite billing as t1", flow.cancel)
    result = await flow
    assert result.end is EndReason.SHUTDOWN
    assert [attempt.outcome for attempt in result.attempts] == [Outcome.CANCELLED]
    assert scene.journal[-3:] == ["t1 cancelled", "bye", "ended by gateway"]


@pytest.mark.parametrize(
    ("by", "expected"),
    [(Side.CALLER, Disposition.ABANDONED), (Side.GATEWAY, Disposition.FAILED)],
)
async def test_a_leg_that_we_end_is_not_a_caller_who_has_given_up(
    by: Side, expected: Disposition
) -> None:
    scene = Scene({"hand": {**TRANSFER, "accepted_message": "One moment."}})
    scene.stage.on("play One moment.", lambda: scene.call.hang_up(by))
    assert disposition(await scene.run()) is expected


async def test_a_shutdown_ends_a_talk_and_keeps_its_attempt() -> None:
    scene = Scene({"hand": TRANSFER}, verdicts=[Verdict(talks=True)])
    flow = scene.start()
    scene.stage.on("joined billing", flow.cancel)
    result = await flow
    assert result.end is EndReason.SHUTDOWN
    assert [(each.outcome, each.bye_by) for each in result.attempts] == [
        (Outcome.CONNECTED, Side.GATEWAY)
    ]


@pytest.mark.parametrize(
    ("leaves", "outcome"), [(False, Outcome.CANCELLED), (True, Outcome.ABANDONED)]
)
async def test_a_transfer_that_never_ends_is_cut_off_and_still_has_a_verdict(
    monkeypatch: pytest.MonkeyPatch, leaves: bool, outcome: Outcome
) -> None:
    async def silence(order: TransferOrder) -> Attempt:
        await scene.stage.take("silence")
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("ivr.hunt.handing_over.RELEASE_LIMIT", 0)
    scene = Scene({"hand": TRANSFER})
    monkeypatch.setattr(scene.call, "transfer", silence)
    flow = scene.start()
    scene.stage.on("silence", scene.call.hang_up if leaves else flow.cancel)
    result = await flow
    assert [(each.id, each.outcome) for each in result.attempts] == [("t1", outcome)]


async def test_a_fault_during_the_message_ends_the_call_as_failed() -> None:
    def fail() -> None:
        raise OSError("no memory for the player")

    scene = Scene({"hand": TRANSFER})
    scene.stage.on("play One moment", fail)
    result = await scene.run()
    assert result.end is EndReason.FAILED
    assert scene.call.orders == []


async def test_a_flow_that_retries_for_ever_ends_as_failed() -> None:
    node = {**TRANSFER, "fallback": {"default": {"node": "hand"}}}
    scene = Scene({"hand": node}, verdicts=[Verdict(Outcome.BUSY, 486)] * 51)
    result = await scene.run()
    assert result.end is EndReason.FAILED
    assert result.message == "50 transfers attempted: the flow runs in circles"
    assert len(result.attempts) == 50


LOOKUPS = [
    ("handover.status", Verdict(Outcome.BUSY, 486), "error"),
    ("handover.status", Verdict(), "completed"),
    ("handover.outcome", Verdict(Outcome.NO_VERDICT), "no_verdict"),
    ("handover.sip_code", Verdict(Outcome.SERVER_UNAVAILABLE, 503), "503"),
    ("handover.error.reason", Verdict(Outcome.METHOD_UNSUPPORTED, 405), "unsupported"),
    ("handover.error.reason", Verdict(Outcome.BUSY, 486), "error"),
]


@pytest.mark.parametrize(("on", "verdict", "case"), LOOKUPS)
async def test_a_lookup_branches_on_the_handover(on: str, verdict: Verdict, case: str) -> None:
    nodes = {
        "hand": {**TRANSFER, "next": "look", "fallback": {"default": {"node": "look"}}},
        "look": {"type": "lookup", "on": on, "cases": {case: "hit"}, "default": "miss"},
        "hit": {"type": "hangup"},
        "miss": {"type": "hangup"},
    }
    scene = Scene(nodes, verdicts=[verdict])
    assert (await scene.run()).path == ("hand", "look", "hit")


@pytest.mark.parametrize("on", sorted({row[0] for row in LOOKUPS}))
async def test_a_lookup_takes_its_default_where_there_is_nothing_to_look_at(on: str) -> None:
    nodes = {
        "look": {"type": "lookup", "on": on, "cases": {"503": "hit"}, "default": "miss"},
        "hit": {"type": "hangup"},
        "miss": {"type": "hangup"},
    }
    scene = Scene(nodes)
    assert (await scene.run()).path == ("look", "miss")
    assert scene.of(NodeLeft)[0] == NodeLeft("main", "look", "miss")
