"""A transfer node that hunts: groups, the ladder, retries, who can be reached, and taking back."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from config.groups import Group
from ivr.decisions import CancelTransfer
from ivr.events import FallbackTaken, TransferRetried
from ivr.hunt.plan import plan_for_group
from ivr.hunt.verdicts import TELLING, most_telling, takes_refer
from ivr.result import EndReason
from sip.audio import Pcm
from sip.events import DtmfReceived, LegEnded, MediaQuality, TransferEnded, TransferStarted
from sip.order import Withdrawal
from sip.outcome import Attempt, Method, Outcome, Side
from tests.twin import Verdict
from tests.unit.ivr.scene import TARGETS, Scene

BUSY, DOWN = Verdict(Outcome.BUSY, 486), Verdict(Outcome.SERVER_UNAVAILABLE, 503)
RINGS = Verdict(rings=True)
UNKNOWN = Verdict(Outcome.METHOD_UNSUPPORTED, 405)

TEAM = Group.model_validate({"members": ["billing", "sales"]})
DESKS = Group.model_validate({"strategy": "parallel", "members": ["billing", "sales"]})
GROUPS = {"team": TEAM, "desks": DESKS}


def node(target: str, **keys: Any) -> dict[str, Any]:
    return {
        "hand": {
            "type": "agent_transfer",
            "target": target,
            "fallback": {"default": {"end": True}},
            "next": "bye",
            **keys,
        },
        "bye": {"type": "hangup"},
    }


def hunt(target: str, *verdicts: Verdict, **keys: Any) -> Scene:
    return Scene(node(target, **keys), verdicts=verdicts, groups=GROUPS)


class TestGroups:
    async def test_the_next_member_is_tried_where_one_fails(self) -> None:
        scene = hunt("team", BUSY)
        result = await scene.run()
        assert [(each.id, each.target) for each in result.attempts] == [
            ("t1", "billing"),
            ("t2", "sales"),
        ]
        assert result.handover is not None
        assert result.handover.outcome is Outcome.CONNECTED
        assert result.path == ("hand", "bye")
        assert scene.call.sounds == ["ringback"]  # one, over both

    async def test_of_those_who_ring_at_once_the_loser_is_called_off(self) -> None:
        scene = hunt("desks", RINGS)
        await scene.run()
        assert scene.call.orders[0].withdrawal.result() is Withdrawal.ELSEWHERE
        assert "t1 cancelled" in scene.journal

    async def test_the_fallback_goes_by_the_most_telling_failure(self) -> None:
        scene = hunt("team", BUSY, DOWN)
        await scene.run()
        [taken] = scene.of(FallbackTaken)
        assert (taken.attempt, taken.outcome) == ("t1", Outcome.BUSY)

    async def test_a_bot_cannot_choose_a_method_for_a_group(self) -> None:
        scene = hunt("team", method="refer")
        result = await scene.run()
        assert [each.outcome for each in result.attempts] == [Outcome.METHOD_UNSUPPORTED]
        assert scene.call.orders == []

    def test_a_weight_says_how_often_a_member_comes_first(self) -> None:
        group = Group.model_validate(
            {"members": [{"target": "billing", "weight": 3}, {"target": "sales", "weight": 1}]}
        )
        rng, first = Random(7), Counter[str]()
        for _ in range(2000):
            plan = plan_for_group(group, TARGETS, rng, timeout=None, refer=True)
            first[plan.candidates[0].name] += 1
        assert first["billing"] / 2000 == pytest.approx(0.75, abs=0.04)

    def test_nobody_is_referred_beside_others(self) -> None:
        group = Group.model_validate({"strategy": "parallel", "members": ["mobile", "sales"]})
        plan = plan_for_group(group, TARGETS, Random(1), timeout=None, refer=True)
        assert [each.ladder for each in plan.candidates] == [(Method.INVITE,)] * 2


class TestTheLadder:
    async def test_a_refused_refer_is_followed_by_an_invite_and_remembered(self) -> None:
        scene = hunt("mobile", UNKNOWN)
        result = await scene.run()
        assert [each.method for each in result.attempts] == [Method.REFER, Method.INVITE]
        assert scene.capabilities.shown == [("carrier", False, 405)]
        assert result.path == ("hand", "bye")

    async def test_a_trunk_known_not_to_take_refer_is_not_asked(self) -> None:
        scene = hunt("mobile")
        scene.capabilities.known["carrier"] = False
        result = await scene.run()
        assert [each.method for each in result.attempts] == [Method.INVITE]

    async def test_a_success_is_remembered_too(self) -> None:
        scene = hunt("mobile")
        result = await scene.run()
        assert result.end is EndReason.TRANSFERRED
        assert scene.capabilities.shown == [("carrier", True, None)]

    @pytest.mark.parametrize("code", [405, 420, 421, 481, 489, 501, 603])
    def test_what_a_refer_is_refused_with_by_a_peer_that_does_not_know_it(self, code: int) -> None:
        refused = Attempt("t1", Method.REFER, "x", "sip:x@h", Outcome.DECLINED, code)
        told = Attempt(
            "t1", Method.REFER, "x", "sip:x@h", Outcome.DECLINED, code, sipfrags=("603 Decline",)
        )
        assert takes_refer(refused) is False
        assert takes_refer(told) is True

    async def test_a_refer_of_unknown_end_is_the_last_try(self) -> None:
        table = {"default": {"retry": {"times": 3}, "end": True}}
        scene = hunt("mobile", Verdict(Outcome.NO_VERDICT), fallback=table)
        result = await scene.run()
        assert [each.outcome for each in result.attempts] == [Outcome.NO_VERDICT]
        assert scene.of(TransferRetried) == []


class TestRetries:
    async def test_as_often_as_it_says_and_then_the_fallback(self) -> None:
        table = {"503": {"retry": {"times": 2}, "end": True}, "default": {"node": "bye"}}
        scene = hunt("billing", DOWN, DOWN, DOWN, fallback=table)
        result = await scene.run()
        assert len(result.attempts) == 3
        assert [each.key for each in scene.of(TransferRetried)] == ["503", "503"]
        assert [each.key for each in scene.of(FallbackTaken)] == ["503"]
        assert scene.call.sounds == ["ringback"]

    async def test_somebody_else(self) -> None:
        table = {"busy": {"retry": {"next_target": "sales"}, "end": True}, "default": {"end": True}}
        scene = hunt("billing", BUSY, fallback=table)
        result = await scene.run()
        assert [each.target for each in result.attempts] == ["billing", "sales"]

    async def test_who_asks_for_more_time_than_a_caller_has_is_not_tried_again(self) -> None:
        table = {"default": {"retry": {"times": 2}, "end": True}}
        scene = hunt(
            "billing", Verdict(Outcome.SERVER_UNAVAILABLE, 503, retry_after=600), fallback=table
        )
        result = await scene.run()
        assert len(result.attempts) == 1

    async def test_nor_by_a_flow_that_comes_back_which_says_why_at_once(self) -> None:
        fallback = {"503": {"node": "hand"}, "default": {"end": True}}
        day = Verdict(Outcome.SERVER_UNAVAILABLE, 503, retry_after=86_400)
        scene = hunt("billing", day, fallback=fallback)
        result = await scene.run()
        assert result.path == ("hand", "hand")
        _, second = result.attempts
        assert second.outcome is Outcome.UNAVAILABLE
        assert second.reason == "it has asked not to be called for another 86400 s"


class TestWhoCanBeReached:
    async def test_nothing_is_dialled_nor_announced(self) -> None:
        scene = hunt("billing", accepted_message="One moment")
        scene.availability.closed["billing"] = "closed on Sunday"
        result = await scene.run()
        [attempt] = result.attempts
        assert (attempt.outcome, attempt.reason) == (Outcome.UNAVAILABLE, "closed on Sunday")
        assert scene.of(TransferEnded) == [TransferEnded(attempt)]
        assert scene.of(TransferStarted) == []
        assert not any("One moment" in entry for entry in scene.journal)

    async def test_an_answer_that_comes_with_the_end_of_the_hunt_changes_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scene, faults = hunt("team"), list[object]()
        asyncio.get_running_loop().set_exception_handler(lambda _, what: faults.append(what))

        async def answers(name: str, _: object) -> str | None:
            if name == "team":
                return None
            scene.interpreter.decide(CancelTransfer())
            return "on the phone"

        monkeypatch.setattr(scene.availability, "unavailable", answers)
        result = await scene.run()
        assert [each.outcome for each in result.attempts] == [Outcome.CANCELLED]
        gc.collect()
        assert not faults

    async def test_the_answer_is_not_waited_for_in_silence(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scene, heard = hunt("billing"), asyncio.Event()
        alert = scene.call.alert

        def alerted(audio: Pcm) -> None:
            alert(audio)
            heard.set()

        async def takes_its_time(*_: object) -> str:
            await heard.wait()
            return "on the phone"

        monkeypatch.setattr(scene.call, "alert", alerted)
        monkeypatch.setattr(scene.availability, "unavailable", takes_its_time)
        async with asyncio.timeout(10):
            result = await scene.run()
        assert [each.outcome for each in result.attempts] == [Outcome.UNAVAILABLE]
        assert scene.call.sounds == ["ringback"]
        assert scene.call.looped is None

    async def test_a_member_who_is_away_is_passed_over(self) -> None:
        scene = hunt("team")
        scene.availability.closed["billing"] = "at lunch"
        result = await scene.run()
        assert [(each.target, each.outcome) for each in result.attempts] == [
            ("billing", Outcome.UNAVAILABLE),
            ("sales", Outcome.CONNECTED),
        ]
        assert scene.availability.asked == ["team", "billing", "sales"]

    async def test_one_target_is_asked_for_once(self) -> None:
        scene = hunt("billing")
        await scene.run()
        assert scene.availability.asked == ["billing"]


class TestTakingBack:
    def press(self, scene: Scene, digit: str) -> None:
        scene.call._publish(DtmfReceived("caller", digit, 100, "rtp"))

    @pytest.mark.parametrize(
        ("target", "moment"),
        [
            ("billing", "invite billing as t1"),
            ("team", "invite billing as t1"),
            ("desks", "invite sales as t2"),
            ("mobile", "refer mobile as t1"),
        ],
    )
    async def test_the_callers_digit_calls_everybody_off(self, target: str, moment: str) -> None:
        scene = hunt(target, RINGS, RINGS, cancel_digit="*")
        scene.stage.on(moment, lambda: self.press(scene, "1"))
        scene.stage.on(moment, lambda: self.press(scene, "*"))
        result = await scene.run()
        assert {each.outcome for each in result.attempts} == {Outcome.CANCELLED}
        assert [each.outcome for each in scene.of(FallbackTaken)] == [Outcome.CANCELLED]
        whys = {each.withdrawal.result() for each in scene.call.orders}
        assert whys <= {Withdrawal.BY_CALLER}

    async def test_during_the_message_nothing_is_dialled(self) -> None:
        scene = hunt("billing", cancel_digit="*", accepted_message="One moment")
        scene.stage.on("play One moment", lambda: self.press(scene, "*"))
        result = await scene.run()
        [attempt] = result.attempts
        assert attempt.reason == "cancelled by the caller before it was dialled"
        assert scene.call.orders == []


class TestWhatHappensInTheMomentOfTheFirstRing:
    """The waiting sound begins, and nothing else of the loop has run yet."""

    def at_once(self, scene: Scene, happens: Callable[[], None]) -> list[object]:
        """Returns what went wrong."""
        loop, alert, faults = asyncio.get_running_loop(), scene.call.alert, list[object]()
        loop.set_exception_handler(lambda _, context: faults.append(context))

        def alerted(audio: Pcm) -> None:
            loop.call_soon(happens)
            alert(audio)

        scene.call.alert = alerted  # type: ignore[method-assign]
        return faults

    async def test_an_earlier_leg_is_gone(self) -> None:
        scene = hunt("billing")
        ended = LegEnded("agent-1", 486, "Busy Here", Side.TARGET, MediaQuality())
        faults = self.at_once(scene, lambda: scene.call.tells(ended))
        result = await scene.run()
        assert not faults
        assert [each.outcome for each in result.attempts] == [Outcome.CONNECTED]

    async def test_it_is_taken_back(self) -> None:
        scene = hunt("billing", RINGS)
        self.at_once(scene, lambda: scene.interpreter.decide(CancelTransfer()))
        result = await scene.run()
        assert [each.outcome for each in result.attempts] == [Outcome.CANCELLED]
        assert result.end is EndReason.FALLBACK


def test_every_failure_has_its_place_among_the_telling_ones() -> None:
    never = {Outcome.CONNECTED, Outcome.PRESUMED_CONNECTED, Outcome.ABANDONED}
    assert set(TELLING) == set(Outcome) - never
    alike = [
        Attempt(f"t{n}", Method.INVITE, "x", "", Outcome.NO_ANSWER, reason=str(n)) for n in (1, 2)
    ]
    assert most_telling(alike).id == "t2"
