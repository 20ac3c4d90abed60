"""`switchhook transfer rehearse`, as an operator runs it before production meets the failure."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sip.faulty.bye_cases import BYE
from sip.faulty.case import Case
from sip.faulty.invite_cases import INVITE
from sip.faulty.refer_cases import REFER
from tests.e2e.process import SWITCHHOOK
from tests.e2e.world import World, fallback_table, prompt

LIMIT = 60.0
"""Seconds for one command: it starts PJSIP, prepares the prompts, and plays every failure."""

Rehearse = Callable[..., subprocess.CompletedProcess[str]]

LOOP: dict[str, Any] = {
    "flow": "loop",
    "start": "again",
    "nodes": {
        "again": {
            "type": "agent_transfer",
            "target": "sales",
            "fallback": {"default": {"prompt": prompt("default"), "node": "again"}},
        }
    },
}
"""Whoever fails here is sent there again."""

QUIET: dict[str, Any] = {
    "flow": "quiet",
    "start": "to_sales",
    "nodes": {
        "to_sales": {
            "type": "agent_transfer",
            "target": "sales",
            "fallback": {**fallback_table(), "default": {"end": True}},
        }
    },
}


HUNT: dict[str, Any] = {
    "flow": "hunt",
    "start": "to_both",
    "nodes": {
        "to_both": {
            "type": "agent_transfer",
            "target": "both",
            "fallback": {
                "486": {"retry": {"delay": 30}, "prompt": prompt("code-486"), "end": True},
                "default": {"prompt": prompt("default"), "end": True},
            },
        }
    },
}
"""A group of two; who is busy is tried once more, half a minute later."""

LADDER: dict[str, Any] = {
    "flow": "ladder",
    "start": "to_outside",
    "nodes": {
        "to_outside": {
            "type": "agent_transfer",
            "target": "outside",
            "method": "auto",
            "fallback": fallback_table(),
        }
    },
}


NUMBERED: dict[str, Any] = {
    "flow": "numbered",
    "start": "to_number",
    "transfer_node": "to_anyone",
    "nodes": {
        "to_number": {
            "type": "agent_transfer",
            "target": "number",
            "fallback": {**fallback_table(), "default": {"node": "to_anyone"}},
        },
        "to_anyone": {
            "type": "agent_transfer",
            "method": "invite",
            "fallback": fallback_table(),
        },
    },
}

A_COUNTRY: dict[str, Any] = {
    "allow": ["+49*"],
    "deny": ["+49900*"],
    "trunks": {
        "carrier": {
            "numbers": {"country": "49", "sends": "national"},
            "allow": ["+4930*", "+49900*"],
        }
    },
}
"""Its carrier writes numbers as people there dial them, and takes only some."""


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Rehearse:
    """The command where the carrier writes numbers in its country's way."""
    return rehearsing(
        World(
            tmp_path_factory.mktemp("country"),
            settings=A_COUNTRY,
            flows=(NUMBERED,),
            numbers={"660": "numbered"},
        )
    )


@pytest.fixture(scope="module")
def rehearse(tmp_path_factory: pytest.TempPathFactory) -> Rehearse:
    """Runs the command on a configuration of which no gateway runs."""
    flows = (LOOP, QUIET, HUNT, LADDER)
    world = World(
        tmp_path_factory.mktemp("rehearsal"),
        settings={
            "groups": {"both": {"members": ["sales", "support"]}},
            "trunks": {"pbx": {"codecs": ["opus", "PCMA", "PCMU"]}},
        },
        flows=flows,
        numbers={str(650 + at): flow["flow"] for at, flow in enumerate(flows)},
    )
    return rehearsing(world)


def rehearsing(world: World) -> Rehearse:
    """The command with this configuration."""
    world.write()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = (SWITCHHOOK, "transfer", "rehearse", *arguments, "-c", str(world.configuration))
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)

    return run


class TestEveryFailure:
    """`--all` plays every case there is, and each meets the row that is meant for it."""

    @pytest.mark.parametrize(
        ("flow", "node", "table"),
        [
            ("dial", "to_sales", INVITE),
            ("refer", "to_outside", REFER),
            ("handback", "back", BYE),
        ],
    )
    def test_all_of_them_are_looked_after(
        self, flow: str, node: str, table: dict[str, Case], rehearse: Rehearse
    ) -> None:
        result = rehearse(flow, "--node", node, "--all", "--json")
        played = {one["failure"]: one for one in json.loads(result.stdout)}
        assert list(played) == list(table)
        for name, case in table.items():
            assert played[name]["outcome"] in case.outcomes, played[name]
            if case.code is not None:
                assert played[name]["code"] == case.code, played[name]
            assert played[name]["good"], played[name]
        assert result.returncode == 0

    def test_each_meets_the_most_exact_row(self, rehearse: Rehearse) -> None:
        asked = [part for name in ("no-notify", "503", "486") for part in ("-s", name)]
        result = rehearse("refer", "--node", "to_outside", *asked, "--json")
        keys = [one["fallback"]["key"] for one in json.loads(result.stdout)]
        assert keys == ["no_verdict", "503", "486"]


class TestOneFailure:
    def test_it_is_told_in_full(self, rehearse: Rehearse) -> None:
        result = rehearse("second", "--node", "first", "--simulate", "486")
        assert result.returncode == 0
        for text in (
            "first > next_one > goodbye",
            "accepted.wav",
            "t1 invite sales: busy, 486 Busy Here",
            "fallback   busy: next_one",
            "|------ INVITE (SDP) ----->|",
        ):
            assert text in result.stdout, result.stdout

    def test_an_offer_that_is_refused_is_followed_by_a_shorter_one(
        self, rehearse: Rehearse
    ) -> None:
        result = rehearse("dial", "--node", "to_sales", "--simulate", "488-long-offer")
        invites = re.findall(r"- INVITE \(SDP\) -+>", result.stdout)
        assert len(invites) == 3, result.stdout  # the caller's, and two
        assert "488 INVITE" in result.stdout
        assert "t1 invite sales: connected" in result.stdout

    def test_several_may_be_named(self, rehearse: Rehearse) -> None:
        result = rehearse(
            "dial", "--node", "to_sales", "-s", "603", "-s", "503-retry-after", "--json"
        )
        told = [(one["code"], one["fallback"]["key"]) for one in json.loads(result.stdout)]
        assert told == [(603, "declined"), (503, "503")]

    def test_it_stops_where_a_bot_would_talk(self, rehearse: Rehearse) -> None:
        result = rehearse(
            *("conversation", "--node", "hand_over", "--target", "sales"),
            *("-s", "486", "-s", "404", "--json"),
        )
        for one in json.loads(result.stdout):
            assert one["path"] == ["hand_over", "talk", "bot assistant"]

    def test_it_stops_where_the_flow_comes_back_to_the_node(self, rehearse: Rehearse) -> None:
        result = rehearse("loop", "--node", "again", "-s", "486", "-s", "404", "--json")
        for one in json.loads(result.stdout):
            assert (one["good"], one["end"]) == (True, "again")
        assert result.returncode == 0

    def test_a_caller_who_is_dropped_without_a_word_is_told_of(self, rehearse: Rehearse) -> None:
        result = rehearse("quiet", "--node", "to_sales", "-s", "302", "-s", "486")
        assert "without a word: 302" in result.stdout


class TestSeveralAttempts:
    """A failure that is simulated meets whomever the node rings."""

    def test_every_member_of_a_group_fails_and_is_tried_again(self, rehearse: Rehearse) -> None:
        result = rehearse("hunt", "--node", "to_both", "-s", "486", "-s", "603", "--json")
        busy, declined = json.loads(result.stdout)
        assert (busy["attempts"], declined["attempts"]) == (4, 2)
        assert (busy["fallback"]["key"], declined["fallback"]["key"]) == ("486", "default")
        assert result.returncode == 0

    def test_auto_goes_on_by_invite_where_the_refer_is_unknown(self, rehearse: Rehearse) -> None:
        result = rehearse(
            *("ladder", "--node", "to_outside", "--json"),
            *("-s", "refer-405", "-s", "notify-486"),
        )
        unknown, busy = json.loads(result.stdout)
        assert (unknown["attempts"], unknown["judgement"]) == (2, "succeeded")
        assert (busy["attempts"], busy["fallback"]["key"]) == (1, "486")


class TestNumbers:
    """A trunk's way of writing numbers, and what `deny` says of them, hold as in production."""

    def test_a_number_is_dialled_as_the_trunk_writes_it(self, country: Rehearse) -> None:
        result = country("numbered", "--node", "to_number", "-s", "486", "-s", "503", "--json")
        played = json.loads(result.stdout)
        told = [(one["code"], one["fallback"]["key"]) for one in played]
        assert told == [(486, "486"), (503, "503")]
        assert all(uri.startswith("sip:03012345@") for one in played for uri in one["uris"])

    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            ("+49900123456", "is denied by `+49900*`"),
            ("+4940123456", "matches nothing of `trunks.carrier.allow`"),
        ],
    )
    def test_what_may_not_be_dialled_there_is_told(
        self, asked: str, reason: str, country: Rehearse
    ) -> None:
        result = country("numbered", "--node", "to_anyone", "--target", asked, "-s", "486")
        assert result.returncode == 2
        assert f"{asked} {reason}" in result.stderr


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("dial", "--node", "to_sales"), "name one with --simulate, or --all"),
            (("dial", "--node", "to_sales", "-s", "no-notify"), "no failure 'no-notify'"),
            (("dial", "--node", "goodbye", "--all"), "is no `agent_transfer` node"),
        ],
    )
    def test_each_is_one_line_and_exit_code_2(
        self, arguments: tuple[str, ...], message: str, rehearse: Rehearse
    ) -> None:
        result = rehearse(*arguments)
        assert result.returncode == 2
        assert message in result.stderr


def test_nothing_is_left_in_the_operators_folder(rehearse: Rehearse, tmp_path: Path) -> None:
    """No database, no prompt cache."""
    world = World(tmp_path)
    world.write()
    before = sorted(path.name for path in tmp_path.iterdir())
    command = (SWITCHHOOK, "transfer", "rehearse", "dial", "-n", "to_sales", "-s", "486", "-c")
    subprocess.run(
        (*command, str(world.configuration)), check=True, capture_output=True, timeout=LIMIT
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == before
