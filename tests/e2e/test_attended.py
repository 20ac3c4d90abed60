"""Attended transfer: the agent is consulted while the caller waits (RFC 5589 section 7).

caller 127.0.0.2 ──▶ gateway ──▶ agent 127.0.0.3; then the caller's telephone calls the agent
itself, in place of the gateway (RFC 3891), or the gateway joins the two
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone_name
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import (
    AGENT_TONE,
    CALLER_TONE,
    CARRIER,
    PBX,
    World,
    prompt,
    sound_of,
    transfer_node,
)
from tests.peers.agent import Agent
from tests.peers.caller import Caller

WHISPER = sound_of("operator")


def flow(name: str, **node: Any) -> dict[str, Any]:
    """Straight to the agent, consulted first."""
    return {
        "flow": name,
        "start": "consult",
        "nodes": {
            "consult": transfer_node(
                method="attended",
                waiting="music",
                whisper=prompt("operator"),
                timeout=20,
                next="bye",
                **node,
            ),
            "bye": {"type": "hangup", "headers": {"X-End": "completed"}},
        },
    }


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose agents are consulted."""
    world = World(
        tmp_path_factory.mktemp("gateway"),
        settings={"trunks": {"carrier": {"refer": {"first_notify": 15, "final_notify": 20}}}},
        flows=(
            flow("handed_over", target="replaces"),
            flow("joined", target="joins"),
            flow("asked", target="replaces", accept={"prompt": prompt("welcome"), "digits": "1"}),
        ),
        numbers={"672": "handed_over", "673": "joined", "674": "asked"},
    )
    agent = f"sip:sales@{PBX}:{world.pbx_port}"
    world.settings["targets"] = {
        name: {"kind": "external", "destination": agent, "complete": complete, "trunk": "pbx"}
        for name, complete in (("replaces", "replaces"), ("joins", "join"))
    }
    yield from served(world)


async def calls(
    caller: Softphone, world: World, number: str, folder: Path, refer: int = 202
) -> None:
    """The caller dials."""
    await caller.send(
        commands.Dial(
            call="a",
            to=world.number(number),
            tone=CALLER_TONE,
            record=folder / "a.wav",
            refer=refer,
        )
    )


class TestTheCallersPeerTakesBothOver:
    """REFER with Replaces on the caller's dialog; the consultation is replaced at the agent."""

    async def test_caller_and_agent_talk_without_the_gateway(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await pbx.send(commands.Policy(ring=0.2, tone=AGENT_TONE, record=tmp_path / "p.wav"))
        await calls(caller, world, "672", tmp_path)
        await pbx.expect("heard", sound=WHISPER)
        referred = await caller.expect("refer", "a")
        # The agent's Contact, not the address that was dialled: the very telephone is meant.
        assert referred["to"].startswith(f"<sip:pbx@{PBX}:{world.pbx_port}?Replaces=")
        assert "%3Bto-tag%3D" in referred["to"]
        await pbx.expect("replaced", "in-1")
        await caller.expect("heard", "a-referred", sound=tone_name(AGENT_TONE))
        await pbx.expect("disconnected", "in-1", by="peer")
        record = await api.record()
        (attempt,) = record["attempts"]
        assert (attempt["method"], attempt["outcome"]) == ("attended", "connected")
        assert attempt["taken_over"]
        assert (record["end"], record["disposition"]) == ("transferred", "transferred")
        assert not caller.seen("disconnected", "a-referred")

    async def test_a_trunk_that_declines_leaves_both_here_and_they_are_joined(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await pbx.send(commands.Policy(tone=AGENT_TONE, record=tmp_path / "p.wav"))
        await calls(caller, world, "672", tmp_path, refer=603)
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-End") == "completed"
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["taken_over"]) == ("connected", False)
        steps = [(step["what"], step["code"]) for step in attempt["steps"]]
        assert ("not_taken_over", 603) in steps
        assert [what for what, _ in steps].count("joined") == 1
        assert attempt["talk_ms"] > 0


class TestTheGatewayJoins:
    """`complete: join`."""

    async def test_the_agent_hears_who_is_coming_before_the_caller(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await pbx.send(commands.Policy(tone=AGENT_TONE, record=tmp_path / "p.wav"))
        await calls(caller, world, "673", tmp_path)
        await pbx.expect("heard", sound=WHISPER)
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        assert not caller.seen("refer")
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        assert record["path"] == ["consult", "bye"]
        assert record["attempts"][0]["method"] == "attended"


class TestTheCallerIsBroughtBack:
    """Until the consultation is over."""

    async def test_an_operator_takes_the_transfer_back_during_the_consultation(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await pbx.send(commands.Policy(record=tmp_path / "p.wav"))
        await calls(caller, world, "674", tmp_path)
        await pbx.expect("heard", sound=sound_of("welcome"))
        call = await api.only_call()
        assert (await api.decide(call["id"], "cancel_transfer")).status_code == 202
        await pbx.expect("disconnected", by="peer")
        await caller.expect("heard", "a", sound=sound_of("default"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert attempt["outcome"] == "cancelled"

    async def test_an_operator_takes_the_transfer_back_while_the_trunk_is_asked(
        self, world: World, peer: StartPeer, pbx: Softphone, api: Api
    ) -> None:
        """REFER is accepted and nothing follows; caller and agent are still here."""
        script = Caller("takes its time").dials().is_answered().is_referred("sip:pbx@").accepts()
        script.receives("SUBSCRIBE", {"Expires": "0"}).replies(200, "OK", ("Expires: 0",))
        script.is_hung_up_on()
        there = {"address": CARRIER, "gateway": world.address, "number": "672"}
        async with await peer(script, **there) as trunk:
            call = await api.only_call()
            await trunk.said("SIP/2.0 202")
            assert (await api.decide(call["id"], "cancel_transfer")).status_code == 202
            await pbx.expect("disconnected", by="peer")
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["taken_over"]) == ("cancelled", False)

    async def test_an_agent_who_hangs_up_during_the_consultation_has_declined(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await pbx.send(commands.Policy(record=tmp_path / "p.wav"))
        await calls(caller, world, "672", tmp_path)
        await pbx.expect("heard", sound=WHISPER)
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=sound_of("declined"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["bye_by"]) == ("declined", "target")

    async def test_a_busy_agent_takes_the_fallback(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api, tmp_path: Path
    ) -> None:
        script = Agent("is busy").is_called().refuses(486, "Busy Here")
        async with await peer(script, address=PBX, port=world.pbx_port):
            await calls(caller, world, "672", tmp_path)
            await caller.expect("heard", "a", sound=sound_of("code-486"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert (attempt["method"], attempt["outcome"]) == ("attended", "busy")
