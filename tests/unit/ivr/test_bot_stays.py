"""`stays`: a bot that follows the transfer it asked for, and may take it back."""

from __future__ import annotations

from typing import Any

import pytest

from ivr.decisions import GotoDecision
from ivr.events import BotCommandRefused, FallbackTaken
from ivr.ports import BotHangup, BotTransfer, Dismissal
from ivr.reaching import Progress, Reaching
from ivr.result import EndReason
from sip.events import TransferEnded, TransferProgress
from sip.outcome import Attempt, Handover, HandoverStatus, Method, Outcome
from tests.twin import Verdict
from tests.unit.ivr.scene import Scene

NODES: dict[str, Any] = {
    "talk": {
        "type": "bot",
        "bot": "concierge",
        "transfer": {"default": "to_sales"},
        "stays": True,
        "error": "sorry",
    },
    "to_sales": {
        "type": "agent_transfer",
        "target": "sales",
        "fallback": {"cancelled": {"node": "talk"}, "default": {"node": "talk"}},
    },
    "sorry": {"type": "hangup"},
}


def scene(*verdicts: Verdict, **changes: Any) -> Scene:
    return Scene({**NODES, **changes}, exits=[BotTransfer("sales"), BotHangup()], verdicts=verdicts)


def bot_cancels(scene: Scene) -> str | None:
    take_back = scene.bot.starts[0].take_back
    assert take_back is not None
    return take_back()


async def test_without_the_option_it_does_not() -> None:
    plain = scene(talk={**NODES["talk"], "stays": False})
    await plain.run()
    assert plain.bot.starts[0].take_back is None


async def test_it_is_told_of_every_step_to_the_result() -> None:
    busy = scene(Verdict(Outcome.BUSY, 486))
    await busy.run()
    assert busy.bot.told == [
        Progress("sales", HandoverStatus.QUEUED),
        Progress("sales", HandoverStatus.QUEUED, "t1"),
        Progress("sales", HandoverStatus.ERROR, "t1", Outcome.BUSY, 486),
        Handover.of(Attempt("t1", Method.INVITE, "sales", "", Outcome.BUSY, 486)),
    ]
    assert busy.bot.dismissals == [Dismissal.ELSEWHERE]  # at the end of the call


async def test_it_is_told_of_somebody_who_cannot_be_reached_now() -> None:
    closed = scene()
    closed.availability.closed["sales"] = "closed"
    await closed.run()
    attempt, handover = closed.bot.told[-2:]
    assert isinstance(attempt, Progress)
    assert isinstance(handover, Handover)
    assert attempt.outcome is handover.outcome is Outcome.UNAVAILABLE


async def test_it_leaves_when_the_caller_has_somebody() -> None:
    joined = scene(Verdict(talks=True))
    joined.stage.on("joined sales", joined.call.agent_leaves)
    result = await joined.run()
    told = joined.bot.told[2]
    assert isinstance(told, Handover)
    assert (told.status, told.outcome) == (HandoverStatus.ACTIVE, Outcome.CONNECTED)
    assert joined.bot.dismissals[0] is Dismissal.TRANSFERRED
    assert result.end is EndReason.TRANSFERRED


async def test_it_takes_the_transfer_back_while_somebody_is_rung() -> None:
    rings = scene(Verdict(rings=True))
    rings.stage.on("invite sales as t1", lambda: bot_cancels(rings))
    result = await rings.run()
    assert result.path == ("talk", "to_sales", "talk")
    [attempt] = result.attempts
    assert attempt.outcome is Outcome.CANCELLED
    [order] = rings.call.orders
    assert order.withdrawal.result() == "cancelled by the bot"
    assert [taken.key for taken in rings.of(FallbackTaken)] == ["cancelled"]


async def test_it_takes_it_back_before_anything_is_dialled() -> None:
    early = scene(to_sales={**NODES["to_sales"], "accepted_message": "Wait"})
    early.stage.on("play Wait", lambda: bot_cancels(early))
    result = await early.run()
    [attempt] = result.attempts
    assert attempt.reason == "cancelled by the bot before it was dialled"
    assert not early.call.orders


async def test_there_is_nothing_to_take_back_once_it_has_failed() -> None:
    refusals: list[str | None] = []
    row = {"default": {"prompt": "Busy", "node": "talk"}}
    late = scene(Verdict(Outcome.BUSY), to_sales={**NODES["to_sales"], "fallback": row})
    late.stage.on("play Busy", lambda: refusals.append(bot_cancels(late)))
    await late.run()
    assert refusals == ["no transfer is under way"]
    assert late.of(BotCommandRefused) == [
        BotCommandRefused("concierge", "cancel_transfer", "no transfer is under way")
    ]


async def test_an_operators_decision_dismisses_it() -> None:
    rings = scene(Verdict(rings=True))
    rings.stage.on("invite sales as t1", lambda: rings.interpreter.decide(GotoDecision("sorry")))
    await rings.run()
    assert rings.bot.dismissals[0] is Dismissal.ELSEWHERE


@pytest.mark.parametrize(
    ("verdict", "method", "why"),
    [
        (Verdict(rings=True), None, Dismissal.CALLER_LEFT),
        (Verdict(), Method.BYE, Dismissal.TRANSFERRED),
        (Verdict(), Method.REFER, Dismissal.TRANSFERRED),
    ],
)
async def test_it_is_dismissed_with_the_call(
    verdict: Verdict, method: Method | None, why: Dismissal
) -> None:
    node = {key: value for key, value in NODES["to_sales"].items() if key != "target"}
    ends = Scene(
        {**NODES, "to_sales": node},
        exits=[BotTransfer("sales" if method is None else "mobile", method)],
        verdicts=[verdict],
    )
    if method is None:
        ends.stage.on("invite sales as t1", ends.call.hang_up)
    await ends.run()
    assert isinstance(ends.bot.told[-1], Handover)
    assert ends.bot.dismissals == [why]


class TestReaching:
    """What is told of an attempt."""

    def test_each_provisional_code_is_told_once(self) -> None:
        reaching = Reaching()
        reaching.begin("t1", "sales")
        codes = (100, 180, 180, 183, 183)
        told = [reaching.happened(TransferProgress("t1", code, "")) for code in codes]
        assert [each and (each.status, each.sip_code) for each in told] == [
            None,
            ("ringing", 180),
            None,
            ("ringing", 183),
            None,
        ]

    def test_what_peers_transfer_is_not(self) -> None:
        ended = Attempt("r1", Method.REFER, "x", "", Outcome.CONNECTED)
        reaching = Reaching()
        assert reaching.happened(TransferProgress("r1", 180, "")) is None
        assert reaching.happened(TransferEnded(ended)) is None

    def test_the_end_is_told_once(self) -> None:
        ended = TransferEnded(Attempt("t1", Method.REFER, "x", "", Outcome.CANCELLED, 487))
        reaching = Reaching()
        reaching.begin("t1", "x")
        assert reaching.happened(ended) == Progress(
            "x", HandoverStatus.CANCELLED, "t1", Outcome.CANCELLED, 487
        )
        assert reaching.happened(ended) is None
