"""Recordings of real calls: the channels, what a pause leaves out, what a disk refuses."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import Heard, analyse, tone, tone_name
from tests.e2e.bot import Conversation, ScriptedBot, calls_bot, hang_up
from tests.e2e.conftest import StartGateway, StartPhone
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import (
    AGENT_TONE,
    BOT_TONE,
    CALLER_TONE,
    CARRIER,
    PROMPTS,
    World,
    prompt,
    transfer_node,
)

CARD_TONE = 1650
"""What the caller sends while the recording is paused."""

ROOM = 64 * 1024
"""Bytes that the disk still takes, two seconds of audio."""

FLOWS: dict[str, dict[str, Any]] = {
    "680": {
        "flow": "recorded",
        "start": "talk",
        "record": True,
        "transfer_node": "desk",
        "nodes": {
            "talk": {
                "type": "bot",
                "bot": "assistant",
                "transfer": {"default": "desk"},
                "done": "consent",
                "error": "bye",
            },
            "consent": {"type": "record", "consent": "granted", "next": "bye"},
            "desk": transfer_node(target="sales", next="bye"),
            "bye": {"type": "hangup", "prompt": prompt("goodbye")},
        },
    },
    "682": {
        "flow": "agents",
        "start": "desk",
        "record": [{"leg": "caller", "sides": "said"}, {"leg": "agent"}],
        "nodes": {
            "desk": transfer_node(
                target="sales",
                whisper=prompt("welcome"),
                accepted_message=prompt("accepted"),
                next="bye",
            ),
            "bye": {"type": "hangup", "prompt": prompt("goodbye")},
        },
    },
    "681": {
        "flow": "declined",
        "start": "asked",
        "nodes": {
            "asked": {"type": "record", "consent": "declined", "next": "begin"},
            "begin": {"type": "record", "action": "start", "next": "bye"},
            "bye": {"type": "hangup", "prompt": prompt("goodbye")},
        },
    },
}


def world_of(folder: Path, format_: str) -> World:
    return World.answering(folder, FLOWS, recordings={"folder": "kept", "format": format_})


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that keeps recordings in `kept`."""
    world = world_of(tmp_path_factory.mktemp("recording"), "wav")
    yield from served(world)


async def call(
    world: World, caller: Softphone, bot: ScriptedBot, heard: Path | None = None
) -> Conversation:
    """A recorded caller in conversation with the bot; it listens where `heard` is to be written."""
    return await calls_bot(world, caller, bot, heard, number="680")


async def hears(talk: Conversation, hertz: int, seconds: float = 0.3) -> None:
    """Wait until the bot has heard this tone for so long from now on."""
    talk.audio.clear()
    await talk.hears(hertz, seconds)


def channels(world: World, recording: dict[str, Any]) -> tuple[Heard, Heard]:
    """What is heard left and right."""
    samples, rate = soundfile.read(world.folder / "kept" / recording["file"], always_2d=True)
    assert samples.shape[1] == 2
    return analyse(samples[:, 0], rate), analyse(samples[:, 1], rate)


def mono(world: World, recording: dict[str, Any]) -> Heard:
    """What is heard in a file of one side."""
    samples, rate = soundfile.read(world.folder / "kept" / recording["file"], always_2d=True)
    assert samples.shape[1] == 1
    return analyse(samples[:, 0], rate)


class TestChannels:
    """Left the caller, right all that the caller hears, from the same 20 ms."""

    async def test_the_caller_is_left_and_the_bot_right(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        talk = await call(world, caller, bot)
        await talk.say(tone(BOT_TONE, 0.5))
        await talk.hears(CALLER_TONE, 0.8)
        await talk.close()
        await caller.expect("disconnected", "a", by="peer")
        (recording,) = (await api.record())["recordings"]
        left, right = channels(world, recording)
        assert left.seconds_of(CALLER_TONE) >= 0.7, left
        assert left.seconds_of(BOT_TONE) == 0, left
        assert right.seconds_of(BOT_TONE) >= 0.4, right
        assert right.seconds_of(PROMPTS["goodbye"]) >= 0.4, right
        assert right.seconds_of(CALLER_TONE) == 0, right
        assert recording["failed"] == ""
        assert recording["lost_ms"] == 0
        assert recording["consent"] == "granted"
        assert recording["duration_ms"] == pytest.approx(left.seconds * 1000, abs=40)

    async def test_an_agent_is_right_once_it_has_answered(
        self, world: World, caller: Softphone, pbx: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        await pbx.send(commands.Policy(user="sales", tone=AGENT_TONE))
        talk = await call(world, caller, bot)
        await talk.send("transfer", target="sales")
        await api.event("transfer.joined")
        await api.goes_on(0.7)
        await hang_up(caller)
        (recording,) = (await api.record())["recordings"]
        left, right = channels(world, recording)
        assert right.seconds_of(AGENT_TONE) >= 0.3, right
        assert left.seconds_of(CALLER_TONE) >= 0.5, left
        assert left.seconds_of(AGENT_TONE) == 0, left


class TestOneLegAlone:
    """An agent's leg has a file of its own, and a side alone is mono."""

    async def test_a_flow_records_what_the_caller_says_and_the_agents_leg(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await pbx.send(
            commands.Policy(user="sales", tone=AGENT_TONE, record=tmp_path / "agent.wav")
        )
        await caller.send(commands.Dial(call="a", to=world.number("682"), tone=CALLER_TONE))
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        await api.goes_on(0.7)
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        of_caller, of_agent = sorted(record["recordings"], key=lambda each: each["began_ms"])
        assert (of_caller["leg"], of_caller["sides"]) == ("caller", "said")
        assert (of_agent["leg"], of_agent["sides"]) == ("agent-1", "both")
        said = mono(world, of_caller)
        assert said.seconds_of(CALLER_TONE) >= 0.6, said
        assert said.seconds_of(AGENT_TONE) == 0, said
        assert said.seconds_of(PROMPTS["accepted"]) == 0, said
        left, right = channels(world, of_agent)
        assert left.seconds_of(AGENT_TONE) >= 0.6, left
        assert left.seconds_of(CALLER_TONE) == 0, left
        assert right.seconds_of(CALLER_TONE) >= 0.6, right
        assert right.seconds_of(PROMPTS["welcome"]) >= 0.3, right
        assert right.seconds_of(PROMPTS["accepted"]) == 0, right
        assert right.seconds_of(AGENT_TONE) == 0, right
        assert of_agent["began_ms"] > of_caller["began_ms"]
        assert of_agent["duration_ms"] < of_caller["duration_ms"]
        ends = [each for each in record["timeline"] if each["name"] == "recording.stopped"]
        assert [each["leg"] for each in ends] == ["agent-1", "caller"]

    async def test_an_operator_names_the_leg(
        self,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        bot: ScriptedBot,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """The caller's leg is recorded in stereo all the while."""
        await pbx.send(commands.Policy(user="sales", tone=AGENT_TONE))
        talk = await call(world, caller, bot, tmp_path / "a.wav")
        live = await api.only_call()

        async def order(status: int, **body: Any) -> None:
            answer = await api.decide(live["id"], "recording", **body)
            assert answer.status_code == status, answer.text

        await order(409, action="pause", leg="agent")
        await order(409, action="start", leg="agent-1")
        await order(422, action="start", leg="somebody")
        await talk.send("transfer", target="sales")
        await api.event("transfer.joined")
        await order(202, action="start", leg="agent-1", sides="said")
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await api.goes_on(0.5)
        await order(202, action="pause", leg="agent-1")
        caller.forget("heard")
        await pbx.send(commands.Tone(call="in-1", hertz=CARD_TONE))
        await caller.expect("heard", "a", sound=tone_name(CARD_TONE))
        await api.goes_on(0.3)
        caller.forget("heard")
        await pbx.send(commands.Tone(call="in-1", hertz=AGENT_TONE))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await order(202, action="resume", leg="agent-1")
        await api.goes_on(0.3)
        await order(202, action="stop", leg="agent-1")
        await order(409, action="stop", leg="agent-1")
        await hang_up(caller)
        recordings = (await api.record())["recordings"]
        of_caller, of_agent = sorted(recordings, key=lambda each: each["began_ms"])
        said = mono(world, of_agent)
        assert said.seconds_of(AGENT_TONE) >= 0.5, said
        assert said.seconds_of(CARD_TONE) == 0, said
        assert said.seconds_of(CALLER_TONE) == 0, said
        assert len(of_agent["pauses"]) == 1
        assert of_caller["pauses"] == []
        assert channels(world, of_caller)[1].seconds_of(CARD_TONE) > 0


class TestPause:
    """What is said in a pause is in no file, and the file goes on without a gap."""

    async def test_a_card_number_is_left_out(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        talk = await call(world, caller, bot)
        live = await api.only_call()
        await hears(talk, CALLER_TONE)
        assert (await api.decide(live["id"], "recording", action="pause")).status_code == 202
        await caller.send(commands.Tone(call="a", hertz=CARD_TONE))
        await hears(talk, CARD_TONE, 0.6)
        await caller.send(commands.Tone(call="a", hertz=CALLER_TONE))
        await hears(talk, CALLER_TONE)
        assert (await api.decide(live["id"], "recording", action="resume")).status_code == 202
        await hears(talk, CALLER_TONE)
        await hang_up(caller)
        record = await api.record()
        (recording,) = record["recordings"]
        left, _ = channels(world, recording)
        assert left.seconds_of(CARD_TONE) == 0, left
        assert left.seconds_of(CALLER_TONE) >= 0.5, left
        middle = [span for span in left.spans if span.start > 0.5 and span.end < left.seconds - 0.3]
        assert not [span for span in middle if span.sound == "silence"], left
        (pause,) = recording["pauses"]
        assert pause["until_ms"] - pause["from_ms"] >= 600
        assert 0 < pause["file_ms"] < recording["duration_ms"]
        assert recording["began_ms"] + recording["duration_ms"] < pause["until_ms"] + 2000
        names = [each["name"] for each in record["timeline"] if "recording" in each["name"]]
        assert names == [
            f"recording.{what}" for what in ("started", "paused", "resumed", "stopped")
        ]

    async def test_it_can_be_stopped_and_begun_again_in_a_file_of_its_own(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        talk = await call(world, caller, bot)
        live = await api.only_call()
        await hears(talk, CALLER_TONE)
        assert (await api.decide(live["id"], "recording", action="start")).status_code == 409
        for action in ("stop", "start"):
            assert (await api.decide(live["id"], "recording", action=action)).status_code == 202
        await hears(talk, CALLER_TONE)
        await hang_up(caller)
        first, second = (await api.record())["recordings"]
        assert first["file"].endswith(f"{live['id']}-1.wav")
        assert second["file"].endswith(f"{live['id']}-2.wav")
        assert channels(world, second)[0].seconds_of(CALLER_TONE) >= 0.2


class TestConsent:
    """Who declines is not recorded."""

    async def test_after_a_no_nothing_starts(
        self, world: World, caller: Softphone, api: Api
    ) -> None:
        await caller.send(commands.Dial(call="a", to=world.number("681"), tone=CALLER_TONE))
        await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        assert record["recordings"] == []
        (refused,) = [each for each in record["timeline"] if each["name"] == "recording.refused"]
        assert "declined" in refused["reason"]


class TestTheDisk:
    """Whatever it does, the call goes on, and the record says what happened."""

    async def test_a_full_disk_ends_the_recording_and_not_the_call(
        self, shared_gateway: GatewayProcess, world: World, caller: Softphone, bot: ScriptedBot
    ) -> None:
        """`RLIMIT_FSIZE` refuses each write beyond so many bytes of a file."""
        async with Api.of(world) as api:
            before = await api.metrics()
            room = shared_gateway.log.stat().st_size + ROOM
            _, hard = resource.prlimit(shared_gateway.pid, resource.RLIMIT_FSIZE)
            talk = await call(world, caller, bot)
            resource.prlimit(shared_gateway.pid, resource.RLIMIT_FSIZE, (room, hard))
            try:
                failed = await api.event("recording.failed")
            finally:
                resource.prlimit(shared_gateway.pid, resource.RLIMIT_FSIZE, (hard, hard))
            await hears(talk, CALLER_TONE)
            await hang_up(caller)
            (recording,) = (await api.record())["recordings"]
            assert recording["failed"] == failed["reason"] != ""
            name = 'switchhook_recordings_total{result="failed"}'
            after = await api.metrics()
            assert after[name] == before.get(name, 0) + 1
            assert after["switchhook_recordings_active"] == 0


class TestOpus:
    """Ogg with Opus, for those who keep much; here of a bridge at 16 kHz."""

    async def test_it_holds_the_same(
        self, start_gateway: StartGateway, start_phone: StartPhone, tmp_path: Path
    ) -> None:
        world = world_of(tmp_path / "opus", "opus")
        world.settings["trunks"] = {"carrier": {"codecs": ["PCMA", "PCMU", "G722"]}}
        start_gateway(world)
        bot = ScriptedBot()
        await bot.start(world.bot_port)
        caller = await start_phone(CARRIER, world.carrier_port, name="caller")
        async with Api.of(world) as api:
            talk = await call(world, caller, bot)
            await talk.say(tone(BOT_TONE, 0.6))
            await talk.hears(CALLER_TONE, 1.0)
            await hang_up(caller)
            (recording,) = (await api.record())["recordings"]
        await bot.stop()
        assert recording["file"].endswith(".opus")
        assert soundfile.info(world.folder / "kept" / recording["file"]).subtype == "OPUS"
        samples, rate = soundfile.read(world.folder / "kept" / recording["file"])
        assert recording["duration_ms"] == pytest.approx(len(samples) / rate * 1000, abs=40)
        for channel, hertz in enumerate((CALLER_TONE, BOT_TONE)):
            spectrum = np.abs(np.fft.rfft(samples[:, channel]))
            loudest = np.fft.rfftfreq(len(samples), 1 / rate)[spectrum.argmax()]
            assert loudest == pytest.approx(hertz, abs=15), tone_name(hertz)
