"""Transfer by INVITE as caller and agent live through it, on real telephones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import SILENCE, SOUND, Span, listen, tone_name
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import (
    AGENT_TONE,
    CALLER_TONE,
    PROMPTS,
    RINGBACK,
    World,
    prompt,
    sound_of,
    transfer_node,
)

WHISPER = "operator"
ACCEPT = "accepted"
"""Which tone is which prompt here."""

MAX_TALK = 2.0

GOODBYE = {"type": "hangup", "prompt": prompt("goodbye")}


def _flow(name: str, **node: Any) -> dict[str, Any]:
    """A flow that hands every caller to sales, and says goodbye afterwards."""
    sales = {"target": "sales", "timeout": 20, "next": "goodbye", **node}
    nodes = {"to_sales": transfer_node(**sales), "goodbye": GOODBYE}
    return {"flow": name, "start": "to_sales", "nodes": nodes}


FLOWS = {
    "620": _flow(
        "accepting",
        accept={"prompt": prompt(ACCEPT), "digits": "15", "timeout": 20, "times": 2},
        whisper=prompt(WHISPER),
    ),
    "630": _flow(
        "accepting_soon",
        accept={"prompt": prompt(ACCEPT), "digits": "15", "timeout": 0.5, "times": 2},
    ),
    "621": _flow("limited", max_talk=MAX_TALK, max_talk_prompt=prompt("operator")),
    "622": _flow("early", waiting="early_media"),
    "623": _flow("bridged", answer_on_bridge=True),
    "624": _flow("bridged_early", answer_on_bridge=True, waiting="early_media"),
    "625": _flow("bridged_music", answer_on_bridge=True, waiting="music"),
    "626": _flow("whispering", whisper=prompt(WHISPER)),
    "627": _flow(
        "telling",
        whisper="{{ context.summary }} It is order {{ context.information.order }}.",
        context={"summary": "{{ call.caller }} asks.", "information": {"order": "4711"}},
    ),
    "628": _flow(
        "told_at_length",
        whisper="{{ context.summary }}",
        context={"summary": " ".join(["The caller asks again for an offer."] * 8)},
        cancel_digit="*",
        fallback={
            "cancelled": {"prompt": prompt("declined"), "end": True},
            "default": {"end": True},
        },
    ),
    "629": _flow("reminding", accepted_message=prompt(ACCEPT), repeat_message=5, timeout=40),
}


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for this file, with its own flows."""
    world = World(
        tmp_path_factory.mktemp("invite"),
        flows=tuple(FLOWS.values()),
        numbers={number: flow["flow"] for number, flow in FLOWS.items()},
    )
    yield from served(world)


def steps(attempt: dict[str, Any]) -> list[str]:
    """What happened in an attempt, in order."""
    return [step["what"] for step in attempt["steps"]]


async def sales(pbx: Softphone, folder: Path, **policy: Any) -> None:
    """How sales takes its calls."""
    taken = {"tone": AGENT_TONE, "record": folder / "agent.wav", **policy}
    await pbx.send(commands.Policy(user="sales", **taken))


async def dial(caller: Softphone, world: World, number: str, folder: Path, **more: Any) -> None:
    """The caller calls, speaks its tone and is recorded."""
    talk = {"tone": CALLER_TONE, "record": folder / "caller.wav", **more}
    await caller.send(commands.Dial(call="a", to=world.number(number), **talk))


def _is_caller(span: Span) -> bool:
    return span.sound == tone_name(CALLER_TONE)


async def attempt_of(api: Api) -> dict[str, Any]:
    """The one attempt of the one call."""
    (attempt,) = (await api.record())["attempts"]
    return dict(attempt)


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
        attempt = await attempt_of(api)
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
        attempt = await attempt_of(api)
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
        attempt = await attempt_of(api)
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
        attempt = await attempt_of(api)
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
        attempt = await attempt_of(api)
        assert (attempt["outcome"], attempt["timer"]) == ("connected", "max_talk")
        assert attempt["bye_by"] == "gateway"
        assert attempt["talk_ms"] >= MAX_TALK * 1000


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
        attempt = await attempt_of(api)
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


class TestTheCallerStillWaits:
    """From the order until caller and agent hear each other."""

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
        attempt = await attempt_of(api)
        reasons = {"caller": "cancelled by the caller", "operator": "cancelled"}
        assert (attempt["outcome"], attempt["reason"]) == ("cancelled", reasons[by])
        assert "joined" not in steps(attempt)
        assert not caller.seen("heard", "a", sound=tone_name(AGENT_TONE))

    async def test_the_accepted_message_is_said_again_between_the_ringing(
        self, world: World, caller: Softphone, pbx: Softphone, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path, answer=None)
        await dial(caller, world, "629", tmp_path)
        await pbx.expect("incoming", "in-1")
        for sound in (sound_of(ACCEPT), RINGBACK, sound_of(ACCEPT), RINGBACK):
            await caller.expect("heard", "a", sound=sound)
        await pbx.send(commands.Answer(call="in-1"))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("disconnected", "a", by="peer")
        await caller.expect("recorded", "a")
        ear = listen(tmp_path / "caller.wav")
        said = [span for span in ear.spans if span.sound == sound_of(ACCEPT)]
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


class TestKeysCrossTheJoin:
    """RFC 4733 from one leg is RFC 4733 on the other; INFO becomes RFC 4733."""

    @pytest.mark.parametrize("via", ["rfc4733", "info"])
    async def test_from_caller_to_agent_and_back(
        self, via: Any, world: World, caller: Softphone, pbx: Softphone, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "200", tmp_path)
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
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


class TestHoldByEitherSide:
    """RFC 3264 section 8.4: who is held hears our music; who resumes is heard again."""

    async def test_the_agent_holds_and_resumes(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "200", tmp_path)
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        caller.forget("heard")
        await pbx.send(commands.Hold(call="in-1"))
        await caller.expect("heard", "a", sound="sound")
        await pbx.send(commands.Resume(call="in-1"))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        await caller.expect("disconnected", "a", by="peer")
        attempt = await attempt_of(api)
        assert [s for s in steps(attempt) if s in ("hold", "resume")] == ["hold", "resume"]

    async def test_the_caller_holds_and_the_agent_hears_music(
        self, world: World, caller: Softphone, pbx: Softphone, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "200", tmp_path)
        await pbx.expect("heard", "in-1", sound=tone_name(CALLER_TONE))
        pbx.forget("heard")
        await caller.send(commands.Hold(call="a"))
        await pbx.expect("heard", "in-1", sound="sound")
        await caller.send(commands.Resume(call="a"))
        await pbx.expect("heard", "in-1", sound=tone_name(CALLER_TONE))
        await caller.send(commands.HangUp(call="a"))
        await pbx.expect("disconnected", "in-1")

    async def test_an_agent_who_hangs_up_on_hold_leaves_the_caller_to_the_flow(
        self, world: World, caller: Softphone, pbx: Softphone, tmp_path: Path
    ) -> None:
        await sales(pbx, tmp_path)
        await dial(caller, world, "200", tmp_path)
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        caller.forget("heard")
        await pbx.send(commands.Hold(call="in-1"))
        await caller.expect("heard", "a", sound="sound")
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        await caller.expect("disconnected", "a", by="peer")
