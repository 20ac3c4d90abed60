"""The agent has answered and is told who is coming; meanwhile anybody may leave, or take back."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from config.targets import Reach, Target
from sip.audio import Pcm
from sip.leg import Leg
from sip.order import TransferOrder, Whisper, Withdrawal
from sip.outcome import Attempt, Method, Outcome
from sip.transfer import talk
from sip.transfer.evidence import Evidence
from tests.unit.sip.party import Party

WORDS = Pcm(b"\0\0" * 80, 8000)


class Consultation:
    """Caller and agent, both answered."""

    def __init__(self, whisper: Whisper | None) -> None:
        self.caller, self.agent = Party("caller"), Party("agent1")
        self.order = TransferOrder(
            attempt="t1",
            name="sales",
            target=Target(kind=Reach.INTERNAL, destination="sip:sales@10.0.0.8"),
            method=Method.INVITE,
            timeout=10,
            whisper=whisper,
        )
        self.evidence = Evidence(self.order, "sip:sales@10.0.0.8", lambda _: None)
        self.caller.answers()
        self.agent.answers()

    @property
    def legs(self) -> tuple[Leg, Leg]:
        return cast(Leg, self.caller), cast(Leg, self.agent)

    async def consult(self) -> Attempt | None:
        return await talk.consult(*self.legs, self.evidence)

    def steps(self) -> list[str]:
        """What happened, once the attempt is over."""
        return [step.what for step in self.evidence.conclude(Outcome.CONNECTED).steps]


def being_spoken() -> asyncio.Future[Pcm | None]:
    return asyncio.get_running_loop().create_future()


class TestWordsThatAreStillBeingSpoken:
    """The packet becomes words while the target rings; an engine is sometimes slower."""

    async def test_they_are_waited_for_and_heard(self) -> None:
        words = being_spoken()
        call = Consultation(words)
        asyncio.get_running_loop().call_soon(words.set_result, WORDS)
        assert await call.consult() is None
        assert call.agent.played == [WORDS]
        assert call.steps() == ["whisper"]

    async def test_an_engine_that_is_too_slow_costs_the_words_only(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(talk, "WHISPER_LIMIT", 0.01)
        words = being_spoken()
        call = Consultation(words)
        assert await call.consult() is None
        assert not call.agent.played
        assert not call.agent.released
        assert call.steps() == ["whisper_left_out"]
        assert not words.cancelled(), "another target of the same hunt may still be told"

    async def test_words_that_cannot_be_spoken_are_left_out(self) -> None:
        words = being_spoken()
        words.set_result(None)
        call = Consultation(words)
        assert await call.consult() is None
        assert call.steps() == ["whisper_left_out"]

    async def test_a_caller_who_leaves_does_not_wait_for_them(self) -> None:
        call = Consultation(being_spoken())
        asyncio.get_running_loop().call_soon(call.caller.hangs_up)
        attempt = await call.consult()
        assert attempt is not None
        assert attempt.outcome is Outcome.ABANDONED
        assert call.agent.released == 1


class TestTakenBackAfterTheAgentAnswered:
    """What was accepted takes effect: until the two hear each other, the caller stays here."""

    @pytest.mark.parametrize("why", [Withdrawal.CANCELLED, Withdrawal.BY_CALLER])
    async def test_during_the_whisper(self, why: Withdrawal) -> None:
        call = Consultation(being_spoken())
        asyncio.get_running_loop().call_soon(call.order.withdraw, why)
        attempt = await call.consult()
        assert attempt is not None
        assert (attempt.outcome, attempt.reason) == (Outcome.CANCELLED, why)
        assert call.agent.released == 1
        assert not call.caller.gone

    async def test_while_the_caller_is_being_answered(self) -> None:
        """Answer on bridge: the 200 is out, its ACK is not in (RFC 3261 section 13.3.1.4)."""
        call = Consultation(None)
        call.caller.before_answered = lambda: call.order.withdraw(Withdrawal.CANCELLED)
        attempt = await talk.join(*call.legs, call.evidence)
        assert (attempt.outcome, attempt.reason) == (Outcome.CANCELLED, Withdrawal.CANCELLED)
        assert "joined" not in [step.what for step in attempt.steps]
        assert call.agent.released == 1
        assert not call.caller.gone
