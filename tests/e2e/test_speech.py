"""What a bot may rely on when it listens: a real caller speaks, interrupts it, and falls silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.prompts.espeak import Espeak
from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone, tone_name
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartGateway
from tests.e2e.process import Api
from tests.e2e.world import BOT_TONE, World


@pytest.fixture
def world(tmp_path: Path, start_gateway: StartGateway) -> World:
    """A gateway whose bot listens."""
    listens = {"backlog": 30, "speech": {"barge_in": "clear", "dead_air": 1.5}}
    world = World(tmp_path / "gateway", settings={"bots": {"assistant": listens}})
    start_gateway(world)
    return world


async def test_a_caller_interrupts_the_bot_and_then_nobody_speaks(
    world: World, caller: Softphone, bot: ScriptedBot, api: Api, tmp_path: Path
) -> None:
    words = tmp_path / "words.wav"
    words.write_bytes(await Espeak("en-gb", 155).speak("No, I have another question.", None))
    await caller.send(commands.Dial(call="a", to=world.number("100"), record=tmp_path / "a.wav"))
    talk = await bot.conversation()
    await caller.expect("confirmed", "a")
    await talk.say(tone(BOT_TONE, 20.0))
    await talk.send("mark", name="heard out")
    await caller.expect("heard", "a", sound=tone_name(BOT_TONE))

    await caller.send(commands.Play(call="a", file=words))
    await talk.expect("speech_started", cleared=True)
    await talk.expect("mark", name="heard out", played=False)
    await caller.expect("heard", "a", sound="silence")
    stopped = await talk.expect("speech_stopped")
    await talk.expect("silence", seconds=1.5)

    assert stopped["duration_ms"] > 500
    kinds = [message["type"] for message in talk.messages]
    assert kinds == ["speech_started", "mark", "speech_stopped", "silence"]
    await caller.send(commands.HangUp(call="a"))
    await caller.expect("disconnected", "a")
    timeline = (await api.record())["timeline"]
    told = [row["name"] for row in timeline if row["name"].startswith("speech.")]
    assert told == ["speech.started", "speech.stopped", "speech.dead_air"]
