"""A referrer says how long it wants to hear of its REFER (RFC 3515 section 2.4.4, RFC 6665).

caller 127.0.0.2 ──▶ gateway ──▶ agent 127.0.0.3, which refers the caller on to 127.0.0.4
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone_name
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.transfers_in import (
    COLLEAGUE_TONE,
    COLLEAGUE_URI,
    colleague,
    reaches_agent,
    shared_gateway,
)
from tests.e2e.world import CARRIER, PBX, World
from tests.peers.agent import Agent
from tests.peers.caller import Caller

__all__ = ["colleague", "shared_gateway"]


@pytest.fixture(autouse=True)
async def rings(colleague: Softphone) -> None:
    """The colleague does not answer before the test says so."""
    await colleague.send(commands.Policy(answer=None, tone=COLLEAGUE_TONE))


def referrer(name: str) -> Agent:
    """An agent whose REFER is being carried out: the colleague's telephone rings."""
    script = Agent(name).is_called().rings().answers().waits().refers(f"<{COLLEAGUE_URI}>")
    return script.is_notified("100").is_notified("180")


def subscribe(expires: str = "", event: str = "refer") -> tuple[str, ...]:
    """The lines that a SUBSCRIBE has; `expires`: none."""
    return (f"Event: {event}", *([f"Expires: {expires}"] if expires else []))


class TestTheReferrerUnsubscribes:
    """RFC 6665 section 4.1.2.3: 200, one last NOTIFY; the transfer goes on (RFC 3515 2.4.4)."""

    async def test_one_last_notify_and_the_colleague_gets_the_caller(
        self,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        script = referrer("has heard enough").sends("SUBSCRIBE", subscribe("0"))
        script.gets(200, {"Expires": "^ *0", "Contact": "sip:"})
        script.is_notified("180 Ringing", "terminated;reason=timeout")
        script.sends("SUBSCRIBE", subscribe("60")).gets(481)
        async with await peer(script.is_hung_up_on(), address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api, record=tmp_path / "a.wav")
            await sipp.said("SIP/2.0 481")
            await colleague.send(commands.Answer(call="in-1"))
            await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await caller.send(commands.HangUp(call="a"))
        await colleague.expect("disconnected", by="peer")
        record = await api.record()
        referred, _ = record["attempts"]
        assert referred["outcome"] == "connected"
        said = [event["text"] for event in record["timeline"] if event["name"] == "sip.message"]
        ours = {text for text in said if text.startswith(("NOTIFY", "SIP/2.0 202"))}
        assert [text.count("\r\nContact: <sip:switchhook@") for text in ours] == [1] * 4

    async def test_also_after_its_bye(
        self, world: World, peer: StartPeer, caller: Softphone, colleague: Softphone, api: Api
    ) -> None:
        """RFC 5057 section 4.1: the subscription outlives the call."""
        script = referrer("leaves, then unsubscribes").hangs_up()
        script.sends("SUBSCRIBE", subscribe("0")).gets(200, {"Expires": "^ *0"})
        script.is_notified("180 Ringing", "terminated;reason=timeout")
        async with await peer(script, address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api)
            await sipp.said("NOTIFY", 3)
            await colleague.send(commands.Answer(call="in-1"))
            await colleague.expect("confirmed")
        await caller.send(commands.HangUp(call="a"))
        referred, _ = (await api.record())["attempts"]
        assert referred["outcome"] == "connected"


class TestTheReferrerRefreshes:
    """RFC 6665 sections 4.1.2.2 and 4.2.1.3: 200 with how long, and a NOTIFY of how it stands."""

    @pytest.mark.parametrize(
        ("asked", "granted", "left"),
        [("10", "10", "(10|9)"), ("", "60", "(60|59)"), ("7200", "60", "(60|59)")],
        ids=["less than it has", "whatever is usual", "more than there is"],
    )
    async def test_it_is_granted_and_ends_with_the_transfer(
        self,
        asked: str,
        granted: str,
        left: str,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        colleague: Softphone,
        api: Api,
    ) -> None:
        script = referrer(f"asks for {asked}").sends("SUBSCRIBE", subscribe(asked))
        script.gets(200, {"Expires": f"^ *{granted}"})
        script.is_notified("180 Ringing", f"active;expires={left}")
        script.is_notified("200", "terminated;reason=noresource")
        async with await peer(script.hangs_up(), address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api)
            await sipp.said("NOTIFY", 3)
            await colleague.send(commands.Answer(call="in-1"))
            await colleague.expect("confirmed")
        await caller.send(commands.HangUp(call="a"))
        await api.record()

    async def test_a_second_subscription_goes_by_its_id(
        self, world: World, peer: StartPeer, caller: Softphone, colleague: Softphone, api: Api
    ) -> None:
        """RFC 3515 section 2.4.6: the id is the CSeq of its REFER."""
        script = referrer("refers twice")
        script.is_notified("486", "terminated").refers(f"<{COLLEAGUE_URI}>")
        second = {"Event": "refer;id=2"}
        script.is_notified("100", headers=second).is_notified("180", headers=second)
        script.sends("SUBSCRIBE", subscribe("20", "refer;id=1")).gets(481)
        script.sends("SUBSCRIBE", subscribe("20", "refer;id=2")).gets(200)
        script.is_notified("180", "active;expires=(20|19)", second)
        script.is_notified("200", "terminated", second)
        async with await peer(script.hangs_up(), address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api)
            await sipp.said("NOTIFY", 2)
            await colleague.send(commands.Answer(call="in-1", code=486))
            await sipp.said("NOTIFY", 6)
            await colleague.send(commands.Answer(call="in-2"))
            await colleague.expect("confirmed")
        await caller.send(commands.HangUp(call="a"))
        assert len((await api.record())["attempts"]) == 3


class TestWhatIsNoSubscription:
    """Nothing is made by SUBSCRIBE; what goes on is not disturbed."""

    async def test_other_packages_and_ids_while_a_transfer_is_reported(
        self, world: World, peer: StartPeer, caller: Softphone, colleague: Softphone, api: Api
    ) -> None:
        script = referrer("asks for more").sends("SUBSCRIBE", subscribe("60", "dialog"))
        script.gets(489, {"Allow-Events": "refer"})
        script.sends("SUBSCRIBE", subscribe("60", "refer;id=99")).gets(481)
        script.is_notified("200", "terminated").sends("SUBSCRIBE", subscribe("60")).gets(481)
        async with await peer(script.hangs_up(), address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api)
            await sipp.said("SIP/2.0 481")
            await colleague.send(commands.Answer(call="in-1"))
            await colleague.expect("confirmed")
        await caller.send(commands.HangUp(call="a"))
        await api.record()

    async def test_only_a_refer_makes_one(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        """RFC 3515 section 2.4.4: 403."""
        script = Agent("has not referred").is_called().rings().answers()
        script.sends("SUBSCRIBE", subscribe("60")).gets(403).hangs_up()
        async with await peer(script, address=PBX, port=world.pbx_port):
            await caller.send(commands.Dial(call="a", to=world.number("670")))
        await api.record()

    async def test_a_trunk_that_may_not_refer_is_not_served_it(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Caller("may not").dials().is_answered()
        script.sends("SUBSCRIBE", subscribe("60")).gets(405).hangs_up()
        async with await peer(script, address=CARRIER, gateway=world.address, number="671"):
            pass
        await api.record()
