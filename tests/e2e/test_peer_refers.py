"""A peer of ours transfers its own place in the call: REFER (RFC 3515), and what it is told.

caller 127.0.0.2 ──▶ gateway ──▶ agent 127.0.0.3, which refers the caller on to 127.0.0.4
"""

from __future__ import annotations

from pathlib import Path

import soundfile

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import SOUND, analyse, tone_name
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.transfers_in import (
    COLLEAGUE_TONE,
    COLLEAGUE_URI,
    colleague,
    once_joined,
    reaches_agent,
    shared_gateway,
)
from tests.e2e.world import (
    AGENT_TONE,
    CALLER_TONE,
    CARRIER,
    PBX,
    World,
    sound_of,
)
from tests.peers.agent import Agent
from tests.peers.caller import Caller
from tests.peers.sipp import Sipp

__all__ = ["colleague", "shared_gateway"]


def agent(name: str) -> Agent:
    """An agent who has answered, and goes on once it talks with the caller."""
    return Agent(name).is_called().rings().answers().waits()


async def answers(colleague: Softphone, sipp: Sipp, code: int = 200) -> None:
    """The colleague's final response comes once the referrer was told that it rings."""
    await sipp.said("NOTIFY", 2)
    await colleague.send(commands.Answer(call="in-1", code=code))


class TestAnAgentRefersTheCallerOn:
    """The agent's place is taken by whom it refers to; NOTIFYs tell the agent how it went."""

    async def test_the_colleague_takes_the_agents_place(
        self,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await colleague.send(commands.Policy(answer=None, tone=COLLEAGUE_TONE))
        script = agent("refers").refers(f"<{COLLEAGUE_URI}?X-Inj=1&Priority=urgent>")
        script.is_notified("100").is_notified("180").is_notified("200", "terminated")
        async with await peer(script.hangs_up(), address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(
                caller, world, sipp, api, tone=CALLER_TONE, record=tmp_path / "a.wav"
            )
            invited = await colleague.expect("incoming")
            await answers(colleague, sipp)
            await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        assert "X-Inj" not in invited.headers
        assert "Priority" not in invited.headers
        assert "sip:sales@" in invited.headers["Referred-By"]
        assert "caller" in invited["from"]
        await colleague.send(commands.HangUp(call="in-1"))
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-End") == "completed"
        record = await api.record()
        referred, first = record["attempts"]
        assert (first["target"], first["outcome"]) == ("sales", "connected")
        assert (referred["id"], referred["method"]) == ("r1", "invite")
        assert (referred["target"], referred["outcome"]) == ("colleague", "connected")
        assert referred["referred_by"] == "agent-1"
        assert record["disposition"] == "transferred"

    async def test_each_ones_recording_goes_with_its_dialog(
        self,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """What was recorded of the agent ends with it, and the colleague has a file of its own."""
        await colleague.send(
            commands.Policy(answer=None, tone=COLLEAGUE_TONE, record=tmp_path / "colleague.wav")
        )
        script = agent("is recorded").refers(f"<{COLLEAGUE_URI}>")
        script.is_notified("100").is_notified("180").is_notified("200", "terminated")
        async with await peer(script.hangs_up(), address=PBX, port=world.pbx_port) as sipp:
            await caller.send(
                commands.Dial(
                    call="a", to=world.number("670"), tone=CALLER_TONE, record=tmp_path / "a.wav"
                )
            )
            await api.event("transfer.joined")
            live = await api.only_call()
            answer = await api.decide(live["id"], "recording", action="start", leg="agent")
            assert answer.status_code == 202, answer.text
            await api.goes_on(1)
            sipp.go_on()
            await answers(colleague, sipp)
            await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
            await colleague.expect("heard", sound=tone_name(CALLER_TONE))
            await api.goes_on(0.5)
        await caller.send(commands.HangUp(call="a"))
        await colleague.expect("disconnected", by="peer")
        made = {each["leg"]: each for each in (await api.record())["recordings"]}
        assert made.keys() == {"agent-1", "agent-2"}
        heard = {}
        for leg, recording in made.items():
            file = world.folder / "kept" / recording["file"]
            samples, rate = soundfile.read(file)
            heard[leg] = analyse(samples[:, 0], rate), analyse(samples[:, 1], rate)
        assert heard["agent-1"][0].seconds_of(COLLEAGUE_TONE) == 0, heard["agent-1"]
        assert heard["agent-1"][1].seconds_of(CALLER_TONE) >= 0.5, heard["agent-1"]
        assert heard["agent-2"][0].seconds_of(COLLEAGUE_TONE) >= 0.2, heard["agent-2"]
        assert heard["agent-2"][1].seconds_of(CALLER_TONE) >= 0.2, heard["agent-2"]

    async def test_a_busy_colleague_brings_the_caller_back_to_the_agent(
        self,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await colleague.send(commands.Policy(answer=None))
        script = agent("keeps the caller").refers(f"<{COLLEAGUE_URI}>")
        script.is_notified("100").is_notified("180").is_notified("486 Busy Here", "terminated")
        script.waits().hangs_up()
        async with await peer(script, address=PBX, port=world.pbx_port, echo=True) as sipp:
            await caller.send(
                commands.Dial(
                    call="a", to=world.number("670"), tone=CALLER_TONE, record=tmp_path / "a.wav"
                )
            )
            # The agent sends back what it hears: its own voice tells the caller who is there.
            await caller.expect("heard", "a", sound=tone_name(CALLER_TONE))
            caller.forget("heard")
            sipp.go_on()
            await caller.expect("heard", "a", sound=SOUND)
            await answers(colleague, sipp, 486)
            await caller.expect("heard", "a", sound=tone_name(CALLER_TONE))
            sipp.go_on()
            bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-End") == "completed"
        record = await api.record()
        referred, first = record["attempts"]
        assert (referred["outcome"], referred["code"]) == ("busy", 486)
        assert (first["outcome"], first["bye_by"]) == ("connected", "target")
        assert record["path"] == ["to_sales", "bye"]

    async def test_who_hangs_up_right_after_the_202_is_replaced_all_the_same(
        self,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """A blind transfer of many telephones. Its NOTIFYs come after the BYE (RFC 5057)."""
        await colleague.send(commands.Policy(provisional=None, answer=None, tone=COLLEAGUE_TONE))
        script = agent("leaves at once").refers(f"<{COLLEAGUE_URI}>").is_notified("100")
        script.hangs_up().is_notified("200", "terminated")
        async with await peer(script, address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api, record=tmp_path / "a.wav")
            await api.seen("BYE")
            await colleague.send(commands.Answer(call="in-1"))
            await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await caller.send(commands.HangUp(call="a"))
        await colleague.expect("disconnected", by="peer")
        referred, first = (await api.record())["attempts"]
        assert (referred["outcome"], first["outcome"]) == ("connected", "connected")
        assert first["bye_by"] == "caller"

    async def test_nobody_left_and_a_busy_colleague_take_the_fallback(
        self,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await colleague.send(commands.Policy(provisional=None, answer=None))
        script = agent("leaves a caller behind").refers(f"<{COLLEAGUE_URI}>").is_notified("100")
        script.hangs_up().is_notified("486", "terminated")
        async with await peer(script, address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api, record=tmp_path / "a.wav")
            await api.seen("BYE")
            await colleague.send(commands.Answer(call="in-1", code=486))
            await caller.expect("heard", "a", sound=sound_of("code-486"))
            await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        assert record["end"] == "fallback"
        assert record["disposition"] == "transferred"
        assert {attempt["id"]: attempt["outcome"] for attempt in record["attempts"]} == {
            "t1": "connected",
            "r1": "busy",
        }

    async def test_a_notify_that_meets_481_costs_nothing(
        self,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """RFC 6665 section 4.2.2: the referrer does not listen; caller and colleague talk."""
        await colleague.send(commands.Policy(provisional=None, answer=None, tone=COLLEAGUE_TONE))
        script = agent("does not listen").refers(f"<{COLLEAGUE_URI}>")
        script.receives("NOTIFY").replies(481, "Subscription Does Not Exist")
        async with await peer(script.is_hung_up_on(), address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api, record=tmp_path / "a.wav")
            await sipp.said("SIP/2.0 481")
            await colleague.send(commands.Answer(call="in-1"))
            await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await caller.send(commands.HangUp(call="a"))
        referred, _ = (await api.record())["attempts"]
        assert referred["outcome"] == "connected"

    async def test_no_subscription_where_none_is_wanted(
        self, world: World, peer: StartPeer, caller: Softphone, colleague: Softphone, api: Api
    ) -> None:
        """RFC 4488."""
        await colleague.send(commands.Policy(tone=COLLEAGUE_TONE))
        script = agent("wants no NOTIFY").sends(
            "REFER",
            (f"Refer-To: <{COLLEAGUE_URI}>", "Refer-Sub: false", "Supported: norefersub"),
        )
        script.gets(202, {"Refer-Sub": "false"}).is_hung_up_on()
        async with await peer(script, address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api)
            await colleague.expect("confirmed")
        await caller.send(commands.HangUp(call="a"))
        await api.record()

    async def test_a_consultation_of_the_agents_own_is_taken_over(
        self, world: World, peer: StartPeer, caller: Softphone, colleague: Softphone, api: Api
    ) -> None:
        """RFC 5589 section 7: our INVITE carries the Replaces of the Refer-To."""
        await colleague.send(commands.Policy(tone=COLLEAGUE_TONE))
        uri = f"{COLLEAGUE_URI}?Replaces=12%40x%3Bto-tag%3Da1%3Bfrom-tag%3Db2&X-Inj=1"
        script = agent("has consulted").refers(f"<{uri}>").is_notified("100")
        script.is_notified("481", "terminated").hangs_up()
        async with await peer(script, address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api)
            await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        (invite,) = {
            event["text"]
            for event in record["timeline"]
            if event["name"] == "sip.message" and event["text"].startswith("INVITE sip:colleague@")
        }
        assert "\r\nReplaces: 12@x;to-tag=a1;from-tag=b2\r\n" in invite
        assert "\r\nRequire: replaces\r\n" in invite
        assert "X-Inj" not in invite


class TestWhatIsNotCarriedOut:
    """Decided by our rules before anything is dialled; the call goes on."""

    async def test_a_destination_that_nothing_allows(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        script = agent("refers to a stranger").refers("<sip:premium@127.0.0.9>", code=603)
        async with await peer(script.hangs_up(), address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api)
            await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        assert [attempt["id"] for attempt in record["attempts"]] == ["t1"]
        (refused,) = [e for e in record["timeline"] if e["name"] == "refer.received"]
        assert (refused["code"], refused["reason"]) == (603, "Destination Not Allowed")
        assert refused["refer_to"] == "<sip:premium@127.0.0.9>"

    async def test_a_second_refer_while_one_is_carried_out(
        self, world: World, peer: StartPeer, caller: Softphone, colleague: Softphone, api: Api
    ) -> None:
        await colleague.send(commands.Policy(answer=None, provisional=None))
        script = agent("refers twice").refers(f"<{COLLEAGUE_URI}>").is_notified("100")
        script.refers(f"<{COLLEAGUE_URI}>", code=491).is_notified("200", "terminated")
        async with await peer(script.hangs_up(), address=PBX, port=world.pbx_port) as sipp:
            await reaches_agent(caller, world, sipp, api)
            await sipp.said("SIP/2.0 491")
            await colleague.send(commands.Answer(call="in-1"))
            await colleague.expect("confirmed")
        await caller.send(commands.HangUp(call="a"))
        await api.record()

    async def test_a_trunk_that_is_not_allowed_to_refer(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """The default: nothing reaches Python, and Allow does not promise it."""
        script = Caller("refers unasked").dials().hears_progress()
        script.is_answered().refers(f"<{COLLEAGUE_URI}>", code=603).hangs_up()
        async with await peer(script, address=CARRIER, gateway=world.address, number="671"):
            pass
        record = await api.record()
        assert [e for e in record["timeline"] if e["name"] == "refer.received"] == []
        (answer,) = {
            event["text"]
            for event in record["timeline"]
            if event["name"] == "sip.message"
            and "CSeq: 1 INVITE" in event["text"]
            and event["text"].startswith("SIP/2.0 200")
        }
        assert "REFER" not in answer
        assert "replaces" not in answer


class TestACallerHandsTheCallOver:
    """The caller's place is taken; whoever it talked to stays."""

    async def test_the_agent_goes_on_with_whom_the_caller_referred_to(
        self,
        world: World,
        peer: StartPeer,
        pbx: Softphone,
        colleague: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await colleague.send(
            commands.Policy(answer=None, tone=COLLEAGUE_TONE, record=tmp_path / "c.wav")
        )
        await pbx.send(commands.Policy(tone=AGENT_TONE, record=tmp_path / "p.wav"))
        script = Caller("hands over").dials().is_answered().waits()
        script.refers(f"<{COLLEAGUE_URI}>").is_notified("100").is_notified("180")
        script.is_notified("200", "terminated").is_hung_up_on()
        where = {"address": PBX, "gateway": world.address, "number": "670"}
        async with await peer(script, **where) as sipp:
            await once_joined(sipp, api)
            await answers(colleague, sipp)
            await pbx.expect("heard", sound=tone_name(COLLEAGUE_TONE))
            await colleague.expect("heard", sound=tone_name(AGENT_TONE))
        await colleague.send(commands.HangUp(call="in-1"))
        await pbx.expect("disconnected", by="peer")
        record = await api.record()
        assert record["end"] == "caller_hangup"
        assert [e["by"] for e in record["timeline"] if e["name"] == "leg.replaced"] == ["caller-2"]
        referred, first = record["attempts"]
        assert (referred["referred_by"], first["bye_by"]) == ("caller", "caller")

    async def test_a_bot_goes_on_with_whom_the_caller_referred_to(
        self, world: World, peer: StartPeer, bot: ScriptedBot, colleague: Softphone, api: Api
    ) -> None:
        # No 180: its NOTIFY would cross the BYE, which SIPp cannot follow.
        await colleague.send(commands.Policy(provisional=None, answer=None, tone=COLLEAGUE_TONE))
        script = Caller("hands the bot over").dials().is_answered().waits()
        script.refers(f"<{COLLEAGUE_URI}>").is_notified("100").hangs_up()
        script.is_notified("200", "terminated")
        where = {"address": PBX, "gateway": world.address, "number": "100"}
        async with await peer(script, **where) as sipp:
            talk = await bot.conversation()
            await sipp.said("ACK")
            sipp.go_on()
            await api.seen("BYE")
            await colleague.send(commands.Answer(call="in-1"))
            await colleague.expect("confirmed")
        await talk.hears(COLLEAGUE_TONE)
        await colleague.send(commands.Dtmf(call="in-1", digits="7"))
        await talk.expect("dtmf", digit="7")
        await talk.send("hangup")
        await colleague.expect("disconnected", by="peer")
        record = await api.record()
        assert record["disposition"] == "contained"
        assert record["end"] == "bot_hangup"
