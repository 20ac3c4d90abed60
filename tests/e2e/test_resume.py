"""A call that leaves with a hand-back token, and the IVR that brings it back.

carrier 127.0.0.2 ──▶ gateway ── BYE with token ──▶ carrier … ivr 127.0.0.5 ── INVITE with token ──▶
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartPeer, StartPhone
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import CARRIER, PBX, World, prompt, sound_of, transfer_node
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.caller import Caller

IVR = "127.0.0.5"

TOKEN = "X-Switchhook-Resume"

TALK = {"type": "bot", "bot": "assistant", "transfer": {"default": "back"}, "error": "goodbye"}
GOODBYE = {"type": "hangup", "prompt": prompt("goodbye")}

FLOWS: tuple[dict[str, Any], ...] = (
    {
        "flow": "leaves",
        "start": "welcome",
        "nodes": {
            "welcome": {"type": "play", "prompt": prompt("welcome"), "next": "talk"},
            "talk": TALK,
            "back": transfer_node(
                target="outside",
                method="bye",
                next="after",
                context={"tags": ["menu", "{{ variables.name }}"]},
            ),
            "after": {
                "type": "lookup",
                "on": "handover.status",
                "cases": {"completed": "said"},
                "default": "talk",
            },
            "said": {"type": "play", "prompt": prompt("accepted"), "next": "talk"},
            "goodbye": GOODBYE,
        },
    },
    {
        "flow": "leaves_at_once",
        "start": "back",
        "nodes": {
            "back": transfer_node(target="outside", method="bye", resume="goodbye"),
            "goodbye": GOODBYE,
        },
    },
    {
        "flow": "is_referred",
        "start": "refer",
        "nodes": {
            "refer": transfer_node(target="outside", method="refer", resume="goodbye"),
            "goodbye": GOODBYE,
        },
    },
    {
        "flow": "is_joined",
        "start": "invite",
        "nodes": {
            "invite": transfer_node(target="sales", resume="goodbye", timeout=20),
            "goodbye": GOODBYE,
        },
    },
    {
        "flow": "afresh",
        "start": "hello",
        "nodes": {"hello": {"type": "hangup", "prompt": prompt("default")}},
    },
)


def world_of(folder: Path, **hand_back: Any) -> World:
    """A carrier that is given tokens, and an IVR that may bring them back."""
    return World(
        folder,
        settings={
            "trunks": {
                "carrier": {"hand_back": {"trunks": ["ivr"], **hand_back}},
                "ivr": {
                    "sources": [f"{IVR}/32"],
                    "variables": {"X-Account": "account", "X-Var-*": "*"},
                    "routes": [{"flow": "afresh"}],
                },
            },
        },
        flows=FLOWS,
        numbers={
            "630": "leaves",
            "631": "leaves_at_once",
            "632": "is_referred",
            "633": "is_joined",
        },
    )


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway of this file's own."""
    world = world_of(tmp_path_factory.mktemp("resume"))
    yield from served(world)


async def handed_back(world: World, caller: Softphone, call: str) -> dict[str, str]:
    """The headers of the BYE of a call that leaves at once."""
    await caller.send(commands.Dial(call=call, to=world.number("631")))
    bye = await caller.expect("disconnected", call, by="peer")
    return dict(bye.headers)


async def event(api: Api, name: str) -> dict[str, Any]:
    """The one event of this name in the newest record, once that is stored."""
    found: list[dict[str, Any]] = []

    async def stored() -> bool:
        for newest in (await api.ended())[:1]:
            detail = (await api.get(f"/v1/calls/{newest['id']}")).json()
            events = [each for each in detail["timeline"] if each["name"] == name]
            found[:] = [{**each, "record": detail["call"]} for each in events]
        return bool(found)

    await network.until(stored, f"the newest record has {name}")
    (only,) = found
    return only


async def comes_back(
    world: World, peer: StartPeer, *headers: str, address: str = IVR, refused: int = 0
) -> None:
    """The IVR dials with these headers and hears its call to the end."""
    script = Caller("brings it back").dials(headers)
    if refused:
        script.is_refused(refused)
    else:
        script.is_answered().is_hung_up_on()
    async with await peer(script, address=address, gateway=world.address, number="any"):
        pass


class TestTheFlowGoesOn:
    async def test_below_the_node_with_what_both_sides_know(
        self,
        world: World,
        caller: Softphone,
        start_phone: StartPhone,
        bot: ScriptedBot,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await caller.send(commands.Dial(call="a", to=world.number("630")))
        talk = await bot.conversation()
        await talk.send("set", variables={"name": "Ada", "account": "none yet"})
        await talk.send("transfer")
        bye = await caller.expect("disconnected", "a", by="peer")
        first = await api.record()
        assert (first["disposition"], first["tags"]) == ("handed_back", ["menu", "Ada"])
        token = dict(bye.headers)[TOKEN]

        ivr = await start_phone(IVR, network.free_port(IVR), name="ivr")
        brought = {TOKEN: token, "X-Account": "4711", "X-Var-Mood": "fine"}
        wav = tmp_path / "b.wav"
        await ivr.send(commands.Dial(call="b", to=world.number("any"), headers=brought, record=wav))
        await ivr.expect("heard", "b", sound=sound_of("accepted"))
        again = await bot.conversation()
        assert again.start["flow"] == {"name": "leaves", "node": "talk"}
        assert again.start["variables"] == {"name": "Ada", "account": "4711", "mood": "fine"}
        assert again.start["handover"]["status"] == "completed"
        assert TOKEN not in again.start["sip"]["headers"]
        live = await api.only_call()
        assert (live["flow"], live["resumed_from"]) == ("leaves", first["id"])
        shown = (await api.get(f"/v1/calls/{first['id']}")).json()["call"]
        assert shown["resumed_by"] == [live["id"]]
        await again.send("hangup")
        await ivr.expect("disconnected", "b", by="peer")

        resumed = await event(api, "call.resumed")
        assert (resumed["call"], resumed["node"]) == (first["id"], "after")
        second = resumed["record"]
        assert second["path"] == ["after", "said", "talk"]
        assert (second["resumed_from"], second["disposition"]) == (first["id"], "contained")
        shown = (await api.get(f"/v1/calls/{first['id']}")).json()["call"]
        assert shown["resumed_by"] == [second["id"]]
        assert (await api.metrics())['switchhook_resumes_total{result="resumed"}'] >= 1

    async def test_as_the_ivr_says(
        self, world: World, peer: StartPeer, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        await caller.send(commands.Dial(call="a", to=world.number("630")))
        await (await bot.conversation()).send("transfer")
        bye = await caller.expect("disconnected", "a", by="peer")
        headers = (f"{TOKEN}: {bye.headers[TOKEN]}", "X-Switchhook-Status: busy")
        script = Caller("says busy").dials(headers).is_answered().is_hung_up_on()
        async with await peer(script, address=IVR, gateway=world.address, number="any"):
            again = await bot.conversation()
            assert again.start["handover"]["status"] == "error"
            assert again.start["handover"]["outcome"] == "busy"
            await again.send("hangup")

    async def test_with_nothing_but_user_to_user(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        """RFC 7433: a network that drops unknown headers may still carry this one."""
        bye = await handed_back(world, caller, "a")
        await comes_back(world, peer, f"User-to-User: {bye['User-to-User']}")
        assert (await event(api, "call.resumed"))["record"]["path"] == ["goodbye"]

    async def test_after_a_refer(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api, tmp_path: Path
    ) -> None:
        script = Caller("is referred").dials().is_answered()
        script.is_referred("sip:", {TOKEN: "^ *[-_A-Za-z0-9]+"}).accepts()
        script.notifies("SIP/2.0 200 OK", "terminated;reason=noresource").is_hung_up_on()
        sipp = await peer(script, address=CARRIER, gateway=world.address, number="632")
        async with sipp:
            pass
        await comes_back(world, peer, f"{TOKEN}: {said(sipp.messages())}")
        assert (await event(api, "call.resumed"))["record"]["path"] == ["goodbye"]

    async def test_after_an_invite(
        self, world: World, peer: StartPeer, start_phone: StartPhone, api: Api
    ) -> None:
        """The agent's side has taken the caller's number, and its IVR brings the call back."""
        agent = Agent("has the token").is_called({TOKEN: "^ *[-_A-Za-z0-9]+"}).rings().answers()
        agent.talks(0.2).sends("BYE").gets(200)
        script = Caller("is joined").dials().is_answered().is_hung_up_on()
        called = await peer(agent, address=PBX, port=world.pbx_port)
        async with called, await peer(script, address=CARRIER, gateway=world.address, number="633"):
            pass
        await comes_back(world, peer, f"{TOKEN}: {said(called.messages())}", address=PBX)
        assert (await event(api, "call.resumed"))["record"]["path"] == ["goodbye"]

    async def test_after_the_gateway_was_restarted(
        self, tmp_path: Path, start_phone: StartPhone, peer: StartPeer
    ) -> None:
        world = world_of(tmp_path / "restarted")
        world.write()
        process = GatewayProcess(world)
        process.start()
        try:
            caller = await start_phone(CARRIER, world.carrier_port, name="caller")
            bye = await handed_back(world, caller, "a")
            assert process.stop() == 0
            process.start()
            await comes_back(world, peer, f"{TOKEN}: {bye[TOKEN]}")
            async with Api.of(world) as api:
                assert (await event(api, "call.resumed"))["node"] == "goodbye"
        finally:
            process.stop()


class TestATokenThatIsNotGood:
    """The call goes where its trunk's routes lead, and the reason is on record."""

    async def test_one_that_was_used(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        token = (await handed_back(world, caller, "a"))[TOKEN]
        await comes_back(world, peer, f"{TOKEN}: {token}")
        await comes_back(world, peer, f"{TOKEN}: {token}")
        refused = await event(api, "resume.refused")
        assert refused["reason"] == "used"
        assert refused["record"]["flow"] == "afresh"
        assert refused["record"]["path"] == ["hello"]
        assert (await api.metrics())['switchhook_resumes_total{result="used"}'] == 1

    async def test_one_that_nobody_gave_out(self, world: World, peer: StartPeer, api: Api) -> None:
        await comes_back(world, peer, f"{TOKEN}: AAAAAAAAAAAAAAAAAAAAAA")
        assert (await event(api, "resume.refused"))["reason"] == "unknown"

    async def test_one_that_was_given_to_another_trunk(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        """Without a route of its own the call is refused as ever, and the thief has used up
        nothing."""
        token = (await handed_back(world, caller, "a"))[TOKEN]
        await comes_back(world, peer, f"{TOKEN}: {token}", address=PBX, refused=404)
        refused = await event(api, "resume.refused")
        assert refused["reason"] == "foreign_trunk"
        assert refused["record"]["message"] == "no route for any"
        await comes_back(world, peer, f"{TOKEN}: {token}")
        assert (await event(api, "call.resumed"))["node"] == "goodbye"

    async def test_one_that_has_expired(
        self, tmp_path: Path, start_phone: StartPhone, peer: StartPeer
    ) -> None:
        world = world_of(tmp_path / "expires", expires=1, uses=100)
        world.write()
        process = GatewayProcess(world)
        process.start()
        try:
            caller = await start_phone(CARRIER, world.carrier_port, name="caller")
            token = (await handed_back(world, caller, "a"))[TOKEN]
            async with Api.of(world) as api:

                async def expired() -> bool:
                    await comes_back(world, peer, f"{TOKEN}: {token}")
                    metrics = await api.metrics()
                    return bool(metrics.get('switchhook_resumes_total{result="expired"}'))

                await network.until(expired, "the token has expired")
                assert (await event(api, "resume.refused"))["reason"] == "expired"
        finally:
            process.stop()


def said(messages: list[str]) -> str:
    """The token in the messages that a peer was sent."""
    lines = (line for message in messages for line in message.splitlines())
    (line,) = {line for line in lines if line.startswith(f"{TOKEN}: ")}
    return line.removeprefix(f"{TOKEN}: ")
