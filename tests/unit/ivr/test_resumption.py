"""A call that leaves with a token, and the call that brings it back."""

from __future__ import annotations

from typing import Any

import pytest

from ivr.decisions import CancelTransfer
from ivr.disposition import Disposition, disposition
from ivr.ports import BotDone, BotTransfer
from ivr.result import EndReason
from ivr.resumption import Resumption, handover_told
from sip.context.received import Received
from sip.outcome import HandoverErrorReason, HandoverStatus, Outcome
from tests.twin import TwinFacts, Verdict
from tests.unit.ivr.scene import Scene

BYE: dict[str, Any] = {
    "type": "hangup",
}
HAND: dict[str, Any] = {
    "type": "agent_transfer",
    "target": "mobile",
    "fallback": {"default": {"end": True}},
}
BOT = {"type": "bot", "bot": "greeter", "transfer": {"default": "hand"}, "error": "bye"}


def nodes(**hand: Any) -> dict[str, Any]:
    return {"hand": {**HAND, **hand}, "bye": BYE}


class TestLeaving:
    @pytest.mark.parametrize(
        ("hand", "to"),
        [
            ({"method": "bye", "next": "bye"}, "bye"),
            ({"method": "bye", "next": "hand", "resume": "bye"}, "bye"),
            ({"method": "refer", "resume": "bye"}, "bye"),
            ({"method": "invite", "resume": "bye"}, "bye"),
        ],
    )
    async def test_the_order_carries_a_token(self, hand: dict[str, Any], to: str) -> None:
        scene = Scene(nodes(**hand), entries=["bye"])
        await scene.run()
        (order,) = scene.call.orders
        (left, trunk) = scene.resumptions.offered[order.token]
        assert (left.flow, left.node, left.target, trunk) == ("main", to, "mobile", "carrier")

    @pytest.mark.parametrize("hand", [{"method": "bye"}, {"method": "refer", "next": "bye"}])
    async def test_without_a_way_back_there_is_none(self, hand: dict[str, Any]) -> None:
        scene = Scene(nodes(**hand), entries=["bye"])
        await scene.run()
        assert scene.call.orders[0].token == ""

    async def test_over_no_trunk_there_is_none(self) -> None:
        scene = Scene(nodes(target="billing", resume="bye"))
        await scene.run()
        assert scene.call.orders[0].token == ""

    async def test_a_transfer_that_fails_takes_it_back(self) -> None:
        scene = Scene(nodes(method="refer", resume="bye"), verdicts=[Verdict(Outcome.DECLINED)])
        await scene.run()
        assert scene.resumptions.given == 1
        assert scene.resumptions.offered == {}

    @pytest.mark.parametrize("outcome", [Outcome.NO_VERDICT, Outcome.PRESUMED_CONNECTED])
    async def test_not_where_the_peer_may_have_the_caller(self, outcome: Outcome) -> None:
        scene = Scene(nodes(method="refer", resume="bye"), verdicts=[Verdict(outcome)])
        await scene.run()
        assert len(scene.resumptions.offered) == 1

    async def test_where_none_can_be_kept_the_call_leaves_without(self) -> None:
        scene = Scene(nodes(method="bye", next="bye"))
        scene.resumptions.full = True
        result = await scene.run()
        assert result.end is EndReason.HANDED_BACK
        assert scene.call.orders[0].token == ""

    async def test_a_caller_who_leaves_meanwhile_leaves_no_attempt(self) -> None:
        scene = Scene(nodes(method="bye", next="bye"))
        flow = scene.start()
        scene.stage.on("answer", scene.call.hang_up)
        assert (await flow).attempts == ()

    async def test_a_transfer_that_is_taken_back_meanwhile_is_not_begun(self) -> None:
        scene = Scene(nodes(method="bye", next="bye"), transfer_node="hand")
        offer = scene.resumptions.offer

        async def slowly(resumption: Resumption, trunk: str) -> str:
            scene.interpreter.decide(CancelTransfer())
            return await offer(resumption, trunk)

        scene.resumptions.offer = slowly  # type: ignore[method-assign]
        result = await scene.run()
        assert [attempt.outcome for attempt in result.attempts] == [Outcome.CANCELLED]
        assert all(order.withdrawal.done() for order in scene.call.orders)
        assert scene.resumptions.offered == {}

    async def test_a_template_sees_the_transfer_before(self) -> None:
        again = {**HAND, "headers": {"X-Was": "{{ handover.outcome }}"}}
        scene = Scene(
            {
                "hand": {**HAND, "fallback": {"default": {"node": "again"}}},
                "again": {**again, "headers": {**again["headers"], "X-Not": "{{ handover.x }}"}},
            },
            verdicts=[Verdict(Outcome.BUSY, 486)],
        )
        await scene.run()
        _, order = scene.call.orders
        assert order.headers == {"X-Was": "busy"}
        assert [lost.field for lost in order.dropped] == ["headers.X-Not"]

    async def test_the_variables_stay_with_it(self) -> None:
        scene = Scene(
            {"talk": {**BOT}, **nodes(method="bye", next="bye")},
            exits=[BotTransfer("mobile")],
            info=TwinFacts(received=Received(variables={"name": "Ada"})),
        )
        await scene.run()
        ((left, _),) = scene.resumptions.offered.values()
        assert left.variables == {"name": "Ada"}


class TestComingBack:
    async def test_the_flow_goes_on_at_the_node_with_what_it_knew(self) -> None:
        left = Resumption("c0ffee", "main", "talk", "mobile", {"name": "Ada", "age": "36"})
        info = TwinFacts(received=Received(variables={"age": "37"}, status="busy"))
        scene = Scene(
            {"hello": {"type": "play", "prompt": "Hello", "next": "talk"}, "talk": BOT, **nodes()},
            exits=[BotDone()],
            resumed=left,
            info=info,
        )
        result = await scene.run()
        assert result.path == ("talk",)
        (start,) = scene.bot.starts
        assert start.variables == {"name": "Ada", "age": "37"}
        assert start.handover is not None
        assert (start.handover.status, start.handover.outcome) == (
            HandoverStatus.ERROR,
            Outcome.BUSY,
        )

    async def test_what_it_brought_is_no_transfer_of_its_own(self) -> None:
        left = Resumption("c0ffee", "main", "bye", "mobile")
        scene = Scene(nodes(next="bye"), resumed=left)
        result = await scene.run()
        assert result.handover is None
        assert disposition(result) is Disposition.CONTAINED

    async def test_a_lookup_sees_it(self) -> None:
        look = {
            "type": "lookup",
            "on": "handover.status",
            "cases": {"completed": "bye"},
            "default": "hand",
        }
        left = Resumption("c0ffee", "main", "look", "mobile")
        scene = Scene({"look": look, **nodes()}, resumed=left)
        assert (await scene.run()).path == ("look", "bye")


@pytest.mark.parametrize(
    ("word", "status", "outcome"),
    [
        ("", HandoverStatus.COMPLETED, Outcome.CONNECTED),
        ("completed", HandoverStatus.COMPLETED, Outcome.CONNECTED),
        (" Cancelled ", HandoverStatus.CANCELLED, Outcome.CANCELLED),
        ("error", HandoverStatus.ERROR, None),
        ("no_answer", HandoverStatus.ERROR, Outcome.NO_ANSWER),
        ("whatever", HandoverStatus.COMPLETED, Outcome.CONNECTED),
    ],
)
def test_what_the_trunk_says(word: str, status: HandoverStatus, outcome: Outcome | None) -> None:
    told = handover_told(word, "mobile")
    assert (told.status, told.outcome, told.target) == (status, outcome, "mobile")


def test_unsupported_is_a_reason_of_its_own() -> None:
    assert handover_told("unsupported", "x").error_reason is HandoverErrorReason.UNSUPPORTED
    assert handover_told("whatever", "x").message == "the trunk says 'whatever'"
