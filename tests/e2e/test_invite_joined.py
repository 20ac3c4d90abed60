"""Caller and agent talk: their keys, who holds whom, and how long they may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone_name
from tests.e2e.handing_over import dial, flow, sales, steps
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import AGENT_TONE, CALLER_TONE, World, prompt, sound_of

MAX_TALK = 2.0

FLOWS = {"621": flow("limited", max_talk=MAX_TALK, max_talk_prompt=prompt("operator"))}


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One of its flows limits the talk."""
    yield from served(World.answering(tmp_path_factory.mktemp("joined"), FLOWS))


@pytest_asyncio.fixture
async def talking(world: World, caller: Softphone, pbx: Softphone, tmp_path: Path) -> None:
    """Caller and agent have heard each other; what is heard from here on is something else."""
    await sales(pbx, tmp_path)
    await dial(caller, world, "200", tmp_path)
    await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
    await pbx.expect("heard", "in-1", sound=tone_name(CALLER_TONE))
    caller.forget("heard")
    pbx.forget("heard")


@pytest.mark.usefixtures("talking")
class TestKeysCrossTheJoin:
    """RFC 4733 from one leg is RFC 4733 on the other; INFO becomes RFC 4733."""

    @pytest.mark.parametrize("via", ["rfc4733", "info"])
    async def test_from_caller_to_agent_and_back(
        self, via: Any, caller: Softphone, pbx: Softphone
    ) -> None:
        await caller.send(commands.Dtmf(call="a", digits="159#", via=via))
        for digit in "159#":
            await pbx.expect("dtmf", "in-1", digit=digit, via="rfc4733")
        await pbx.send(commands.Dtmf(call="in-1", digits="4*", via=via))
        for digit in "4*":
            await caller.expect("dtmf", "a", digit=digit, via="rfc4733")
        await caller.send(commands.HangUp(call="a"))
        await pbx.expect("disconnected", "in-1")
        assert len(pbx.seen("dtmf")) == 4
        assert len(caller.seen("dtmf")) == 2


@pytest.mark.usefixtures("talking")
class TestHoldByEitherSide:
    """RFC 3264 section 8.4: who is held hears our music; who resumes is heard again."""

    async def test_the_agent_holds_and_resumes(
        self, caller: Softphone, pbx: Softphone, api: Api
    ) -> None:
        await pbx.send(commands.Hold(call="in-1"))
        await caller.expect("heard", "a", sound="sound")
        await pbx.send(commands.Resume(call="in-1"))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert [s for s in steps(attempt) if s in ("hold", "resume")] == ["hold", "resume"]

    async def test_the_caller_holds_and_the_agent_hears_music(
        self, caller: Softphone, pbx: Softphone
    ) -> None:
        await caller.send(commands.Hold(call="a"))
        await pbx.expect("heard", "in-1", sound="sound")
        await caller.send(commands.Resume(call="a"))
        await pbx.expect("heard", "in-1", sound=tone_name(CALLER_TONE))
        await caller.send(commands.HangUp(call="a"))
        await pbx.expect("disconnected", "in-1")

    async def test_an_agent_who_hangs_up_on_hold_leaves_the_caller_to_the_flow(
        self, caller: Softphone, pbx: Softphone
    ) -> None:
        await pbx.send(commands.Hold(call="in-1"))
        await caller.expect("heard", "a", sound="sound")
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        await caller.expect("disconnected", "a", by="peer")


class TestTheTalkIsLimited:
    """VoiceXML 2.1 section 2.3.7: maxtime_disconnect."""

    async def test_both_are_told_and_the_flow_goes_on_below(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "621", tmp_path)
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        bye = await pbx.expect("disconnected", "in-1", by="peer")
        assert bye is not None
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["timer"]) == ("connected", "max_talk")
        assert attempt["bye_by"] == "gateway"
        assert attempt["talk_ms"] >= MAX_TALK * 1000
