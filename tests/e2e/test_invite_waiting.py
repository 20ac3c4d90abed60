"""What a caller hears until the agent is there: ringing, early media, music, words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import SILENCE, listen, tone_name
from tests.e2e.handing_over import dial, flow, sales
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import AGENT_TONE, RINGBACK, World, prompt, sound_of

FLOWS = {
    "622": flow("early", waiting="early_media"),
    "623": flow("bridged", answer_on_bridge=True),
    "624": flow("bridged_early", answer_on_bridge=True, waiting="early_media"),
    "625": flow("bridged_music", answer_on_bridge=True, waiting="music"),
    "629": flow("reminding", accepted_message=prompt("accepted"), repeat_message=5, timeout=40),
}


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Its flows let the caller wait in different ways."""
    yield from served(World.answering(tmp_path_factory.mktemp("waiting"), FLOWS))


class TestTheCallerWaits:
    """RFC 3960: early media, or ringing of our own."""

    async def test_early_media_is_heard_while_it_flows(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path, provisional=183, answer=None)
        await dial(caller, world, "622", tmp_path)
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.send(commands.Answer(call="in-1", code=486))
        await caller.expect("heard", "a", sound=sound_of("code-486"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["talk_ms"]) == ("busy", 0)

    async def test_without_it_the_caller_hears_ringback(
        self, world: World, caller: Softphone, pbx: Softphone, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path, provisional=180, answer=None)
        await dial(caller, world, "622", tmp_path)
        await caller.expect("heard", "a", sound=RINGBACK)
        caller.forget("heard")
        await caller.expect("heard", "a", sound=SILENCE)  # it has rung once
        await pbx.send(commands.Answer(call="in-1", code=486))
        await caller.expect("disconnected", "a", by="peer")
        await caller.expect("recorded", "a")
        ear = listen(tmp_path / "caller.wav")
        assert ear.seconds_of(RINGBACK) > 0.8, ear

    async def test_a_caller_who_asked_for_no_early_media_hears_none(
        self, world: World, caller: Softphone, pbx: Softphone, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path, provisional=183, ring=1.0, answer=486)
        await dial(caller, world, "200", tmp_path)
        await caller.expect("disconnected", "a", by="peer")
        await caller.expect("recorded", "a")
        assert listen(tmp_path / "caller.wav").seconds_of(AGENT_TONE) == 0

    async def test_the_accepted_message_is_said_again_between_the_ringing(
        self, world: World, caller: Softphone, pbx: Softphone, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path, answer=None)
        await dial(caller, world, "629", tmp_path)
        await pbx.expect("incoming", "in-1")
        for sound in (sound_of("accepted"), RINGBACK, sound_of("accepted"), RINGBACK):
            await caller.expect("heard", "a", sound=sound)
        await pbx.send(commands.Answer(call="in-1"))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("disconnected", "a", by="peer")
        await caller.expect("recorded", "a")
        ear = listen(tmp_path / "caller.wav")
        said = [span for span in ear.spans if span.sound == sound_of("accepted")]
        again = [now for before, now in pairwise(said) if now.start - before.end > 1]
        assert len(again) == 1, ear


class TestTheAgentAnswersForTheCaller:
    """Answer on bridge: no 200 to the caller before there is somebody to talk to."""

    async def test_the_caller_rings_until_the_agent_answers(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        """RFC 3261 section 13.3.1.1: 180 is left to the caller's telephone."""
        await sales(pbx, tmp_path, answer=None)
        await dial(caller, world, "623", tmp_path)
        await caller.expect("early", "a", code=180)
        await pbx.expect("incoming", "in-1")
        assert not caller.seen("confirmed")
        await pbx.send(commands.Answer(call="in-1"))
        await caller.expect("confirmed", "a")
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        assert record["disposition"] == "transferred"

    @pytest.mark.parametrize("number", ["623", "624", "625"])
    async def test_the_callers_cancel_stops_the_agents_ringing(
        self,
        number: str,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """RFC 3261 section 9.1: 487 to the caller, CANCEL to the agent."""
        await sales(pbx, tmp_path, answer=None)
        await dial(caller, world, number, tmp_path)
        await pbx.expect("incoming", "in-1")
        await caller.expect("early", "a")
        await caller.send(commands.HangUp(call="a"))
        await pbx.expect("disconnected", "in-1", code=487, by="peer")
        record = await api.record()
        assert record["disposition"] == "abandoned"
        assert record["answered_at"] is None
        assert record["attempts"][0]["outcome"] == "abandoned"

    async def test_the_agents_early_media_passes_through(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        """RFC 3960: the caller gets 183 with SDP once the agent's early media flows."""
        await sales(pbx, tmp_path, provisional=183, answer=None)
        await dial(caller, world, "624", tmp_path)
        await caller.expect("early", "a", code=183)
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        assert not caller.seen("confirmed")
        await caller.send(commands.HangUp(call="a"))
        await pbx.expect("disconnected", "in-1")

    async def test_music_is_heard_as_early_media(
        self, world: World, caller: Softphone, pbx: Softphone, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path, answer=None)
        await dial(caller, world, "625", tmp_path)
        await caller.expect("early", "a", code=183)
        await caller.expect("heard", "a", sound="sound")
        await pbx.expect("incoming", "in-1")
        await pbx.send(commands.Answer(call="in-1"))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await caller.send(commands.HangUp(call="a"))
        await pbx.expect("disconnected", "in-1", by="peer")

    async def test_a_refusal_is_passed_on_after_its_words(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        """The prompt is early media; then the trunk gets the agent's own code and may go on."""
        await sales(pbx, tmp_path, answer=486)
        await dial(caller, world, "623", tmp_path)
        await caller.expect("heard", "a", sound=sound_of("code-486"))
        await caller.expect("disconnected", "a", code=486, by="peer")
        record = await api.record()
        assert record["answered_at"] is None
