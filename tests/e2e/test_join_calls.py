"""A desk telephone joins two calls that both run through the gateway (RFC 5589 section 7).

caller 127.0.0.2 ──▶ gateway ──▶ agent 127.0.0.3, whose telephone calls the gateway a second time
                     gateway ──▶ colleague 127.0.0.4, whom the agent asks; then: REFER with Replaces
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import soundfile

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import analyse, tone_name
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartPeer, StartPhone
from tests.e2e.process import Api
from tests.e2e.transfers_in import (
    BRANCH,
    COLLEAGUE_TONE,
    colleague,
    dialog,
    reaches_agent,
    shared_gateway,
)
from tests.e2e.world import AGENT_TONE, CALLER_TONE, CARRIER, PBX, World
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.caller import Caller

__all__ = ["colleague", "shared_gateway"]


@pytest.fixture
async def agent(pbx: Softphone, caller: Softphone, world: World, tmp_path: Path) -> Softphone:
    """Its telephone, in a call with a caller that it has put on hold."""
    await pbx.send(commands.Policy(tone=AGENT_TONE))
    record = tmp_path / "caller.wav"
    dial = commands.Dial(call="a", to=world.number("670"), tone=CALLER_TONE, record=record)
    await caller.send(dial)
    await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
    await pbx.send(commands.Hold(call="in-1"))
    await caller.expect("heard", "a", sound="sound")
    return pbx


async def asks(agent: Softphone, number: str, world: World, tmp_path: Path) -> None:
    """The agent's second call, `b`."""
    record = tmp_path / "agent.wav"
    await agent.send(
        commands.Dial(call="b", to=world.number(number), tone=AGENT_TONE, record=record)
    )
    await agent.expect("confirmed", "b")


async def consults(agent: Softphone, number: str, world: World, tmp_path: Path) -> None:
    """The same, and the colleague is there."""
    await asks(agent, number, world, tmp_path)
    await agent.expect("heard", "b", sound=tone_name(COLLEAGUE_TONE))


async def records(api: Api, *numbers: str) -> list[dict[str, Any]]:
    """Those of the last calls to these numbers, with their timelines."""
    found: dict[str, Any] = {}

    async def stored() -> bool:
        for call in await api.ended():
            if call["id"] not in api.earlier:
                found[call["number"]] = call["id"]
        return set(numbers) <= found.keys()

    await network.until(stored, f"records of {numbers}")
    details = [(await api.get(f"/v1/calls/{found[number]}")).json() for number in numbers]
    return [{**detail["call"], "timeline": detail["timeline"]} for detail in details]


def named(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The events of this name."""
    return [event for event in record["timeline"] if event["name"] == name]


class TestAnAgentJoinsACallerWithAColleague:
    """Whom the agent talks to in its second call takes the agent's place in the first."""

    async def test_the_colleague_goes_on_with_the_caller(
        self,
        world: World,
        caller: Softphone,
        agent: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await consults(agent, "672", world, tmp_path)
        await agent.send(commands.Join(call="in-1", other="b"))
        await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await colleague.expect("heard", sound=tone_name(CALLER_TONE))
        await agent.expect("notify", "in-1", sipfrag="SIP/2.0 200 OK")
        await agent.expect("disconnected", "b", by="peer")
        await agent.expect("disconnected", "in-1", by="peer")
        assert not colleague.seen("disconnected")
        (live,) = await api.live()
        assert live["number"] == "670"
        await colleague.send(commands.HangUp(call="in-1"))
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-End") == "completed"
        first, second = await records(api, "670", "672")

        joined, reached = first["attempts"]
        assert (joined["id"], joined["method"], joined["target"]) == ("r1", "attended", "colleague")
        assert (joined["outcome"], joined["referred_by"]) == ("connected", "agent-1")
        assert (reached["target"], reached["bye_by"]) == ("sales", "target")
        (came,) = named(first, "leg.came")
        assert (came["leg"], came["call"], came["was"]) == ("agent-2", second["id"], "agent-1")
        (moved,) = named(first, "leg.replaced")
        assert (moved["leg"], moved["by"]) == ("agent-1", "agent-2")
        assert [event["leg"] for event in named(first, "leg.ended")] == [
            "agent-1",
            "agent-2",
            "caller",
        ]
        (refer,) = named(first, "refer.received")
        invites = {
            event["text"]: event
            for event in named(first, "sip.message")
            if event["direction"] == "sent" and event["text"].startswith("INVITE")
        }
        assert [each["offset_ms"] < refer["offset_ms"] for each in invites.values()] == [True]
        assert first["disposition"] == "transferred"

        assert (second["end"], second["disposition"]) == ("joined", "transferred")
        (went,) = named(second, "leg.went")
        assert (went["leg"], went["call"], went["there"]) == ("agent-1", first["id"], "agent-2")
        assert second["path"] == ["to_colleague"]

    async def test_the_callers_recording_goes_on(
        self,
        world: World,
        caller: Softphone,
        agent: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """Left the caller, right whoever talks with it; the joined legs are mixed for that."""
        (live,) = await api.live()
        assert (await api.decide(live["id"], "recording", action="start")).status_code == 202
        await agent.send(commands.Resume(call="in-1"))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await agent.send(commands.Hold(call="in-1"))
        await consults(agent, "672", world, tmp_path)
        await agent.send(commands.Join(call="in-1", other="b"))
        await agent.expect("disconnected", "in-1", by="peer")
        await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await colleague.send(commands.Tone(call="in-1", hertz=AGENT_TONE))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await caller.send(commands.HangUp(call="a"))
        first, _ = await records(api, "670", "672")
        (recording,) = first["recordings"]
        assert (recording["leg"], recording["failed"], recording["lost_ms"]) == ("caller", "", 0)
        samples, rate = soundfile.read(world.folder / "kept" / recording["file"])
        left, right = (analyse(samples[:, side], rate) for side in (0, 1))
        heard = [span.sound for span in right.spans if span.seconds >= 0.15]
        order = [tone_name(AGENT_TONE), tone_name(COLLEAGUE_TONE), tone_name(AGENT_TONE)]
        tones = [sound for sound in heard if sound in order]
        assert [sound for sound, _ in groupby(tones)] == order, right
        assert left.seconds_of(CALLER_TONE) > 0.9 * left.seconds, left
        assert right.longest_silence < 0.5, right

    async def test_an_agent_who_hangs_up_at_once_is_not_missed(
        self,
        world: World,
        caller: Softphone,
        agent: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """Telephones do not always wait for the NOTIFY."""
        await consults(agent, "672", world, tmp_path)
        await agent.send(commands.Join(call="in-1", other="b"))
        await agent.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await caller.send(commands.HangUp(call="a"))
        await colleague.expect("disconnected", by="peer")
        first, second = await records(api, "670", "672")
        assert (first["end"], second["end"]) == ("caller_hangup", "joined")

    async def test_a_colleague_who_rings_gets_the_caller(
        self,
        world: World,
        caller: Softphone,
        agent: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """An agent who does not wait for the colleague's answer: the caller waits in its place."""
        await colleague.send(commands.Policy(tone=COLLEAGUE_TONE, answer=None))
        await asks(agent, "672", world, tmp_path)
        await colleague.expect("incoming")
        await agent.send(commands.Join(call="in-1", other="b"))
        await agent.expect("disconnected", "b", by="peer")
        assert not colleague.seen("confirmed")
        await colleague.send(commands.Answer(call="in-1"))
        await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await caller.send(commands.HangUp(call="a"))
        await colleague.expect("disconnected", by="peer")
        first, second = await records(api, "670", "672")
        assert (first["end"], second["end"]) == ("joined", "caller_hangup")
        (reached,) = second["attempts"]
        assert (reached["target"], reached["outcome"]) == ("colleague", "connected")

    async def test_the_second_call_may_be_referred_to_the_first(
        self,
        world: World,
        caller: Softphone,
        agent: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """Then the second one goes on: with the caller in the agent's place."""
        await asks(agent, "672", world, tmp_path)
        await agent.send(commands.Join(call="b", other="in-1"))
        await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await agent.expect("disconnected", "b", by="peer")
        await agent.expect("disconnected", "in-1", by="peer")
        await colleague.send(commands.HangUp(call="in-1"))
        await caller.expect("disconnected", "a", by="peer")
        first, second = await records(api, "670", "672")
        assert (first["end"], first["disposition"]) == ("joined", "transferred")
        assert (second["end"], second["path"]) == ("hangup", ["to_colleague", "bye"])
        (came,) = named(second, "leg.came")
        assert (came["leg"], came["call"], came["was"]) == ("caller-2", first["id"], "caller")

    async def test_two_callers_of_one_agent(
        self,
        world: World,
        caller: Softphone,
        agent: Softphone,
        start_phone: StartPhone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        other = await start_phone(CARRIER, name="other")
        record = tmp_path / "other.wav"
        dial = commands.Dial(call="o", to=world.number("670"), tone=COLLEAGUE_TONE, record=record)
        await other.send(dial)
        await agent.expect("confirmed", "in-2")
        await agent.send(commands.Join(call="in-1", other="in-2"))
        await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await other.expect("heard", "o", sound=tone_name(CALLER_TONE))
        await agent.expect("disconnected", "in-1", by="peer")
        await agent.expect("disconnected", "in-2", by="peer")
        await caller.send(commands.HangUp(call="a"))
        await other.expect("disconnected", "o", by="peer")

        async def both() -> bool:
            ended = [call for call in await api.ended() if call["id"] not in api.earlier]
            return {call["end"] for call in ended} == {"joined", "caller_hangup"}

        await network.until(both, "both records are stored")

    async def test_a_bot_that_the_agent_talks_to_gets_the_caller(
        self,
        world: World,
        caller: Softphone,
        agent: Softphone,
        bot: ScriptedBot,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """Nobody is joined with the agent there: the caller takes its place."""
        await asks(agent, "100", world, tmp_path)
        talk = await bot.conversation()
        await agent.send(commands.Join(call="in-1", other="b"))
        await talk.hears(CALLER_TONE)
        await agent.expect("notify", "in-1", sipfrag="SIP/2.0 200 OK")
        await agent.expect("disconnected", "b", by="peer")
        await agent.expect("disconnected", "in-1", by="peer")
        await talk.send("hangup")
        await caller.expect("disconnected", "a", by="peer")
        first, second = await records(api, "670", "100")
        assert (first["end"], second["end"]) == ("joined", "bot_hangup")
        (joined,) = [each for each in first["attempts"] if each["id"] == "r1"]
        assert (joined["outcome"], joined["target"]) == ("connected", "100")


class TestWhatIsNotJoined:
    """The first call goes on as it was."""

    async def test_a_call_that_is_not_there(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        """481 stands in the NOTIFY: as an answer to REFER it would end the agent's own call (RFC
        5057 section 5.1)."""
        uri = f"{world.number('672')}?Replaces=gone%40x%3Bto-tag%3Da1%3Bfrom-tag%3Db2"
        script = Agent("names nothing").is_called().rings().answers().waits()
        script.refers(f"<{uri}>").is_notified("100").is_notified("481", "terminated")
        async with await peer(script.hangs_up(), address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api)
            await caller.expect("disconnected", "a", by="peer")
        (record,) = await records(api, "670")
        joined, reached = record["attempts"]
        assert (joined["outcome"], joined["code"], joined["method"]) == (
            "declined",
            481,
            "attended",
        )
        assert (reached["outcome"], reached["bye_by"]) == ("connected", "target")

    async def test_another_trunks_call(
        self, world: World, peer: StartPeer, pbx: Softphone, caller: Softphone, api: Api
    ) -> None:
        """Knowing its tags proves nothing."""
        await caller.send(commands.Dial(call="a", to=world.number("670")))
        await pbx.expect("confirmed")
        uri = f"{world.number('670')}?Replaces={quote(await dialog(api, 'caller'), safe='')}"
        script = Caller("listens in").dials().is_answered().refers(f"<{uri}>", code=403).hangs_up()
        async with await peer(script, address=PBX, gateway=world.address, number="671"):
            pass
        assert not caller.seen("disconnected")
        await caller.send(commands.HangUp(call="a"))
        (record,) = await records(api, "671")
        (refused,) = named(record, "refer.received")
        assert (refused["code"], record["attempts"]) == (403, [])

    async def test_a_trunk_that_may_refer_but_not_replace(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        uri = f"{world.number('671')}?Replaces=any%40x%3Bto-tag%3Da1%3Bfrom-tag%3Db2"
        script = Caller("may not").dials().is_answered().refers(f"<{uri}>", code=403).hangs_up()
        async with await peer(script, address=BRANCH, gateway=world.address, number="671"):
            pass
        await api.record()

    @pytest.mark.parametrize(("call", "other"), [("in-1", "b"), ("b", "in-1")])
    async def test_a_target_that_is_not_for_such_callers(
        self,
        call: str,
        other: str,
        world: World,
        caller: Softphone,
        agent: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """`from_trunks`, whichever call is referred to the other."""
        await consults(agent, "673", world, tmp_path)
        await agent.send(commands.Join(call=call, other=other))
        await agent.send(commands.HangUp(call="b"))
        await colleague.expect("disconnected", by="peer")
        await caller.send(commands.HangUp(call="a"))
        found = await records(api, "670", "673")
        (refused,) = [each for record in found for each in named(record, "refer.received")]
        assert (refused["code"], refused["reason"]) == (603, "Destination Not Allowed")
        assert "joined" not in {record["end"] for record in found}

    async def test_a_call_with_nobody_at_its_other_end(
        self, world: World, agent: Softphone, caller: Softphone, api: Api, tmp_path: Path
    ) -> None:
        """The agent's own two legs of one call, or a flow without anybody on both sides."""
        await asks(agent, "671", world, tmp_path)
        await agent.send(commands.Dial(call="c", to=world.number("671")))
        await agent.expect("confirmed", "c")
        await agent.send(commands.Join(call="b", other="c"))
        await agent.expect("notify", "b", sipfrag="SIP/2.0 603 Nobody To Be Joined With")
        assert not agent.seen("disconnected")
        for call in ("b", "c", "in-1"):
            await agent.send(commands.HangUp(call=call))
        await caller.expect("disconnected", "a", by="peer")
        await records(api, "670", "671")
