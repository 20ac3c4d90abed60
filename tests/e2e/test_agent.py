"""The gateway dials the agent: the legs are joined, or the failure takes its configured way."""

from __future__ import annotations

from pathlib import Path

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import SILENCE, SOUND, listen, tone_name
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.world import (
    AGENT_TONE,
    CALLER_TONE,
    CARRIER,
    FALLBACK,
    PBX,
    PROMPTS,
    RINGBACK,
    World,
    sound_of,
)
from tests.peers.agent import Agent
from tests.peers.caller import Caller


class TestAnAgentAnswers:
    """RFC 3261 section 13.2: our INVITE meets 180 and 200."""

    async def test_caller_and_agent_hear_each_other(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        wav = tmp_path / "agent.wav"
        await pbx.send(commands.Policy(user="sales", answer=None, tone=AGENT_TONE, record=wav))
        recording = tmp_path / "caller.wav"
        await caller.send(
            commands.Dial(
                call="a", to=world.number("200"), tone=CALLER_TONE, record=recording, caller="0301"
            )
        )
        await caller.expect("heard", "a", sound=RINGBACK)
        caller.forget("heard")
        await caller.expect("heard", "a", sound=SILENCE)  # it has rung once
        await pbx.send(commands.Answer(call="in-1"))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("heard", "a", sound=sound_of("goodbye"))
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-End") == "goodbye"

        await caller.expect("recorded", "a")
        heard = listen(recording)
        assert heard.seconds_of(RINGBACK) > 0.3, heard
        assert heard.seconds_of(AGENT_TONE) > 0, heard
        record = await api.record()
        assert record["disposition"] == "transferred"
        (attempt,) = record["attempts"]
        assert (attempt["method"], attempt["outcome"], attempt["code"]) == (
            "invite",
            "connected",
            200,
        )
        assert attempt["bye_by"] == "target"
        assert attempt["talk_ms"] > 0
        assert record["path"] == ["to_sales", "goodbye"]

    async def test_the_callers_hangup_releases_the_agent_once(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        agent = Agent("is hung up on").is_called().rings().answers().is_hung_up_on()
        async with await peer(agent, address=PBX, port=world.pbx_port):
            await caller.send(commands.Dial(call="a", to=world.number("200")))
            await api.event("transfer.joined")
            await caller.send(commands.HangUp(call="a"))
            await caller.expect("disconnected", "a", by="us")
        record = await api.record()
        assert record["disposition"] == "transferred"
        assert record["attempts"][0]["bye_by"] == "caller"

    async def test_early_media_is_no_answer(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api
    ) -> None:
        """183 with SDP leaves the call where it is (RFC 3960)."""
        agent = Agent("sends 183").is_called().progresses().refuses(486, "Busy Here")
        async with await peer(agent, address=PBX, port=world.pbx_port):
            await caller.send(commands.Dial(call="a", to=world.number("200")))
            await caller.expect("disconnected", "a", by="peer")
        attempt = await api.attempt()
        assert attempt["outcome"] == "busy"


class TestAnAgentFails:
    """RFC 3261 section 21: the final response decides which words the caller hears."""

    @pytest.mark.parametrize(
        ("code", "reason", "headers", "outcome", "key"),
        [
            (486, "Busy Here", (), "busy", "486"),
            (404, "Not Found", (), "bad_destination", "bad_destination"),
            (480, "Temporarily Unavailable", (), "no_answer", "no_answer"),
            (488, "Not Acceptable Here", (), "media_incompatible", "media_incompatible"),
            (500, "Server Internal Error", (), "server_unavailable", "5xx"),
            (503, "Service Unavailable", ("Retry-After: 7",), "server_unavailable", "503"),
            (603, "Decline", (), "declined", "declined"),
            (302, "", ("Contact: <sip:x@127.0.0.9>",), "blocked", "default"),
        ],
    )
    async def test_the_fallback_of_the_most_exact_key_is_heard(
        self,
        code: int,
        reason: str,
        headers: tuple[str, ...],
        outcome: str,
        key: str,
        world: World,
        peer: StartPeer,
        caller: Softphone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        agent = Agent(f"answers {code}").is_called().rings().refuses(code, reason, headers)
        recording = tmp_path / "caller.wav"
        async with await peer(agent, address=PBX, port=world.pbx_port):
            await caller.send(commands.Dial(call="a", to=world.number("200"), record=recording))
            await caller.expect("disconnected", "a", by="peer")
        await caller.expect("recorded", "a")
        heard = listen(recording)
        words = PROMPTS[FALLBACK[key]]
        assert heard.seconds_of(words) > 0.4, heard
        record = await api.record()
        (attempt,) = record["attempts"]
        assert (attempt["outcome"], attempt["code"]) == (outcome, code)
        assert reason in attempt["reason"]
        assert attempt["retry_after"] == (7 if code == 503 else None)
        assert record["end"] == "fallback"

    async def test_no_answer_is_cancelled_and_falls_back(
        self, world: World, peer: StartPeer, caller: Softphone, api: Api, tmp_path: Path
    ) -> None:
        """RFC 3261 section 9.1: CANCEL, 487, ACK."""
        agent = Agent("lets it ring").is_called().rings().is_cancelled()
        recording = tmp_path / "caller.wav"
        async with await peer(agent, address=PBX, port=world.pbx_port):
            await caller.send(commands.Dial(call="a", to=world.number("200"), record=recording))
            await caller.expect("disconnected", "a", by="peer")
        await caller.expect("recorded", "a")
        assert listen(recording).seconds_of(PROMPTS["no-answer"]) > 0.4
        attempt = await api.attempt()
        assert attempt["outcome"] == "no_answer"
        assert attempt["timer"]

    async def test_a_caller_who_hangs_up_meanwhile_abandons_the_attempt(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        agent = Agent("rings").is_called().rings().is_cancelled()
        script = Caller("loses patience").dials().is_answered().waits().hangs_up()
        where = {"address": CARRIER, "gateway": world.address, "number": "200"}
        called = await peer(agent, address=PBX, port=world.pbx_port)
        async with called, await peer(script, **where) as sipp:
            await called.said("SIP/2.0 180")
            sipp.go_on()
        record = await api.record()
        assert record["disposition"] == "abandoned"
        (attempt,) = record["attempts"]
        assert attempt["outcome"] == "abandoned"

    async def test_the_second_agent_is_reached_after_the_first_was_busy(
        self, world: World, caller: Softphone, pbx: Softphone, api: Api, tmp_path: Path
    ) -> None:
        """The fallback names the node of the next agent, which sends a header of its own."""
        await pbx.send(commands.Policy(user="sales", answer=486))
        wav = tmp_path / "agent.wav"
        await pbx.send(commands.Policy(user="support", answer=None, tone=AGENT_TONE, record=wav))
        recording = tmp_path / "caller.wav"
        await caller.send(
            commands.Dial(call="a", to=world.number("500"), tone=CALLER_TONE, record=recording)
        )
        for sound in (sound_of("accepted"), sound_of("code-486")):
            await caller.expect("heard", "a", sound=sound)
        caller.forget("heard")
        await caller.expect("heard", "a", sound=SOUND)  # music
        await pbx.send(commands.Answer(call="in-2"))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.expect("heard", "in-2", sound=tone_name(CALLER_TONE))
        invite = pbx.seen("incoming", "in-2")[0]
        assert invite.headers.get("X-Queue") == "support"
        await pbx.send(commands.HangUp(call="in-2"))
        await caller.expect("disconnected", "a", by="peer")
        record = await api.record()
        assert [a["outcome"] for a in record["attempts"]] == ["busy", "connected"]
        assert record["path"] == ["first", "next_one", "goodbye"]
        assert record["disposition"] == "transferred"
