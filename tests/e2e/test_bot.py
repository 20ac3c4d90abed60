"""What a bot may rely on: `switchhook.v1` between a real caller and a WebSocket."""

from __future__ import annotations

from pathlib import Path

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone, tone_name
from tests.e2e.bot import ScriptedBot, calls_bot, hang_up
from tests.e2e.process import Api
from tests.e2e.world import AGENT_TONE, BACKLOG, BOT_TONE, CALLER_TONE, CARRIER, World, sound_of


class TestTheStart:
    """The first frame says who calls."""

    async def test_it_names_the_call(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        talk = await calls_bot(world, caller, bot)
        live = await api.only_call()
        start = talk.start
        assert start["version"] == "switchhook.v1"
        assert start["call_id"] == live["id"]
        assert start["from"] == f"sip:caller@{CARRIER}"
        assert start["to"].startswith("sip:100@")
        assert start["trunk"] == "carrier"
        assert start["audio"] == {"encoding": "pcm_s16le", "sample_rate": 8000, "frame_ms": 20}
        assert start["flow"] == {"name": "conversation", "node": "talk"}
        assert start["handover"] is None
        await hang_up(caller)


class TestAudio:
    """PCM16 both ways, 20 ms a frame."""

    async def test_the_bot_hears_the_caller_in_frames_of_20_ms(
        self, world: World, caller: Softphone, bot: ScriptedBot
    ) -> None:
        talk = await calls_bot(world, caller, bot)
        await talk.hears(CALLER_TONE)
        assert talk.frame_sizes == {320}
        await hang_up(caller)

    async def test_the_caller_hears_the_bot(
        self, world: World, caller: Softphone, bot: ScriptedBot, tmp_path: Path
    ) -> None:
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        await talk.say(tone(BOT_TONE, 0.5))
        await caller.expect("heard", "a", sound=tone_name(BOT_TONE))
        await hang_up(caller)

    async def test_an_echo_comes_back(
        self, world: World, caller: Softphone, bot: ScriptedBot, tmp_path: Path
    ) -> None:
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        talk.echo = True
        await caller.expect("heard", "a", sound=tone_name(CALLER_TONE))
        await hang_up(caller)


class TestPlayback:
    """The bot knows what the caller has heard."""

    async def test_a_mark_is_reported_when_its_audio_was_played(
        self, world: World, caller: Softphone, bot: ScriptedBot, tmp_path: Path
    ) -> None:
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        await talk.say(tone(BOT_TONE, 0.3))
        await talk.send("mark", name="said")
        assert await talk.expect("mark", name="said", played=True)
        await caller.expect("heard", "a", sound=tone_name(BOT_TONE))
        await hang_up(caller)

    async def test_clear_drops_the_rest_and_says_so(
        self, world: World, caller: Softphone, bot: ScriptedBot, tmp_path: Path
    ) -> None:
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        await talk.say(tone(BOT_TONE, BACKLOG - 1))
        await talk.send("mark", name="never")
        await caller.expect("heard", "a", sound=tone_name(BOT_TONE))
        await talk.send("clear")
        assert await talk.expect("mark", name="never", played=False)
        await caller.expect("heard", "a", sound="silence")
        await hang_up(caller)

    async def test_a_flood_of_audio_is_bounded_and_the_bot_is_told(
        self, world: World, caller: Softphone, bot: ScriptedBot
    ) -> None:
        talk = await calls_bot(world, caller, bot)
        await talk.say(tone(BOT_TONE, BACKLOG + 3))
        assert (await talk.expect("error"))["code"] == "slow_down"
        await hang_up(caller)


class TestCommands:
    """What the bot decides happens."""

    async def test_hangup_carries_its_headers_and_files_the_call(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        talk = await calls_bot(world, caller, bot)
        await talk.send("hangup", headers={"X-Result": "solved"}, tags=["refund", "a,b"])
        await talk.expect("error", field="tags.1")
        await talk.send("hangup", headers={"X-Result": "solved"}, tags=["refund"])
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-Result") == "solved"
        assert (await talk.expect("stop"))["reason"] == "hangup"
        record = await api.record()
        assert (record["disposition"], record["end"]) == ("contained", "bot_hangup")
        assert record["tags"] == ["refund"]

    async def test_digits_reach_the_caller(
        self, world: World, caller: Softphone, bot: ScriptedBot
    ) -> None:
        talk = await calls_bot(world, caller, bot)
        await talk.send("send_dtmf", digits="42#")
        for digit in "42#":
            await caller.expect("dtmf", "a", digit=digit, via="rfc4733")
        await hang_up(caller)

    async def test_a_wrong_field_is_named_and_the_call_goes_on(
        self, world: World, caller: Softphone, bot: ScriptedBot
    ) -> None:
        talk = await calls_bot(world, caller, bot)
        await talk.send("transfer", taget="sales")
        error = await talk.expect("error")
        assert (error["code"], error["field"]) == ("invalid_field", "taget")
        await talk.hears(CALLER_TONE)
        await hang_up(caller)

    async def test_a_destination_outside_the_rules_is_blocked(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        """Nothing leaves the gateway for it: a caller may have talked the bot into it."""
        talk = await calls_bot(world, caller, bot)
        await talk.send("transfer", target="sip:premium@127.0.0.9", method="invite")
        again = await bot.conversation()
        assert again.start["handover"]["outcome"] == "blocked"
        await hang_up(caller)
        legs = {event.get("leg") for event in (await api.record())["timeline"]} - {None}
        assert legs == {"caller"}

    async def test_closing_the_session_goes_on_below_the_node(
        self, world: World, caller: Softphone, bot: ScriptedBot, tmp_path: Path, api: Api
    ) -> None:
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        await talk.close()
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        await caller.expect("disconnected", "a", by="peer")
        assert (await api.record())["path"] == ["talk", "goodbye"]


class TestTransferAndReturn:
    """The bot hands the caller over, and learns what became of it."""

    async def test_a_failed_transfer_comes_back_with_its_outcome(
        self, world: World, caller: Softphone, pbx: Softphone, bot: ScriptedBot, tmp_path: Path
    ) -> None:
        await pbx.send(commands.Policy(user="sales", answer=486))
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        await talk.send("transfer", target="sales")
        assert (await talk.expect("stop"))["reason"] == "transfer"
        await caller.expect("heard", "a", sound=sound_of("code-486"))
        again = await bot.conversation()
        handover = again.start["handover"]
        assert (handover["status"], handover["outcome"]) == ("error", "busy")
        assert (handover["sip_code"], handover["target"]) == (486, "sales")
        await again.hears(CALLER_TONE)
        await hang_up(caller)

    async def test_a_finished_transfer_comes_back_as_completed(
        self, world: World, caller: Softphone, pbx: Softphone, bot: ScriptedBot, tmp_path: Path
    ) -> None:
        await pbx.send(
            commands.Policy(user="support", tone=AGENT_TONE, record=tmp_path / "agent.wav")
        )
        talk = await calls_bot(world, caller, bot, tmp_path / "a.wav")
        await talk.send("transfer", target="support", headers={"X-Summary": "wants a refund"})
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        assert pbx.seen("incoming")[0].headers.get("X-Summary") == "wants a refund"
        await pbx.send(commands.HangUp(call="in-1"))
        again = await bot.conversation()
        assert again.start["handover"]["status"] == "completed"
        await hang_up(caller)

    async def test_a_number_is_dialled_over_its_trunk(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        """The carrier that the call came from also takes it out again."""
        await caller.send(commands.Policy(user="+493012345", answer=404))
        talk = await calls_bot(world, caller, bot)
        await talk.send("transfer", target="number")
        invite = await caller.expect("incoming")
        assert "+493012345" in invite["uri"]
        again = await bot.conversation()
        assert again.start["handover"]["outcome"] == "bad_destination"
        await hang_up(caller)


class TestABotFails:
    """The caller is not left in silence."""

    async def test_without_a_bot_the_flow_takes_its_error_exit(
        self, world: World, caller: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await caller.send(
            commands.Dial(call="a", to=world.number("100"), record=tmp_path / "a.wav")
        )
        await caller.expect("heard", "a", sound=sound_of("bot-failed"))
        await caller.expect("disconnected", "a", by="peer")
        assert (await api.record())["path"] == ["talk", "bot_failed"]

    async def test_a_lost_connection_is_tried_once_more(
        self, world: World, caller: Softphone, bot: ScriptedBot
    ) -> None:
        talk = await calls_bot(world, caller, bot)
        await talk.break_off()
        again = await bot.conversation()
        assert again.start["reconnected"] is True
        await again.hears(CALLER_TONE)
        await hang_up(caller)
