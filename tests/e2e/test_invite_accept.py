"""Whoever picks up is asked, and told who calls, before the caller is handed over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import SOUND, Span, listen, tone_name
from tests.e2e.handing_over import dial, flow, sales, steps
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import AGENT_TONE, CALLER_TONE, PROMPTS, RINGBACK, World, prompt, sound_of

WHISPER = "operator"
ACCEPT = "accepted"
"""Which tone is which prompt here."""

FLOWS = {
    "620": flow(
        "accepting",
        accept={"prompt": prompt(ACCEPT), "digits": "15", "timeout": 20, "times": 2},
        whisper=prompt(WHISPER),
    ),
    "630": flow(
        "accepting_soon",
        accept={"prompt": prompt(ACCEPT), "digits": "15", "timeout": 0.5, "times": 2},
    ),
    "626": flow("whispering", whisper=prompt(WHISPER)),
    "627": flow(
        "telling",
        whisper="{{ context.summary }} It is order {{ context.information.order }}.",
        context={"summary": "{{ call.caller }} asks.", "information": {"order": "4711"}},
    ),
    "628": flow(
        "told_at_length",
        whisper="{{ context.summary }}",
        context={"summary": " ".join(["The caller asks again for an offer."] * 8)},
        cancel_digit="*",
        fallback={
            "cancelled": {"prompt": prompt("declined"), "end": True},
            "default": {"end": True},
        },
    ),
}


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Its flows ask the agent, or tell it something."""
    yield from served(World.answering(tmp_path_factory.mktemp("accept"), FLOWS))


def _is_caller(span: Span) -> bool:
    return span.sound == tone_name(CALLER_TONE)


class TestTheAgentIsAskedToAccept:
    """An answered INVITE is not yet an agent: RFC 3261 says nothing of who picked up."""

    async def test_its_key_takes_the_call_after_a_whisper(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "620", tmp_path)
        await pbx.expect("heard", "in-1", sound=sound_of(ACCEPT))
        await pbx.send(commands.Dtmf(call="in-1", digits="5"))
        await pbx.expect("heard", "in-1", sound=sound_of(WHISPER))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.expect("heard", "in-1", sound=tone_name(CALLER_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["bye_by"]) == ("connected", "target")
        assert [s for s in steps(attempt) if s not in ("provisional", "invite_sent")] == [
            "answered",
            "accept_asked",
            "accepted",
            "whisper",
            "joined",
            "bye",
        ]
        await caller.expect("recorded", "a")
        ear = listen(tmp_path / "caller.wav")
        for words in (ACCEPT, WHISPER):
            assert ear.seconds_of(PROMPTS[words]) == 0, f"the caller heard {words}: {ear}"

    async def test_it_hears_the_packet_spoken_before_the_caller(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "627", tmp_path)
        await pbx.expect("heard", "in-1", sound=SOUND)
        await pbx.expect("heard", "in-1", sound=tone_name(CALLER_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        happened = steps(attempt)
        assert happened.index("whisper") < happened.index("joined")
        assert not attempt["dropped"]
        await pbx.expect("recorded", "in-1")
        ear = listen(tmp_path / "agent.wav")
        spoken = sum(
            span.seconds
            for span in takewhile(lambda span: not _is_caller(span), ear.spans)
            if span.sound == SOUND
        )
        assert spoken > 0.5, ear
        await caller.expect("recorded", "a")
        ear = listen(tmp_path / "caller.wav")
        words = [span for span in ear.spans if span.sound == SOUND and span.seconds > 0.11]
        assert not words, f"the caller heard it: {ear}"

    @pytest.mark.parametrize(
        ("key", "by", "timer"), [("9", "gateway", None), ("", "gateway", "accept")]
    )
    async def test_another_key_or_none_declines_it(
        self,
        key: str,
        by: str,
        timer: str | None,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "620" if key else "630", tmp_path)
        await pbx.expect("heard", "in-1", sound=sound_of(ACCEPT))
        if key:
            await pbx.send(commands.Dtmf(call="in-1", digits=key))
        await pbx.expect("disconnected", "in-1", by="peer")
        await caller.expect("heard", "a", sound=sound_of("declined"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["timer"]) == ("declined", timer)
        assert attempt["bye_by"] == by
        assert "accept_refused" in steps(attempt)
        await caller.expect("recorded", "a")
        assert listen(tmp_path / "caller.wav").seconds_of(AGENT_TONE) == 0

    async def test_hanging_up_at_the_prompt_declines_it(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "620", tmp_path)
        await pbx.expect("heard", "in-1", sound=sound_of(ACCEPT))
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=sound_of("declined"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["bye_by"]) == ("declined", "target")

    @pytest.mark.parametrize(("number", "words"), [("620", sound_of(ACCEPT)), ("628", SOUND)])
    async def test_a_caller_who_hangs_up_meanwhile_releases_it(
        self,
        number: str,
        words: str,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, number, tmp_path)
        await pbx.expect("heard", "in-1", sound=words)
        await caller.send(commands.HangUp(call="a"))
        await pbx.expect("disconnected", "in-1", by="peer")
        record = await api.record()
        assert record["disposition"] == "abandoned"
        (attempt,) = record["attempts"]
        assert (attempt["outcome"], attempt["bye_by"]) == ("abandoned", "caller")

    async def test_the_caller_hears_ringback_until_the_join(
        self, world: World, caller: Softphone, pbx: Softphone, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "626", tmp_path)
        await pbx.expect("heard", "in-1", sound=sound_of(WHISPER))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await caller.send(commands.HangUp(call="a"))
        await caller.expect("recorded", "a")
        ear = listen(tmp_path / "caller.wav")
        assert ear.seconds_of(RINGBACK) > 0.4, ear

    @pytest.mark.parametrize("by", ["caller", "operator"])
    async def test_an_agent_who_is_being_told_is_let_go_when_it_is_taken_back(
        self, by: str, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "628", tmp_path)
        await pbx.expect("heard", "in-1", sound=SOUND)
        if by == "caller":
            await caller.send(commands.Dtmf(call="a", digits="*"))
        else:
            call = await api.only_call()
            assert (await api.decide(call["id"], "cancel_transfer")).status_code == 202
        await pbx.expect("disconnected", "in-1", by="peer")
        await caller.expect("heard", "a", sound=sound_of("declined"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        reasons = {"caller": "cancelled by the caller", "operator": "cancelled through the API"}
        assert (attempt["outcome"], attempt["reason"]) == ("cancelled", reasons[by])
        assert "joined" not in steps(attempt)
        assert not caller.seen("heard", "a", sound=tone_name(AGENT_TONE))
