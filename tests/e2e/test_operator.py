"""What an operator sees of a live call, decides for it, and finds in its record."""

from __future__ import annotations

from pathlib import Path

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone_name
from tests.e2e.bot import ScriptedBot, calls_bot, hang_up
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.world import AGENT_TONE, CALLER_TONE, World, sound_of


class TestDecisions:
    """`POST /v1/calls/{id}/…` acts on the call at once."""

    async def test_transfer_hands_the_caller_over_at_the_flows_node(
        self,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        bot: ScriptedBot,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await pbx.send(
            commands.Policy(user="sales", tone=AGENT_TONE, record=tmp_path / "agent.wav")
        )
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        live = await api.only_call()
        answer = await api.decide(live["id"], "transfer", target="sales")
        assert answer.status_code == 202, answer.text
        assert (await talk.expect("stop"))["reason"] == "flow"
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        assert (await api.only_call())["handover"]["status"] == "active"
        await hang_up(caller)

    async def test_cancel_transfer_takes_a_ringing_one_back(
        self,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        bot: ScriptedBot,
        api: Api,
    ) -> None:
        await pbx.send(commands.Policy(user="sales", answer=None))
        talk = await calls_bot(world, caller, bot)
        await talk.send("transfer", target="sales")
        await pbx.expect("incoming")
        live = await api.only_call()
        answer = await api.decide(live["id"], "cancel_transfer")
        assert answer.status_code == 202, answer.text
        await pbx.expect("disconnected", code=487, by="peer")
        again = await bot.conversation()
        assert again.start["handover"]["status"] == "cancelled"
        await hang_up(caller)

    async def test_hangup_ends_the_call_with_its_headers(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        await calls_bot(world, caller, bot)
        live = await api.only_call()
        answer = await api.decide(live["id"], "hangup", headers={"X-By": "operator"})
        assert answer.status_code == 202, answer.text
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-By") == "operator"
        assert (await api.record())["end"] == "operator_hangup"

    async def test_hangup_ends_the_call_however_much_was_to_be_sent_along(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        """A BYE that is too long to be sent would leave the caller in the call."""
        await calls_bot(world, caller, bot)
        live = await api.only_call()
        headers = {f"X-{number}": "a" * 900 for number in range(30)}
        answer = await api.decide(live["id"], "hangup", headers=headers)
        assert answer.status_code == 202, answer.text
        bye = await caller.expect("disconnected", "a", by="peer")
        assert "X-29" in bye.headers
        record = await api.record()
        lost = {event["field"] for event in record["timeline"] if event["name"] == "value.dropped"}
        assert lost == {f"headers.X-{number}" for number in range(30)} - {
            f"headers.{name}" for name in bye.headers
        }

    async def test_play_is_heard_while_the_bot_goes_on(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api, tmp_path: Path
    ) -> None:
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        live = await api.only_call()
        answer = await api.decide(live["id"], "play", prompt={"file": "operator.wav"})
        assert answer.status_code == 202, answer.text
        await caller.expect("heard", "a", sound=sound_of("operator"))
        talk.audio.clear()
        await talk.hears(CALLER_TONE)
        await hang_up(caller)

    async def test_play_speaks_words(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api, tmp_path: Path
    ) -> None:
        await calls_bot(world, caller, bot, tmp_path / "a.wav")
        live = await api.only_call()
        answer = await api.decide(live["id"], "play", prompt="One moment please.")
        assert answer.status_code == 202, answer.text
        await caller.expect("heard", "a", sound="sound")
        await hang_up(caller)

    async def test_goto_moves_the_call_to_another_node(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api, tmp_path: Path
    ) -> None:
        await calls_bot(world, caller, bot, tmp_path / "a.wav")
        live = await api.only_call()
        answer = await api.decide(live["id"], "goto", node="goodbye")
        assert answer.status_code == 202, answer.text
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        await caller.expect("disconnected", "a", by="peer")

    async def test_continue_at_says_where_the_call_goes_after_the_agent(
        self,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        bot: ScriptedBot,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """Without it the caller would be back with the bot."""
        await pbx.send(commands.Policy(user="sales", tone=AGENT_TONE))
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        await talk.send("transfer", target="sales")
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        live = await api.only_call()
        unknown = await api.decide(live["id"], "continue_at", node="nowhere")
        assert unknown.status_code == 409, unknown.text
        answer = await api.decide(live["id"], "continue_at", node="goodbye")
        assert answer.status_code == 202, answer.text
        assert not pbx.seen("disconnected")
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-End") == "goodbye"
        record = await api.record()
        assert record["path"] == ["talk", "hand_over", "goodbye"]
        (attempt,) = record["attempts"]
        assert (attempt["outcome"], attempt["bye_by"]) == ("connected", "target")

    async def test_what_the_call_cannot_do_is_refused_with_the_reason(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        """RFC 9457: problem details."""
        talk = await calls_bot(world, caller, bot)
        live = await api.only_call()
        answer = await api.decide(live["id"], "goto", node="nowhere")
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        assert "nowhere" in answer.json()["detail"]
        talk.audio.clear()
        await talk.hears(CALLER_TONE)
        await hang_up(caller)

    async def test_an_ended_call_takes_no_decision(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        await calls_bot(world, caller, bot)
        live = await api.only_call()
        await hang_up(caller)
        await api.record()
        assert (await api.decide(live["id"], "hangup")).status_code == 410


class TestTheRecord:
    """Why it ended as it did, on one page."""

    async def test_the_timeline_tells_the_transfer_in_order(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api
    ) -> None:
        await pbx.send(commands.Policy(user="sales", answer=486))
        await caller.send(commands.Dial(call="a", to=world.number("200")))
        await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        names = [event["name"] for event in record["timeline"]]
        told = ["call.started", "flow.started", "node.entered", "leg.answered"]
        told += ["transfer.started", "transfer.ended", "fallback.taken", "flow.ended"]
        assert [name for name in dict.fromkeys(names) if name in told] == told
        offsets = [event["offset_ms"] for event in record["timeline"]]
        assert offsets == sorted(offsets)
        assert record["media"]["caller"]["tx_packets"] > 0

    async def test_switchhook_call_draws_the_ladder(
        self,
        world: World,
        gateway: GatewayProcess,
        caller: Softphone,
        pbx: Softphone,
        api: Api,
    ) -> None:
        await pbx.send(commands.Policy(user="sales", answer=486))
        await caller.send(commands.Dial(call="a", to=world.number("200")))
        await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        shown = gateway.command("call", record["id"], "--config", str(world.configuration))
        assert shown.returncode == 0, shown.stderr
        for line in ("INVITE", "486", "BYE", "fallback", "busy"):
            assert line in shown.stdout, shown.stdout
        listed = gateway.command("calls", "--config", str(world.configuration))
        assert record["id"] in listed.stdout, listed.stdout


class TestMetrics:
    """What Prometheus is told."""

    async def test_a_transfer_is_counted_by_method_and_outcome(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api
    ) -> None:
        name = 'switchhook_transfers_total{method="invite",outcome="busy"}'
        before = (await api.metrics()).get(name, 0)
        await pbx.send(commands.Policy(user="sales", answer=486))
        await caller.send(commands.Dial(call="a", to=world.number("200")))
        await caller.expect("disconnected", "a", by="peer")
        await api.record()
        assert (await api.metrics())[name] == before + 1
