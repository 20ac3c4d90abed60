"""What travels with a call that is handed over: by BYE, REFER and INVITE, as each trunk asks for.

RFC 7433 for User-to-User, RFC 3892 for Referred-By, RFC 3325 and RFC 3323 for the caller's
identity, RFC 5806 and RFC 7044 for the way that the call has come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import CARRIER, PBX, World, prompt, transfer_node
from tests.peers.agent import Agent
from tests.peers.caller import Caller

PACKET = {
    "priority": "high",
    "skills": ["billing", "refunds"],
    "tags": ["refund", "{{ variables.product | default('phone') }}"],
    "information": {"order": "{{ headers['x-order'] }}", "caller": "{{ call.caller }}"},
    "attributes": {"accountId": "77"},
}

FLOWS: tuple[dict[str, Any], ...] = (
    {
        "flow": "told_by_bye",
        "start": "back",
        "nodes": {"back": transfer_node(target="outside", method="bye", context=PACKET)},
    },
    {
        "flow": "told_by_refer",
        "start": "refer",
        "nodes": {"refer": transfer_node(target="outside", method="refer", context=PACKET)},
    },
    {
        "flow": "told_by_invite",
        "start": "sales",
        "nodes": {
            "sales": transfer_node(
                target="sales", context={**PACKET, "summary": "word " * 150}, timeout=20
            )
        },
    },
    {
        "flow": "said_by_the_caller",
        "start": "back",
        "nodes": {
            "back": transfer_node(
                target="outside",
                method="bye",
                headers={"X-Said": "{{ variables.said }}", "X-Kept": "{{ variables.said | hex }}"},
                context={"information": {"nobody": "{{ variables.nobody }}"}},
            )
        },
    },
    {
        "flow": "bot_said",
        "start": "talk",
        "nodes": {
            "talk": {
                "type": "bot",
                "bot": "assistant",
                "transfer": {"default": "over"},
                "error": "bye",
            },
            "over": transfer_node(
                target="outside", method="bye", headers={"X-Said": "{{ variables.said }}"}
            ),
            "bye": {"type": "hangup", "prompt": prompt("bot-failed")},
        },
    },
    {
        "flow": "bot_tells",
        "transfer_node": "over",
        "start": "talk",
        "nodes": {
            "talk": {
                "type": "bot",
                "bot": "assistant",
                "transfer": {"default": "over"},
                "error": "bye",
            },
            "over": transfer_node(target="outside", method="bye"),
            "bye": {"type": "hangup", "prompt": prompt("bot-failed")},
        },
    },
)

SETTINGS: dict[str, Any] = {
    "trunks": {
        "carrier": {
            "variables": {"X-Said": "said"},
            "identity": {"trusted": True},
        },
        "pbx": {
            "context": {
                "headers": {"tags": "x-PBX-tags", "information": "X-PBX-*"},
                "user_to_user": {"purpose": "isdn-uui", "protocol_discriminator": 4},
                "max_octets": 300,
            },
            "identity": {
                "trusted": True,
                "asserted": "caller",
                "redirection": "both",
                "reason": "deflection",
                "referred_by": ["invite"],
            },
        },
        "public": {
            "sources": ["127.0.0.4/32"],
            "proxy": "sip:127.0.0.3:1",  # set to the PBX's port below
            "identity": {"asserted": "caller"},
        },
    },
}


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose trunks want to be told in ways of their own."""
    world = World(
        tmp_path_factory.mktemp("context"),
        flows=(
            *FLOWS,
            {
                "flow": "told_outside",
                "start": "sales",
                "nodes": {"sales": transfer_node(target="stranger", timeout=20)},
            },
        ),
        numbers={
            "630": "told_by_bye",
            "631": "told_by_refer",
            "632": "told_by_invite",
            "633": "said_by_the_caller",
            "634": "bot_tells",
            "635": "told_outside",
            "636": "bot_said",
        },
    )
    public = f"sip:sales@{PBX}:{world.pbx_port}"
    SETTINGS["trunks"]["public"]["proxy"] = f"sip:{PBX}:{world.pbx_port}"
    world.settings.update(SETTINGS)
    world.settings["targets"] = {
        "stranger": {"kind": "internal", "destination": public, "trunk": "public"}
    }
    yield from served(world)


HEX = "hex$"
"""Every User-to-User here says how it is written."""


def octets(pairs: str) -> str:
    """The beginning of a User-to-User value."""
    return f"^ *{pairs.encode().hex()}"


class TestEachMethod:
    async def test_bye(self, world: World, peer: StartPeer, api: Api) -> None:
        script = Caller("is told by BYE").dials(("X-Order: 4711",)).is_answered()
        script.is_hung_up_on(
            {
                "X-Priority": "^ *high",
                "X-Tags": "^ *refund, phone",
                "X-Info-order": "^ *4711",
                "X-accountId": "^ *77",
                "User-to-User": octets("priority=high;skills=billing,refunds;tags=refund,phone"),
            }
        )
        async with await peer(script, address=CARRIER, gateway=world.address, number="630"):
            pass
        record = await api.record()
        (attempt,) = record["attempts"]
        assert attempt["tags"] == ["refund", "phone"]
        assert attempt["dropped"] == []

    async def test_refer(self, world: World, peer: StartPeer, api: Api) -> None:
        script = Caller("is told by REFER").dials(("X-Order: 4711",)).is_answered()
        script.is_referred(
            "sip:", {"Referred-By": "<sip:", "X-Info-order": "4711", "User-to-User": HEX}
        )
        script.replies(603, "Decline").is_hung_up_on()
        async with await peer(script, address=CARRIER, gateway=world.address, number="631"):
            pass
        record = await api.record()
        assert record["attempts"][0]["tags"] == ["refund", "phone"]

    async def test_invite_over_a_trunk_with_little_room(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        agent = Agent("is told little").is_called(
            {
                "x-PBX-tags": "^ *refund, phone",
                "User-to-User": "^ *0470.*;purpose=isdn-uui;encoding=hex",
            }
        )
        agent.refuses(486, "Busy Here")
        script = Caller("hears busy").dials(("X-Order: 4711",)).is_answered().is_hung_up_on()
        where = {"address": PBX, "port": world.pbx_port}
        async with (
            await peer(agent, **where),
            await peer(script, address=CARRIER, gateway=world.address, number="632"),
        ):
            pass
        attempt = await api.attempt()
        dropped = [each["field"] for each in attempt["dropped"]]
        assert dropped[:4] == [
            "summary",
            "attributes.accountId",
            "information.caller",
            "information.order",
        ]
        assert "over 300 octets in all" in {each["reason"] for each in attempt["dropped"]}


class TestWhatCannotTravel:
    """CR, LF and NUL in a value would write headers of their own (RFC 3261 section 7.3.1)."""

    async def test_a_bots_packet_is_refused_with_the_field_named(
        self, world: World, caller: Softphone, bot: ScriptedBot
    ) -> None:
        await caller.send(commands.Dial(call="a", to=world.number("634")))
        talk = await bot.conversation()
        bad = {"information": {"order": "47\r\nX-Injected: 11"}}
        await talk.send("transfer", target="outside", context=bad)
        error = await talk.expect("error", field="context.information.order")
        assert "must not carry CR, LF, NUL" in error["message"]
        await talk.send("transfer", target="outside", context={"tags": ["a", "b\x00"]})
        await talk.expect("error", field="context.tags.1")
        await talk.send("transfer", context={"tags": ["fine"], "attributes": {"Case": "9"}})
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-Case") == "9"
        assert bye.headers.get("X-Tags") == "fine"

    async def test_so_is_the_apis(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        await caller.send(commands.Dial(call="a", to=world.number("634")))
        await bot.conversation()
        call = (await api.only_call())["id"]
        bad = {"summary": "one\ntwo"}
        refused = await api.decide(call, "transfer", target="sales", context=bad)
        assert refused.status_code == 422
        (problem,) = refused.json()["errors"]
        assert problem["field"] == "body.context.summary"
        await api.decide(call, "hangup")
        await caller.expect("disconnected", "a", by="peer")

    async def test_what_a_bot_has_set_costs_its_header_and_not_the_call(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        await caller.send(commands.Dial(call="a", to=world.number("636")))
        talk = await bot.conversation()
        await talk.send("set", variables={"said": "a\r\nX-Injected: 1"})
        await talk.send("transfer")
        bye = await caller.expect("disconnected", "a", by="peer")
        assert "X-Injected" not in bye.headers
        assert "X-Said" not in bye.headers
        attempt = await api.attempt()
        assert attempt["outcome"] == "connected"
        assert [each["field"] for each in attempt["dropped"]] == ["headers.X-Said"]

    async def test_what_is_not_known_is_left_out_and_told(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Caller("says something").dials(("X-Said: Hi",)).is_answered()
        script.is_hung_up_on({"X-Said": "^ *Hi", "X-Kept": "^ *4869"})
        async with await peer(script, address=CARRIER, gateway=world.address, number="633"):
            pass
        attempt = await api.attempt()
        (lost,) = attempt["dropped"]
        assert lost["field"] == "information.nobody"
        assert "no attribute 'nobody'" in lost["reason"]


ASSERTED = 'P-Asserted-Identity: "Ada" <sip:+49301111@carrier.example>'


class TestWhoCalls:
    """RFC 3325: asserted identities stay inside the trust domain."""

    async def hears(
        self, world: World, peer: StartPeer, number: str, headers: tuple[str, ...], agent: Agent
    ) -> str:
        """The INVITE that the agent got when the carrier's call came with these headers."""
        agent.refuses(486, "Busy Here")
        script = Caller("calls").dials(headers).is_answered().is_hung_up_on()
        called = await peer(agent, address=PBX, port=world.pbx_port)
        async with (
            called,
            await peer(script, address=CARRIER, gateway=world.address, number=number),
        ):
            pass
        return "\n".join(called.messages())

    async def test_a_trusted_trunk_is_told_who_calls(self, world: World, peer: StartPeer) -> None:
        agent = Agent("is told").is_called(
            {"P-Asserted-Identity": "<sip:[+]49301111@carrier.example>", "Referred-By": "sip:632@"}
        )
        invite = await self.hears(world, peer, "632", (ASSERTED,), agent)
        assert "Privacy:" not in invite

    async def test_a_caller_who_wants_privacy_is_named_inside_the_trust_domain_only(
        self, world: World, peer: StartPeer
    ) -> None:
        private = (ASSERTED, "Privacy: id")
        agent = Agent("may know").is_called(
            {
                "P-Asserted-Identity": "[+]49301111",
                "Privacy": "id",
                "From": "anonymous@anonymous.invalid",
            }
        )
        await self.hears(world, peer, "632", private, agent)
        agent = Agent("may not know").is_called({"From": "anonymous@anonymous.invalid"})
        invite = await self.hears(world, peer, "635", private, agent)
        assert "49301111" not in invite
        assert "+493055501" not in invite

    async def test_a_stranger_is_told_of_callers_who_do_not_mind(
        self, world: World, peer: StartPeer
    ) -> None:
        agent = Agent("is told").is_called({"P-Asserted-Identity": "[+]49301111"})
        await self.hears(world, peer, "635", (ASSERTED,), agent)

    async def test_the_way_that_the_call_has_come(self, world: World, peer: StartPeer) -> None:
        came = (
            "Diversion: <sip:+4930999@carrier.example>;reason=no-answer;counter=1",
            "History-Info: <sip:+4930999@carrier.example>;index=1, <sip:632@gw>;index=1.2;mp=1",
        )
        agent = Agent("reads the way").is_called(
            {
                "Diversion": "^ *<sip:632@.*>;reason=deflection;counter=1, <sip:[+]4930999@",
                "History-Info": "index=1, <sip:632@gw>;index=1.2;mp=1, "
                "<sip:sales@.*;cause=480>;index=1.2.1;mp=1.2",
            }
        )
        await self.hears(world, peer, "632", came, agent)
