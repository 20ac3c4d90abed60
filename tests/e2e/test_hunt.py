"""Groups of targets, the ladder, office hours and taking back, on real telephones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import listen, tone_name
from tests.e2e.conftest import StartPeer
from tests.e2e.handing_over import dial, flow
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import AGENT_TONE, CALLER_TONE, PBX, PROMPTS, RINGBACK, World, prompt, sound_of
from tests.peers import network
from tests.peers.agent import Agent

DESK_PORT = network.free_port(PBX)
"""Where a second telephone stands, apart from the PBX."""

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'

FLOWS = {
    "640": flow("in_turn", "team"),
    "641": flow("at_once", "desks"),
    "642": flow(
        "again",
        "sales",
        fallback={
            "503": {"retry": {"times": 1}, "prompt": prompt("code-503"), "end": True},
            "default": {"prompt": prompt("default"), "end": True},
        },
    ),
    "643": flow("ladder", "number"),
    "644": flow(
        "closed",
        "night_desk",
        accepted_message=prompt("accepted"),
        fallback={
            "unavailable": {"prompt": prompt("no-verdict"), "end": True},
            "default": {"prompt": prompt("default"), "end": True},
        },
    ),
    "645": flow(
        "impatient",
        "sales",
        cancel_digit="*",
        fallback={
            "cancelled": {"prompt": prompt("operator"), "end": True},
            "default": {"prompt": prompt("default"), "end": True},
        },
    ),
}


def new_world(folder: Path) -> World:
    """The usual world, with groups, office hours and a number that `auto` reaches."""
    world = World.answering(
        folder,
        FLOWS,
        hours={"never": {"zone": "Europe/Berlin", "week": {"mon-sun": []}}},
        groups={
            "team": {"members": ["sales", {"target": "support", "timeout": 1}, "third"]},
            "desks": {"strategy": "parallel", "members": ["desk", "support"]},
        },
    )
    pbx = f"@{PBX}:{world.pbx_port}"
    desk = f"sip:desk@{PBX}:{DESK_PORT}"
    world.settings["targets"] = {
        "third": {"kind": "internal", "destination": f"sip:third{pbx}", "trunk": "pbx"},
        "desk": {"kind": "internal", "destination": desk},
        "night_desk": {"kind": "internal", "destination": f"sip:night{pbx}", "hours": "never"},
        "number": {
            "kind": "external",
            "destination": "+493012345",
            "trunk": "carrier",
            "method": "auto",
        },
    }
    return world


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for this file, with its own flows."""
    world = new_world(tmp_path_factory.mktemp("hunt"))
    yield from served(world)


def verdicts(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["target"], each["method"], each["outcome"]) for each in record["attempts"]]


class TestOneAfterTheOther:
    async def test_busy_then_no_answer_then_somebody(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await pbx.send(commands.Policy(user="sales", answer=486))
        await pbx.send(commands.Policy(user="support", answer=None))
        third = commands.Policy(user="third", tone=AGENT_TONE, record=tmp_path / "agent.wav")
        await pbx.send(third)
        recording = await dial(caller, world, "640", tmp_path)
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.expect("disconnected", code=487, by="peer")
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        await pbx.send(commands.HangUp(call="in-3"))
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        await caller.expect("disconnected", "a", by="peer")
        await caller.expect("recorded", "a")
        record = await api.record()
        assert verdicts(record) == [
            ("sales", "invite", "busy"),
            ("support", "invite", "no_answer"),
            ("third", "invite", "connected"),
        ]
        assert record["attempts"][1]["timer"] == "ring"
        assert record["disposition"] == "transferred"
        assert listen(recording).seconds_of(RINGBACK) > 0.5


class TestAllAtOnce:
    async def test_the_first_who_answers_has_the_caller(
        self,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        pbx: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """The others get a CANCEL that says why (RFC 3326 section 2)."""
        agent = Agent("rings in vain").is_called().rings()
        agent.receives("CANCEL", {"Reason": ELSEWHERE}).replies(200, "OK")
        agent.refuses(487, "Request Terminated")
        ring = commands.Policy(
            user="support", ring=0.8, tone=AGENT_TONE, record=tmp_path / "agent.wav"
        )
        await pbx.send(ring)
        async with await peer(agent, address=PBX, port=DESK_PORT):
            await dial(caller, world, "641", tmp_path)
            await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await caller.send(commands.HangUp(call="a"))
        record = await api.record()
        assert verdicts(record) == [
            ("desk", "invite", "cancelled"),
            ("support", "invite", "connected"),
        ]
        assert record["attempts"][0]["reason"] == "answered elsewhere"


class TestTryingAgain:
    async def test_retry_after_is_honoured_and_the_caller_waits_by_the_sound(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        """RFC 3261 section 20.33."""
        await pbx.send(commands.Policy(user="sales", answer=None))
        recording = await dial(caller, world, "642", tmp_path)
        await pbx.expect("incoming", "in-1")
        again = commands.Policy(user="sales", tone=AGENT_TONE, record=tmp_path / "agent.wav")
        await pbx.send(again)
        busy = commands.Answer(call="in-1", code=503, headers={"Retry-After": "2"})
        await pbx.send(busy)
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await caller.send(commands.HangUp(call="a"))
        await caller.expect("recorded", "a")
        record = await api.record()
        assert [each["code"] for each in record["attempts"]] == [503, 200]
        assert record["attempts"][0]["retry_after"] == 2
        began = [e["offset_ms"] for e in record["timeline"] if e["name"] == "transfer.started"]
        assert began[1] - began[0] >= 2000
        [retried] = [each for each in record["timeline"] if each["name"] == "transfer.retried"]
        assert (retried["key"], retried["delay_ms"]) == ("503", 2000)
        assert listen(recording).seconds_of(RINGBACK) > 0.8


class TestTheLadder:
    async def test_a_trunk_that_knows_no_refer_is_dialled_and_remembered(
        self, gateway: GatewayProcess, world: World, caller: Softphone, api: Api, tmp_path: Path
    ) -> None:
        """405 (RFC 3261 section 21.4.6) to the REFER; known after a restart, until forgotten."""

        async def methods() -> list[tuple[str, str, str]]:
            await api.begin()
            await dial(caller, world, "643", tmp_path, refer=405)
            await caller.expect("incoming")
            await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
            await caller.send(commands.HangUp(call="a"))
            await caller.expect("recorded", "a")
            return verdicts(await api.record())

        agent = commands.Policy(user="*", tone=AGENT_TONE, record=tmp_path / "agent.wav")
        await caller.send(agent)
        referred = ("number", "refer", "method_unsupported")
        dialled = ("number", "invite", "connected")
        assert await methods() == [referred, dialled]
        assert await methods() == [dialled]
        gateway.stop()
        gateway.start()
        shown = gateway.command("trunk", "capabilities", "-c", str(world.configuration))
        assert "carrier" in shown.stdout
        assert "no (learned: 405" in shown.stdout
        assert await methods() == [dialled]
        forgotten = gateway.command(
            "trunk", "capabilities", "--reset", "carrier", "-c", str(world.configuration)
        )
        assert forgotten.returncode == 0, forgotten.stderr
        assert await methods() == [referred, dialled]
        answer = (await api.get("/v1/trunks/carrier/capabilities")).json()
        assert (answer["refer"]["takes"], answer["refer"]["code"]) == (False, 405)


class TestWhoCanBeReached:
    async def test_outside_office_hours_nothing_is_dialled(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        recording = await dial(caller, world, "644", tmp_path)
        await caller.expect("heard", "a", sound=sound_of("no-verdict"))
        await caller.expect("disconnected", "a", by="peer")
        await caller.expect("recorded", "a")
        record = await api.record()
        assert verdicts(record) == [("night_desk", "invite", "unavailable")]
        assert "Europe/Berlin" in record["attempts"][0]["reason"]
        assert not [e for e in record["timeline"] if e["name"] == "transfer.started"]
        assert listen(recording).seconds_of(PROMPTS["accepted"]) == 0

    async def test_an_agent_who_said_so_is_not_dialled(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        place = "/v1/targets/sales/availability"
        reason = {"available": False, "reason": "at lunch"}
        said = await api.request("PUT", place, json=reason)
        assert said.status_code == 200, said.text
        try:
            await dial(caller, world, "645", tmp_path)
            await caller.expect("heard", "a", sound=sound_of("default"))
            await caller.expect("disconnected", "a", by="peer")
        finally:
            await api.request("DELETE", place, headers={"Content-Type": "application/json"})
        attempt = await api.attempt()
        assert attempt["reason"] == "set to unavailable: at lunch"


class TestTakingItBack:
    async def test_the_callers_digit_cancels_with_an_outcome_of_its_own(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await pbx.send(commands.Policy(user="sales", answer=None))
        await dial(caller, world, "645", tmp_path)
        await pbx.expect("incoming")
        await caller.expect("heard", "a", sound=RINGBACK)
        await caller.send(commands.Dtmf(call="a", digits="*"))
        await pbx.expect("disconnected", code=487, by="peer")
        await caller.expect("heard", "a", sound=sound_of("operator"))
        await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        [attempt] = record["attempts"]
        assert (attempt["outcome"], attempt["reason"]) == ("cancelled", "cancelled by the caller")
        [taken] = [each for each in record["timeline"] if each["name"] == "fallback.taken"]
        assert taken["key"] == "cancelled"
