"""A bot that stays connected while a telephone rings, and sends the CANCEL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone_name
from tests.e2e.bot import ScriptedBot
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import AGENT_TONE, CALLER_TONE, RINGBACK, World, prompt, sound_of

FLOW = {
    "flow": "staying",
    "start": "talk",
    "nodes": {
        "talk": {
            "type": "bot",
            "bot": "assistant",
            "transfer": {"default": "hand_over"},
            "stays": True,
            "error": "bye",
        },
        "hand_over": {
            "type": "agent_transfer",
            "fallback": {
                "cancelled": {"prompt": prompt("operator"), "node": "talk"},
                "default": {"node": "talk"},
            },
        },
        "bye": {"type": "hangup"},
    },
}


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for this file, with its own flow."""
    world = World(tmp_path_factory.mktemp("staying"), flows=(FLOW,), numbers={"680": "staying"})
    yield from served(world)


async def test_it_cancels_and_the_same_session_goes_on_until_somebody_answers(
    world: World, caller: Softphone, pbx: Softphone, bot: ScriptedBot, api: Api, tmp_path: Path
) -> None:
    await pbx.send(commands.Policy(user="sales", answer=None))
    await pbx.send(commands.Policy(user="support", tone=AGENT_TONE))
    number, recording = world.number("680"), tmp_path / "caller.wav"
    await caller.send(commands.Dial(call="a", to=number, tone=CALLER_TONE, record=recording))
    session = await bot.conversation()
    await session.hears(CALLER_TONE)

    await session.send("transfer", target="sales")
    await session.expect("transfer", status="queued", attempt=None, target="sales")
    await session.expect("transfer", status="ringing", attempt="t1", sip_code=180)
    await caller.expect("heard", "a", sound=RINGBACK)
    await session.send("hangup")
    assert (await session.expect("error"))["code"] == "refused"
    heard = len(session.audio)
    await session.send("cancel_transfer")
    await pbx.expect("disconnected", code=487, by="peer")
    handover = await session.expect("handover")
    assert (handover["status"], handover["outcome"]) == ("cancelled", "cancelled")
    assert handover["sip_code"] is None  # the verdict does not wait for the 487
    assert handover["message"] == "cancelled by the bot"
    assert len(session.audio) == heard
    await caller.expect("heard", "a", sound=sound_of("operator"))

    session.audio.clear()
    await session.hears(CALLER_TONE)
    await session.send("transfer", target="support")
    await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
    assert (await session.expect("handover"))["status"] == "active"
    assert (await session.expect("stop"))["reason"] == "transfer"
    await caller.send(commands.HangUp(call="a"))
    await caller.expect("disconnected", "a")

    record = await api.record()
    assert [each["outcome"] for each in record["attempts"]] == ["cancelled", "connected"]
    names = [event["name"] for event in record["timeline"]]
    assert names.count("bot.connected") == names.count("bot.disconnected") == 1
    [taken] = [each for each in record["timeline"] if each["name"] == "fallback.taken"]
    assert taken["key"] == "cancelled"
