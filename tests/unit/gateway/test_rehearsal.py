"""Rehearsals: what can be rehearsed, on which configuration, and how a call is judged.

The calls themselves are in tests/e2e/test_rehearsal.py.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from config.configuration import Configuration
from config.flows import AgentTransfer
from config.settings import Settings
from config.targets import Target
from gateway.rehearsal import report, scene
from gateway.rehearsal.loopback import GATEWAY, QUICK, REAL_TIME, on_loopback, trunk_names
from gateway.rehearsal.result import Judgement, judge
from gateway.rehearsal.scene import NothingToRehearse
from gateway.timeline import CallEvent
from ivr.events import FallbackTaken, FlowEnded, NodeEntered, Playback, PromptEnded, PromptStarted
from ivr.result import EndReason
from sip.events import Event, TransferEnded
from sip.faulty.invite_cases import INVITE
from sip.outcome import Method, Outcome, Side
from tests.unit.gateway.scene import ATTEMPT, NODES, configuration

OPEN = {"type": "agent_transfer", "fallback": {"default": {"end": True}}}
"""A transfer node that leaves its target to the bot."""

PEERS = {"carrier": ("127.77.1.1", 5071), "rehearsal": ("127.77.1.2", 5072)}
BUSY = INVITE["486"]


@pytest.fixture
def configured(tmp_path: Path) -> Configuration:
    return configuration(
        tmp_path,
        nodes={**NODES, "anyone": OPEN},
        flow={"entries": ["anyone"]},
        allow=["+4930*"],
        targets={
            "billing": {"kind": "internal", "destination": "sip:billing@192.0.2.9"},
            "far": {"kind": "external", "destination": "sip:x@198.51.100.1", "timeout": 60},
        },
    )


class TestWhatIsRehearsed:
    def test_a_nodes_own_target_and_its_method(self, configured: Configuration) -> None:
        chosen = scene.choose(configured, "main", "desk")
        assert (chosen.target, chosen.method, chosen.trunk) == ("billing", Method.INVITE, "carrier")

    def test_an_open_node_takes_the_target_that_is_named(self, configured: Configuration) -> None:
        assert scene.choose(configured, "main", "anyone", "far").method is Method.REFER
        assert scene.choose(configured, "main", "anyone", "+493012").target == "+493012"

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            (("night", "desk"), "no flow 'night'; there are: main"),
            (("main", "greet"), "'greet' is no `agent_transfer` node; there are: desk, anyone"),
            (("main", "nowhere"), "'nowhere' does not exist"),
            (("main", "anyone"), "leaves the target open: name one; there are: billing, far"),
            (("main", "anyone", "nobody"), "'nobody' is no target, SIP URI or number"),
            (("main", "anyone", "+49900666"), "matches nothing of `allow`"),
            (("main", "desk", "", "attic"), "no trunk 'attic'; there are: carrier"),
        ],
    )
    def test_what_is_not_there_is_an_error_that_says_what_is(
        self, asked: tuple[str, ...], message: str, configured: Configuration
    ) -> None:
        with pytest.raises(NothingToRehearse) as error:
            scene.choose(configured, *asked)
        assert message in str(error.value)

    def test_the_failures_are_those_of_the_method(self, configured: Configuration) -> None:
        dialled = scene.choose(configured, "main", "desk")
        assert "ring-forever" in [case.name for case in scene.failures(dialled)]
        with pytest.raises(NothingToRehearse, match="no failure 'no-notify'"):
            scene.failure(dialled, "no-notify")


class TestTheLoopback:
    """Nothing that is rehearsed reaches anybody."""

    def rehearsed(
        self, configured: Configuration, *asked: str, pace: Any = QUICK
    ) -> tuple[Settings, dict[str, Any]]:
        chosen = scene.choose(configured, "main", *asked)
        found = on_loopback(configured, chosen, PEERS, pace=pace, folder=Path("x"))
        return found.settings, found.flows["main"].nodes

    def test_every_trunk_leads_to_a_peer_and_every_target_over_a_trunk(
        self, configured: Configuration
    ) -> None:
        settings, _ = self.rehearsed(configured, "desk")
        assert trunk_names(configured) == list(settings.trunks) == list(PEERS)
        assert [str(listen.address) for listen in settings.sip.listen] == [GATEWAY]
        for name, (host, port) in PEERS.items():
            assert settings.trunks[name].next_hop == f"sip:{host}:{port}"
            assert settings.trunks[name].sources == [IPv4Network(f"{host}/32")]
        assert {target.trunk for target in settings.targets.values()} == {"rehearsal"}
        assert settings.database is None

    def test_destinations_and_rules_stay_as_they_are_written(
        self, configured: Configuration
    ) -> None:
        settings, _ = self.rehearsed(configured, "anyone", "+493012345")
        assert settings.allow == configured.settings.allow
        assert settings.targets["far"].destination == "sip:x@198.51.100.1"
        assert settings.targets["+493012345"].destination == "+493012345"

    def test_the_flow_begins_at_the_node(self, configured: Configuration) -> None:
        chosen = scene.choose(configured, "main", "anyone", "far")
        found = on_loopback(configured, chosen, PEERS, pace=QUICK, folder=Path("x"))
        assert found.flows["main"].start == "anyone"
        node = found.flows["main"].nodes["anyone"]
        assert isinstance(node, AgentTransfer)
        assert node.target == "far"

    def test_a_target_written_into_the_flow_is_reached_over_a_peer_too(
        self, tmp_path: Path
    ) -> None:
        inline = {"kind": "internal", "destination": "sip:here@192.0.2.7"}
        nodes = {**NODES, "desk": {**NODES["desk"], "target": inline}}
        configured = configuration(tmp_path, nodes=nodes, allow=["sip:*@192.0.2.7"])
        _, rehearsed = self.rehearsed(configured, "desk")
        target = rehearsed["desk"].target
        assert isinstance(target, Target)
        assert (target.destination, target.trunk) == ("sip:here@192.0.2.7", "rehearsal")

    def test_timers_are_short_unless_asked_otherwise(self, configured: Configuration) -> None:
        settings, _ = self.rehearsed(configured, "desk")
        assert settings.targets["far"].timeout == QUICK.ring
        assert settings.trunks["carrier"].refer.first_notify == QUICK.first_notify
        settings, _ = self.rehearsed(configured, "desk", pace=REAL_TIME)
        assert settings.targets["far"].timeout == 60
        assert settings.trunks["carrier"].refer.first_notify == 15


FAILED = TransferEnded(replace(ATTEMPT, method=Method.INVITE))
FALLBACK = FallbackTaken("t1", Outcome.BUSY, 486, "busy", "bye")
HEARD = (PromptStarted("Busy", 60), PromptEnded("Busy", Playback.PLAYED))
ENTERED = NodeEntered("main", "desk", "agent_transfer")
ON = NodeEntered("main", "bye", "hangup")


def events(*happened: Event) -> list[CallEvent]:
    return [CallEvent("a", number, 0.0, event) for number, event in enumerate(happened)]


class TestTheJudgement:
    def test_a_failure_that_meets_its_fallback_is_good(self) -> None:
        happened = events(ENTERED, FAILED, FALLBACK, *HEARD, ON, FlowEnded(EndReason.HANGUP))
        one = judge(BUSY, "desk", happened, stopped_at="")
        assert (one.judgement, one.good, one.silent) == (Judgement.FELL_BACK, True, False)
        assert (one.path, one.prompts, one.end) == (("desk", "bye"), ("Busy",), "hangup")
        assert one.fallback is not None
        assert (one.fallback.key, one.fallback.to) == ("busy", "bye")
        assert "fell back" in report.verdict(one)

    def test_a_success_needs_none(self) -> None:
        reached = TransferEnded(replace(ATTEMPT, outcome=Outcome.CONNECTED))
        happened = events(ENTERED, reached, FlowEnded(EndReason.TRANSFERRED))
        assert judge(BUSY, "desk", happened, stopped_at="").judgement is Judgement.SUCCEEDED

    def test_a_call_that_ends_without_one_is_lost(self) -> None:
        one = judge(
            BUSY, "desk", events(ENTERED, FAILED, FlowEnded(EndReason.SHUTDOWN)), stopped_at=""
        )
        assert (one.judgement, one.good) == (Judgement.LOST, False)
        assert "without the fallback" in report.verdict(one)
        assert report.summary([one]) == "0 of 1 failures are looked after; not: 486"

    def test_a_call_without_an_end_is_stuck(self) -> None:
        one = judge(BUSY, "desk", events(ENTERED), stopped_at="")
        assert (one.judgement, one.good) == (Judgement.STUCK, False)

    def test_a_fault_of_ours_is_no_fallback(self) -> None:
        happened = events(ENTERED, FAILED, FALLBACK, FlowEnded(EndReason.FAILED, "desk: KeyError"))
        assert judge(BUSY, "desk", happened, stopped_at="").judgement is Judgement.FAULT

    def test_a_call_that_left_by_our_bye_has_nobody_to_fall_back_for(self) -> None:
        left = TransferEnded(replace(ATTEMPT, method=Method.BYE, bye_by=Side.GATEWAY))
        one = judge(
            BUSY, "desk", events(ENTERED, left, FlowEnded(EndReason.CALLER_HANGUP)), stopped_at=""
        )
        assert (one.judgement, one.good) == (Judgement.RELEASED, True)

    def test_an_end_without_a_word_is_told(self) -> None:
        silent = replace(FALLBACK, to="")
        happened = events(ENTERED, *HEARD, FAILED, silent, FlowEnded(EndReason.FALLBACK))
        one = judge(BUSY, "desk", happened, stopped_at="")
        assert one.silent
        assert "without a word" in report.verdict(one)

    def test_a_prompt_that_cannot_be_played_is_bad(self) -> None:
        broken = PromptEnded("Busy", Playback.FAILED, "no such file")
        happened = events(ENTERED, FAILED, FALLBACK, broken, FlowEnded(EndReason.FALLBACK))
        one = judge(BUSY, "desk", happened, stopped_at="")
        assert (one.judgement, one.good) == (Judgement.FELL_BACK, False)
        assert "Busy" in report.verdict(one)

    def test_only_the_attempts_of_the_rehearsed_node_count(self) -> None:
        other = TransferEnded(replace(ATTEMPT, id="t2", outcome=Outcome.CONNECTED))
        happened = events(ENTERED, FAILED, FALLBACK, ON, other, FlowEnded(EndReason.TRANSFERRED))
        one = judge(BUSY, "desk", happened, stopped_at="")
        assert [attempt.id for attempt in one.attempts] == ["t1"]

    def test_a_rehearsal_stops_at_a_bot(self) -> None:
        happened = events(ENTERED, FAILED, FALLBACK, ON)
        one = judge(BUSY, "desk", happened, stopped_at="bot demo")
        assert (one.path[-1], one.end, one.good) == ("bot demo", "bot demo", True)

    def test_it_is_told_to_programs_too(self) -> None:
        happened = events(ENTERED, FAILED, FALLBACK, *HEARD, ON, FlowEnded(EndReason.HANGUP))
        told = report.as_json(judge(BUSY, "desk", happened, stopped_at=""))
        assert told["fallback"] == {"key": "busy", "to": "bye"}
        assert (told["outcome"], told["code"], told["good"]) == ("busy", 486, True)
