"""One call in the service: however it ends, its leg is released and it leaves one record."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway import call as under_test
from gateway.call import CallState
from gateway.events import CallFailed, CallFinished, CallStarted
from gateway.records import CallRecord
from gateway.timeline import CallEvent
from ivr.decisions import DecisionRefused, GotoDecision, HangupDecision, RefusalReason
from ivr.disposition import Disposition
from ivr.interpreter import Interpreter
from ivr.result import EndReason
from sip.events import Direction, LegEnded, LegStarted, MediaQuality
from sip.outcome import HandoverStatus, Outcome, Side
from tests.twin import Verdict
from tests.unit.gateway.agent_twin import TwinLeg, TwinPromptStore, TwinTokens
from tests.unit.gateway.scene import DEADLINE, configuration, session_of

CALL = "00000000000000aa"
MANY_TURNS = 300
"""Turns of the loop in which a call that is not stuck has long ended."""


class Scene:
    """One call in the service, and everything that was published about it."""

    def __init__(self, *verdicts: Verdict, flow: str = "main") -> None:
        self.leg = TwinLeg(CALL, verdicts=verdicts)
        self.published: list[CallEvent] = []
        self.tokens = TwinTokens()
        self.session = session_of(
            self.leg,
            configuration(Path("/nowhere")),
            TwinPromptStore(),
            self.published.append,
            self.tokens,
        )

    async def run(self) -> CallRecord:
        """Run the call to its end; return its one record."""
        async with asyncio.timeout(DEADLINE):
            await self.session.run()
        return self.record

    @property
    def record(self) -> CallRecord:
        """The one record; fails if there is none, or a second."""
        [record] = [
            stamped.event.call.record
            for stamped in self.published
            if isinstance(stamped.event, CallFinished)
        ]
        return record

    def on(self, entry: str, action: Callable[[], object]) -> None:
        """Act when the twin writes this to its journal."""
        self.leg.stage.on(entry, action)


async def test_a_call_runs_its_flow_and_leaves_a_record() -> None:
    record = await Scene().run()
    assert record.path == ("greet", "desk", "bye")
    assert (record.disposition, record.end) == (Disposition.TRANSFERRED, EndReason.HANGUP)
    assert (record.direction, record.trunk, record.flow) == ("inbound", "carrier", "main")
    assert (record.caller, record.number) == ("+4930123", "1000")
    assert record.media["caller"].codec == "PCMU/8000"
    assert record.answered_at is not None
    assert record.started_at <= record.answered_at <= record.ended_at


async def test_the_timeline_begins_with_the_call_and_holds_sip_and_flow() -> None:
    scene = Scene()
    await scene.run()
    kept = [stamped.event.name for stamped in scene.session.timeline.events]
    assert kept[0] == CallStarted.name
    assert {"sip.message", "leg.answered", "node.entered", "transfer.ended", "leg.ended"} <= {*kept}
    published = [stamped.event.name for stamped in scene.published]
    assert published == [*kept, CallFinished.name]


@pytest.mark.parametrize("cut_at", ["", "play Welcome", "invite billing as t1"])
async def test_a_call_that_is_over_is_freed_without_the_garbage_collector(cut_at: str) -> None:
    scene = Scene(Verdict(Outcome.BUSY, 486))
    if cut_at:
        scene.on(cut_at, scene.leg.hang_up)
    gc.disable()
    try:
        await scene.run()
        freed = weakref.ref(scene.session)
        del scene
        await asyncio.sleep(0)  # the loop lets go of what it ran last
        assert freed() is None
    finally:
        gc.enable()


async def test_a_failed_transfer_is_in_the_record_with_its_evidence() -> None:
    record = await Scene(Verdict(Outcome.BUSY, 486)).run()
    [attempt] = record.attempts
    assert (attempt.outcome, attempt.code) == (Outcome.BUSY, 486)
    assert record.disposition is Disposition.FAILED


async def test_the_state_follows_the_call() -> None:
    scene = Scene(Verdict(rings=True))
    session = scene.session
    seen: list[tuple[CallState, str | None]] = [(session.state, session.position)]

    def look() -> None:
        seen.append((session.state, session.position))
        assert session.handover is not None
        assert session.handover.status is HandoverStatus.RINGING
        scene.leg.hang_up()

    scene.on("play Welcome", lambda: seen.append((session.state, session.position)))
    scene.on("invite billing as t1", look)
    await scene.run()
    assert seen == [
        (CallState.RINGING, None),
        (CallState.ANSWERED, "greet"),
        (CallState.ANSWERED, "desk"),
    ]
    assert session.state is CallState.ENDING


async def test_a_caller_who_gave_up_at_once_leaves_a_record_too() -> None:
    scene = Scene()
    scene.leg.hang_up()
    record = await scene.run()
    assert (record.end, record.answered_at) == (EndReason.CALLER_HANGUP, None)
    assert record.disposition is Disposition.ABANDONED


class TestAgentsLegs:
    """The record waits for what is still said in the legs that a transfer has dialled."""

    @pytest.fixture
    async def scene(self) -> Scene:
        scene = Scene(Verdict(rings=True))
        scene.on("invite billing as t1", self.dial_and_hang_up)
        self.leg = scene.leg
        return scene

    def dial_and_hang_up(self) -> None:
        self.leg._publish(LegStarted("agent-1", Direction.SENT, "sip:billing@192.0.2.9", ""))
        self.leg.hang_up()

    async def test_an_agent_who_is_still_there_delays_the_record(self, scene: Scene) -> None:
        call = asyncio.create_task(scene.run())
        for _ in range(MANY_TURNS):
            await asyncio.sleep(0)
        assert scene.session.timeline.events[-1].event.name == "flow.ended"
        assert scene.session.state is CallState.ENDING
        quality = MediaQuality(codec="PCMA/8000")
        self.leg._publish(LegEnded("agent-1", 487, "Terminated", Side.GATEWAY, quality))
        record = await call
        assert record.media["agent-1"] == quality
        assert scene.session.timeline.events[-1].event.name == "leg.ended"

    async def test_an_agent_who_never_goes_does_not_keep_the_record(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(under_test, "AGENT_LIMIT", 0.01)
        record = await scene.run()
        assert record.disposition is Disposition.ABANDONED
        assert "agent-1" not in record.media


async def test_an_operator_decides() -> None:
    scene = Scene()
    scene.on("play Welcome", lambda: scene.session.decide(GotoDecision("bye")))
    record = await scene.run()
    assert record.path == ("greet", "bye")


async def test_nothing_is_decided_before_the_flow_or_after_the_call() -> None:
    scene = Scene()
    for _ in range(2):
        with pytest.raises(DecisionRefused) as refused:
            scene.session.decide(HangupDecision())
        assert refused.value.reason is RefusalReason.CALL_ENDED
        if scene.session.state is CallState.RINGING:
            await scene.run()


class TestFaults:
    """An error of ours: the caller hears nothing strange, the reason is logged and recorded."""

    async def test_before_the_answer_the_trunk_is_told_500(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("no interpreter today")

        monkeypatch.setattr(under_test, "Interpreter", broken)
        scene = Scene()
        with capture_logs() as logged:
            record = await scene.run()
        assert scene.leg.stage.journal == ["rejected 500", "ended by gateway"]
        assert (record.disposition, record.end) == (Disposition.FAILED, EndReason.FAILED)
        assert record.message == "RuntimeError: no interpreter today"
        assert CallFailed.name in {stamped.event.name for stamped in scene.published}
        assert logged[0]["event"] == "call failed"
        assert logged[0]["exc_info"]

    async def test_after_the_answer_the_call_ends_with_bye(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def breaks(_: Interpreter) -> None:
            await scene.leg.answer()
            raise RuntimeError("broken half way")

        monkeypatch.setattr(Interpreter, "run", breaks)
        scene = Scene()
        with capture_logs():
            record = await scene.run()
        assert scene.leg.stage.journal == ["answer", "bye", "ended by gateway"]
        assert record.disposition is Disposition.FAILED

    async def test_a_leg_that_does_not_end_still_leaves_a_record(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(under_test, "RELEASE_LIMIT", 0.01)
        scene = Scene()
        scene.leg.stubborn = True
        with capture_logs() as logged:
            record = await scene.run()
        assert record.end is EndReason.HANGUP
        assert [line["event"] for line in logged] == ["leg does not end"]

    async def test_a_session_torn_away_before_its_first_step_leaves_a_record(self) -> None:
        scene = Scene()
        task = asyncio.create_task(scene.session.run())
        await asyncio.sleep(0)
        scene.leg.hang_up()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert scene.record.end in (EndReason.SHUTDOWN, EndReason.CALLER_HANGUP)


@settings(max_examples=150)
@given(
    step=st.integers(1, 40),
    by=st.sampled_from([Side.CALLER, Side.GATEWAY]),
    verdict=st.sampled_from(
        [
            Verdict(),
            Verdict(talks=True),
            Verdict(rings=True),
            Verdict(Outcome.BUSY, 486),
            Verdict(Outcome.SERVER_UNAVAILABLE, 503),
        ]
    ),
    cancelled=st.booleans(),
    seed=st.integers(0, 3),
)
def test_whenever_the_leg_ends_there_is_exactly_one_record(
    step: int, by: Side, verdict: Verdict, cancelled: bool, seed: int
) -> None:
    async def one_call() -> None:
        scene = Scene(verdict)
        task = asyncio.create_task(scene.session.run())
        scene.leg.stage.at(step, lambda: scene.leg.hang_up(by))
        if cancelled:
            scene.leg.stage.at(Random(seed).randint(1, step), task.cancel)
        for _ in range(MANY_TURNS):
            await asyncio.sleep(0)
        scene.leg.hang_up(Side.GATEWAY)  # it rang or talked for ever: as `agent.stop()` would
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(task, return_exceptions=True)
        assert scene.leg.ended is not None
        assert scene.record.id == CALL
        names = [stamped.event.name for stamped in scene.published]
        assert names.count("transfer.started") == names.count("transfer.ended")

    asyncio.run(one_call())
