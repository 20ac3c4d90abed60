"""The gateway dials the agent, whose telephone answers as real ones do: message by message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from tests.e2e.conftest import StartPeer
from tests.e2e.handing_over import flow, steps
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import CARRIER, PBX, World
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.caller import Caller
from tests.peers.script import SDP

RING = 1.0
"""Seconds that an agent may ring where a test waits for that."""

LONG = 20.0
"""Where it answers, be the machine as busy as it may."""

FLOWS = {"620": flow("ringing", timeout=LONG), "621": flow("ringing_out", timeout=RING)}


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for this file."""
    moved = f"sip:moved@{PBX}:{network.free_port(PBX)}"
    targets = {"moved": {"kind": "internal", "destination": moved}}
    folder = tmp_path_factory.mktemp("peers")
    yield from served(World.answering(folder, FLOWS, targets=targets))


async def attempt_when(
    agent: Agent,
    world: World,
    peer: StartPeer,
    caller: Softphone,
    api: Api,
    *,
    number: str = "620",
) -> dict[str, Any]:
    """The one attempt of a call whose agent follows this script to its end."""
    async with await peer(agent, address=PBX, port=world.pbx_port):
        await caller.send(commands.Dial(call="a", to=world.number(number)))
        await caller.expect("disconnected", "a", by="peer")
    return await api.attempt()


class TestAnAnswerCrossesTheCancel:
    """RFC 3261 section 9.1: a CANCEL says nothing to a call that has been answered."""

    async def test_a_200_after_it_gets_ack_and_bye(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent("answers into the CANCEL").is_called().rings()
        agent.receives("CANCEL").replies(200, "OK")
        agent.answers_late().receives("ACK").is_hung_up_on()
        attempt = await attempt_when(agent, world, peer, caller, api, number="621")
        assert (attempt["outcome"], attempt["timer"]) == ("no_answer", "ring")

    async def test_without_a_provisional_response_the_cancel_waits_for_one(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent("rings late").is_called().talks(RING + 0.7).rings().is_cancelled()
        attempt = await attempt_when(agent, world, peer, caller, api, number="621")
        assert attempt["outcome"] == "no_answer"

    async def test_a_cancel_that_waits_is_a_bye_where_the_answer_comes_first(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent("answers late").is_called().talks(RING + 0.7)
        agent.answers_late().receives("ACK").is_hung_up_on()
        attempt = await attempt_when(agent, world, peer, caller, api, number="621")
        assert attempt["outcome"] == "no_answer"

    async def test_one_without_a_487_is_not_waited_for(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent("sends no 487").is_called().rings().receives("CANCEL").replies(200, "OK")
        attempt = await attempt_when(agent, world, peer, caller, api, number="621")
        assert attempt["outcome"] == "no_answer"


class TestTheCallerHangsUp:
    """RFC 3261 section 9.1: the agent stops ringing at once."""

    @pytest.mark.parametrize(
        ("moment", "message"),
        [
            ("before a response", "INVITE"),
            ("ringing", "SIP/2.0 180"),
            ("early media", "SIP/2.0 183"),
        ],
    )
    async def test_the_agent_gets_a_cancel(
        self, moment: str, message: str, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent(f"is given up: {moment}").is_called()
        match moment:
            case "ringing":
                agent.rings()
            case "early media":
                agent.progresses()
            case _:
                agent.talks(0.6).rings()
        agent.is_cancelled()
        called = await peer(agent, address=PBX, port=world.pbx_port)
        script = Caller("gives up").dials().is_answered().waits().hangs_up()
        where = {"address": CARRIER, "gateway": world.address, "number": "620"}
        async with called, await peer(script, **where) as sipp:
            await called.said(message)
            sipp.go_on()
        record = await api.record()
        assert record["disposition"] == "abandoned"
        assert record["attempts"][0]["outcome"] == "abandoned"

    async def test_or_a_bye_where_its_answer_crosses_that(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        agent = Agent("answers too late").is_called().rings().receives("CANCEL")
        agent.replies(200, "OK").answers_late().receives("ACK").is_hung_up_on()
        script = Caller("gives up").dials().is_answered().waits().hangs_up()
        where = {"address": CARRIER, "gateway": world.address, "number": "620"}
        called = await peer(agent, address=PBX, port=world.pbx_port)
        async with called, await peer(script, **where) as sipp:
            await called.said("SIP/2.0 180")
            sipp.go_on()
        assert (await api.record())["attempts"][0]["outcome"] == "abandoned"


class TestTheInviteForks:
    """RFC 3261 section 13.2.2.4: the first 2xx is the call, others are ended."""

    async def test_the_second_answer_gets_ack_and_bye(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent("forks").is_called().rings().answers()
        agent.answers_late(tag="second")
        agent.receives("ACK", {"To": "tag=[0-9]+a[0-9]+second"})
        agent.is_hung_up_on({"To": "tag=[0-9]+a[0-9]+second"})
        agent.hangs_up()
        attempt = await attempt_when(agent, world, peer, caller, api)
        assert (attempt["outcome"], attempt["bye_by"]) == ("connected", "target")


class TestAnAnswerIsIncomplete:
    """RFC 3264 section 5, RFC 3261 section 12.1.1."""

    async def test_without_sdp_there_is_nobody_to_hear(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent("answers without SDP").is_called().rings()
        agent.answers_late(sdp="").receives("ACK").is_hung_up_on()
        attempt = await attempt_when(agent, world, peer, caller, api)
        assert attempt["outcome"] == "media_incompatible"
        assert attempt["talk_ms"] == 0

    async def test_without_a_codec_of_ours_too(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        foreign = SDP.replace("RTP/AVP 0 8 101", "RTP/AVP 18").replace("0 PCMU", "18 G729")
        agent = Agent("answers with G.729").is_called().rings()
        agent.answers_late(sdp=foreign).receives("ACK").is_hung_up_on()
        attempt = await attempt_when(agent, world, peer, caller, api)
        assert attempt["outcome"] == "media_incompatible"


class TestReliableProvisionals:
    """RFC 3262: a peer that requires 100rel gets PRACK."""

    async def test_the_agents_180_is_acknowledged(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent("rings reliably").is_called({"Supported": "100rel"}).rings_reliably()
        agent.answers().talks(0.3).hangs_up()
        attempt = await attempt_when(agent, world, peer, caller, api)
        assert attempt["outcome"] == "connected"


class TestSessionTimers:
    """RFC 4028."""

    async def test_422_is_met_with_the_interval_asked_for(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        """Section 7.4."""
        agent = Agent("wants long sessions").is_called()
        agent.refuses(422, "Session Interval Too Small", ("Min-SE: 3600",))
        agent.is_called({"Min-SE": "3600", "Session-Expires": "3600"}).rings()
        agent.answers().talks(0.3).hangs_up()
        attempt = await attempt_when(agent, world, peer, caller, api)
        assert attempt["outcome"] == "connected"

    async def test_a_refresh_by_update_is_answered(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        """Section 7.4; RFC 3311."""
        agent = Agent("refreshes").is_called({"Supported": "timer"}).rings().answers()
        agent.sends("UPDATE", ("Session-Expires: 90;refresher=uac", "Supported: timer")).gets(200)
        agent.talks(0.3).hangs_up()
        attempt = await attempt_when(agent, world, peer, caller, api)
        assert attempt["outcome"] == "connected"


class TestRedirection:
    """RFC 3261 section 8.1.3.4: Contacts are followed where our rules allow them."""

    async def test_an_allowed_contact_is_dialled(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        moved = world.settings["targets"]["moved"]["destination"]
        agent = Agent("has moved").is_called()
        contacts = f"Contact: <{moved}>;q=0.5, <sip:x@127.0.0.9>;q=0.9"
        agent.refuses(302, "Moved", (contacts,))
        other = Agent("is there").is_called().rings().answers().talks(0.3).hangs_up()
        async with await peer(other, address=PBX, port=int(moved.rpartition(":")[2])):
            attempt = await attempt_when(agent, world, peer, caller, api)
        assert attempt["outcome"] == "connected"
        told = [step for step in steps(attempt) if step in ("redirected", "invite_blocked")]
        assert told == ["redirected", "invite_blocked", "redirected"]

    async def test_a_contact_that_is_busy_is_the_end(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        moved = world.settings["targets"]["moved"]["destination"]
        agent = Agent("has moved too").is_called()
        agent.refuses(302, "Moved", (f"Contact: <{moved}>",))
        other = Agent("is busy there").is_called().refuses(486, "Busy Here")
        async with await peer(other, address=PBX, port=int(moved.rpartition(":")[2])):
            attempt = await attempt_when(agent, world, peer, caller, api)
        assert (attempt["outcome"], attempt["code"]) == ("busy", 486)


class TestACancelIsNeverAnswered:
    """RFC 3261 section 9.1. The last test here: for 32 s it is repeated to whoever listens."""

    async def test_a_200_before_its_answer_too(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent("answers before it sees the CANCEL").is_called().rings().receives("CANCEL")
        agent.answers_late().receives("ACK").is_hung_up_on()
        attempt = await attempt_when(agent, world, peer, caller, api, number="621")
        assert attempt["outcome"] == "no_answer"
