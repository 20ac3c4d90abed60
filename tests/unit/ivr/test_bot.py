"""`bot`: every exit of a conversation, and commands that the flow cannot follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ivr.decisions import GotoDecision, HangupDecision
from ivr.events import BotCommandRefused
from ivr.ports import BotDone, BotFailed, BotGoto, BotHangup, BotTransfer
from ivr.result import EndReason
from sip.outcome import HandoverStatus, Method, Outcome
from tests.twin import Verdict
from tests.unit.ivr.scene import Scene

BOT = {
    "type": "bot",
    "bot": "concierge",
    "transfer": {"billing": "to_billing", "default": "to_anyone"},
    "error": "sorry",
}
TRANSFER = {"type": "agent_transfer", "fallback": {"default": {"end": True}}}
NODES: dict[str, Any] = {
    "talk": BOT,
    "to_billing": {**TRANSFER, "target": "billing"},
    "to_anyone": TRANSFER,
    "sorry": {"type": "hangup", "prompt": "Sorry"},
}


async def test_a_bot_is_told_where_it_is() -> None:
    scene = Scene(NODES, exits=[BotHangup()])
    await scene.run()
    (start,) = scene.bot.starts
    assert (start.bot, start.flow, start.node) == ("concierge", "main", "talk")
    assert start.handover is None
    assert start.variables == {}


async def test_a_contained_call_is_filed_under_the_bots_tags() -> None:
    result = await Scene(NODES, exits=[BotHangup(tags=("opening hours",))]).run()
    assert result.tags == ("opening hours",)


async def test_a_bot_hangs_up_with_headers() -> None:
    scene = Scene(NODES, exits=[BotHangup({"X-Reason": "done"})])
    result = await scene.run()
    assert result.end is EndReason.BOT_HANGUP
    assert scene.journal[-3:] == [
        "bot concierge released",
        "bye X-Reason: done",
        "ended by gateway",
    ]


async def test_a_bot_that_is_done_ends_the_call() -> None:
    scene = Scene(NODES, exits=[BotDone()])
    result = await scene.run()
    assert result.end is EndReason.BOT_DONE
    assert scene.journal[-2:] == ["bye", "ended by gateway"]


async def test_a_bot_that_is_done_leads_to_the_done_node() -> None:
    scene = Scene({**NODES, "talk": {**BOT, "done": "sorry"}}, exits=[BotDone()])
    assert (await scene.run()).path == ("talk", "sorry")


async def test_a_bot_that_fails_leads_to_the_error_node() -> None:
    scene = Scene(NODES, exits=[BotFailed("connect_timeout", "no answer in 3 s")])
    result = await scene.run()
    assert result.path == ("talk", "sorry")
    assert result.end is EndReason.HANGUP


async def test_a_bot_names_the_next_node() -> None:
    scene = Scene(NODES, exits=[BotGoto("sorry")])
    assert (await scene.run()).path == ("talk", "sorry")


async def test_a_node_that_the_flow_does_not_have_is_refused_and_the_talk_goes_on() -> None:
    scene = Scene(NODES, exits=[BotGoto("nowhere"), BotHangup()])
    result = await scene.run()
    assert scene.bot.refusals == ["node: the flow 'main' has no node 'nowhere'"]
    assert scene.of(BotCommandRefused) == [
        BotCommandRefused("concierge", "goto", scene.bot.refusals[0])
    ]
    assert len(scene.bot.starts) == 1
    assert result.end is EndReason.BOT_HANGUP


@pytest.mark.parametrize(
    ("target", "node", "name"),
    [
        ("billing", "to_billing", "billing"),
        ("sales", "to_anyone", "sales"),
        ("+498912345", "to_anyone", "+498912345"),
        ("sip:anna@example.com", "to_anyone", "sip:anna@example.com"),
    ],
)
async def test_the_target_asked_for_selects_the_transfer_node(
    target: str, node: str, name: str
) -> None:
    scene = Scene(NODES, exits=[BotTransfer(target, Method.INVITE)])
    result = await scene.run()
    assert result.path == ("talk", node)
    (order,) = scene.call.orders
    assert order.name == name


async def test_a_number_is_dialled_over_the_callers_trunk() -> None:
    scene = Scene(NODES, exits=[BotTransfer("+498912345")])
    await scene.run()
    (order,) = scene.call.orders
    assert order.target.trunk == "carrier"
    assert order.method is Method.REFER


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (BotTransfer(""), "target"),
        (BotTransfer("nobody"), "target"),
        (BotTransfer("sip:anna@"), "target"),
        (BotTransfer("sales", Method.REFER), "method"),
        (BotTransfer("billing", Method.BYE), "method"),
    ],
)
async def test_a_transfer_that_cannot_be_is_refused_and_the_talk_goes_on(
    wanted: BotTransfer, field: str
) -> None:
    scene = Scene(NODES, exits=[wanted, BotTransfer("billing")])
    result = await scene.run()
    (refusal,) = scene.bot.refusals
    assert refusal.startswith(f"{field}: ")
    assert len(scene.bot.starts) == 1
    assert result.path == ("talk", "to_billing")
    assert scene.of(BotCommandRefused) == [BotCommandRefused("concierge", "transfer", refusal)]


async def test_a_target_without_a_row_is_refused_where_there_is_no_default() -> None:
    talk = {**BOT, "transfer": {"billing": "to_billing"}}
    scene = Scene({**NODES, "talk": talk}, exits=[BotTransfer("sales"), BotHangup()])
    await scene.run()
    assert scene.bot.refusals == [
        "target: the flow does not transfer to 'sales' here; it serves: billing"
    ]


@pytest.mark.parametrize("bad", [BotGoto("nowhere"), BotTransfer("nobody")])
async def test_a_session_that_does_not_ask_leads_to_the_error_node(
    bad: BotGoto | BotTransfer,
) -> None:
    scene = Scene(NODES, exits=[bad])
    scene.bot.asks = False
    assert (await scene.run()).path == ("talk", "sorry")


async def test_method_and_headers_asked_for_go_into_the_order() -> None:
    nodes = {**NODES, "to_anyone": {**TRANSFER, "headers": {"X-Source": "flow"}}}
    wanted = BotTransfer("mobile", Method.BYE, {"X-Source": "bot", "X-Topic": "invoice"})
    scene = Scene(nodes, exits=[wanted])
    await scene.run()
    (order,) = scene.call.orders
    assert order.method is Method.BYE
    assert order.headers == {"X-Source": "flow", "X-Topic": "invoice"}


async def test_a_bot_that_is_entered_again_gets_the_handover_and_its_variables() -> None:
    transfer = {**TRANSFER, "fallback": {"busy": {"node": "talk"}, "default": {"end": True}}}
    scene = Scene(
        {**NODES, "to_anyone": transfer},
        exits=[BotTransfer("sales"), BotHangup()],
        verdicts=[Verdict(Outcome.BUSY, 486)],
    )
    scene.stage.on("invite sales as t1", lambda: scene.bot.starts[0].variables.update(name="Ada"))
    await scene.run()
    again = scene.bot.starts[1]
    assert again.handover is not None
    assert again.handover.status is HandoverStatus.ERROR
    assert again.handover.outcome is Outcome.BUSY
    assert again.handover.sip_code == 486
    assert again.variables == {"name": "Ada"}


async def test_hang_up_during_a_talk_releases_the_bot() -> None:
    scene = Scene(NODES)
    scene.stage.on("bot listens", scene.call.hang_up)
    result = await scene.run()
    assert result.end is EndReason.CALLER_HANGUP
    assert scene.journal[-1] == "bot concierge released"


@pytest.mark.parametrize("second", ["hang_up", "shutdown", "decision"])
async def test_a_bot_is_released_in_full_whatever_else_happens_meanwhile(second: str) -> None:
    scene = Scene(NODES)
    scene.bot.goodbye = True
    flow = scene.start()
    actions: dict[str, Callable[[], object]] = {
        "hang_up": scene.call.hang_up,
        "shutdown": flow.cancel,
        "decision": lambda: scene.interpreter.decide(HangupDecision()),
    }
    scene.stage.on("bot listens", lambda: scene.interpreter.decide(GotoDecision("sorry")))
    scene.stage.on("goodbye to concierge", actions[second])
    await flow
    assert scene.journal.count("bot concierge released") == 1
