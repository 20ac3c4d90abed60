"""What the demo and the tests may rely on: the softphone, without a gateway."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest
import soundfile

from sip.faulty.peer import FaultyPeer
from sip.faulty.steps import Behaviour, Bye, Reply, Wait
from sip.softphone import commands
from sip.softphone.driver import Softphone, SoftphoneError
from sip.softphone.tones import listen, tone
from tests.e2e.conftest import StartPeer, StartPhone
from tests.e2e.world import GATEWAY, PBX
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.standstill import standstill

ALICE = "127.0.0.2"
BOB = "127.0.0.3"


@pytest.fixture
async def alice(start_phone: StartPhone) -> Softphone:
    return await start_phone(ALICE, name="alice")


@pytest.fixture
async def bob(start_phone: StartPhone) -> Softphone:
    return await start_phone(BOB, name="bob")


class TestCalls:
    """Dialling, and the policy of whoever is called."""

    async def test_both_hear_the_others_tone_and_record_it(
        self, alice: Softphone, bob: Softphone, tmp_path: Path
    ) -> None:
        await bob.send(commands.Policy(ring=0.1, tone=880, record=tmp_path / "bob.wav"))
        await alice.send(
            commands.Dial(call="a", to=bob.uri, tone=440, record=tmp_path / "alice.wav")
        )
        await alice.expect("early", "a", code=180)
        await alice.expect("confirmed", "a")
        await alice.expect("media", "a", state="active", codec="PCMU/8000")
        await alice.expect("heard", "a", sound="880 Hz")
        await bob.expect("heard", "in-1", sound="440 Hz")
        await alice.send(commands.HangUp(call="a"))
        await alice.expect("recorded", "a")
        await bob.expect("recorded", "in-1")
        assert listen(tmp_path / "alice.wav").seconds_of(880) > 0.2
        assert listen(tmp_path / "bob.wav").seconds_of(440) > 0.2

    async def test_a_policy_refuses_for_one_user_and_its_headers_arrive(
        self, alice: Softphone, bob: Softphone
    ) -> None:
        await bob.send(
            commands.Policy(
                user="sales", answer=503, reason="Closed", headers={"Retry-After": "30"}
            )
        )
        await alice.send(commands.Dial(call="a", to=bob.uri.replace("bob", "sales")))
        refused = await alice.expect("disconnected", "a", code=503, by="peer")
        assert refused["reason"] == "Closed"
        assert refused.headers.get("Retry-After") == "30"
        await alice.send(commands.Dial(call="b", to=bob.uri))
        await alice.expect("confirmed", "b")

    async def test_headers_of_invite_and_bye_are_reported(
        self, alice: Softphone, bob: Softphone
    ) -> None:
        await alice.send(
            commands.Dial(call="a", to=bob.uri, caller="+4930", headers={"X-Account": "4711"})
        )
        invite = await bob.expect("incoming")
        assert invite.headers.get("X-Account") == "4711"
        assert "+4930@" in invite["from"]
        await alice.expect("confirmed", "a")
        await bob.expect("confirmed", "in-1")  # before the ACK, PJSIP would lose the headers
        await bob.send(commands.HangUp(call="in-1", headers={"X-Result": "done"}))
        bye = await alice.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-Result") == "done"
        await bob.expect("disconnected", "in-1", by="us")

    async def test_a_call_that_ends_with_its_answer(self, alice: Softphone) -> None:
        """200 and BYE found together: there is no audio any more once the answer is looked at."""
        leaves = Behaviour(invite=(Wait(0.5), Reply(200, sdp=True), Bye(answered=False)))
        async with FaultyPeer(BOB, behaviour=leaves) as peer:
            await alice.send(commands.Dial(call="a", to=peer.uri, tone=440))
            async with standstill(alice.pid):
                await network.until(
                    lambda: any(call.sent("BYE") for call in peer.calls.values()), "BYE is sent"
                )
            await alice.expect("disconnected", "a", by="peer")

    async def test_a_call_is_answered_by_hand(self, alice: Softphone, bob: Softphone) -> None:
        await bob.send(commands.Policy(answer=None))
        await alice.send(commands.Dial(call="a", to=bob.uri))
        await alice.expect("early", "a")
        await bob.send(commands.Answer(call="in-1"))
        await alice.expect("confirmed", "a")

    async def test_a_ringing_call_is_cancelled(self, alice: Softphone, bob: Softphone) -> None:
        await bob.send(commands.Policy(answer=None))
        await alice.send(commands.Dial(call="a", to=bob.uri))
        await alice.expect("early", "a")
        await alice.send(commands.HangUp(call="a"))
        await alice.expect("disconnected", "a", code=487, by="us")
        await bob.expect("disconnected", "in-1", code=487, by="peer")

    async def test_early_media_is_heard_before_the_answer(
        self, alice: Softphone, bob: Softphone, tmp_path: Path
    ) -> None:
        await bob.send(commands.Policy(provisional=183, answer=None, tone=660))
        await alice.send(commands.Dial(call="a", to=bob.uri, record=tmp_path / "alice.wav"))
        await alice.expect("heard", "a", sound="660 Hz")
        assert not alice.seen("confirmed")

    async def test_calls_over_tcp(self, start_phone: StartPhone) -> None:
        alice = await start_phone(ALICE, name="alice", transport="tcp")
        bob = await start_phone(BOB, name="bob", transport="tcp")
        await alice.send(commands.Dial(call="a", to=bob.uri))
        await alice.expect("confirmed", "a")
        assert "/TCP" in bob.seen("incoming")[0].headers["Via"]


class TestDuringACall:
    """What a talker can do."""

    async def test_keys_arrive_by_either_way(self, alice: Softphone, bob: Softphone) -> None:
        await alice.send(commands.Dial(call="a", to=bob.uri))
        await bob.expect("confirmed", "in-1")
        await alice.send(commands.Dtmf(call="a", digits="159*0#"))
        for digit in "159*0#":
            await bob.expect("dtmf", "in-1", digit=digit, via="rfc4733")
        await bob.send(commands.Dtmf(call="in-1", digits="7", via="info"))
        await alice.expect("dtmf", "a", digit="7", via="info")

    async def test_hold_and_resume(self, alice: Softphone, bob: Softphone) -> None:
        await alice.send(commands.Dial(call="a", to=bob.uri))
        await bob.expect("media", "in-1", state="active")
        await alice.send(commands.Hold(call="a"))
        await bob.expect("media", "in-1", state="held_by_peer")
        await alice.expect("media", "a", state="held_by_us")
        await alice.send(commands.Resume(call="a"))
        await bob.expect("media", "in-1", state="active")

    async def test_a_file_is_played_once_and_a_tone_follows(
        self, alice: Softphone, bob: Softphone, tmp_path: Path
    ) -> None:
        words = tone(550, 0.5)
        with soundfile.SoundFile(tmp_path / "words.wav", "w", words.rate, 1, "PCM_16") as wav:
            wav.buffer_write(words.samples, "int16")
        await bob.send(commands.Policy(record=tmp_path / "bob.wav"))
        await alice.send(commands.Dial(call="a", to=bob.uri, play=tmp_path / "words.wav"))
        await bob.expect("heard", "in-1", sound="550 Hz")
        await alice.expect("played", "a")
        await alice.send(commands.Tone(call="a", hertz=770))
        await bob.expect("heard", "in-1", sound="770 Hz")


class TestRefer:
    """RFC 3515: the phone dials the Refer-To, and tells by NOTIFY what came of it."""

    async def refer(self, alice: Softphone, peer: StartPeer, target: str, final: str) -> None:
        """Somebody whom Alice calls refers her to `target`."""
        port = network.free_port(GATEWAY)
        script = Agent("refers").is_called().answers()
        script.sends("REFER", (f"Refer-To: <{target}>", "Referred-By: <sip:x@y>")).gets(202)
        for status in ("100", "180", final):
            script.receives("NOTIFY", {"Event": "refer"}).replies(200, f"OK {status}")
        script.is_hung_up_on()
        async with await peer(script, address=GATEWAY, port=port):
            await alice.send(commands.Dial(call="a", to=f"sip:desk@{GATEWAY}:{port}", tone=440))
            refer = await alice.expect("refer", "a")
            assert refer.headers.get("Referred-By") == "<sip:x@y>"
            await alice.expect("notify", "a", direction="sent", sipfrag=f"SIP/2.0 {final}")
            await alice.send(commands.HangUp(call="a"))

    async def test_it_reaches_the_target(
        self, alice: Softphone, bob: Softphone, peer: StartPeer, tmp_path: Path
    ) -> None:
        await bob.send(commands.Policy(ring=0.1, record=tmp_path / "bob.wav"))
        await self.refer(alice, peer, bob.uri, "200 OK")
        await alice.expect("confirmed", "a-referred")
        await bob.expect("heard", "in-1", sound="440 Hz")

    async def test_the_targets_refusal_is_the_final_notify(
        self, alice: Softphone, bob: Softphone, peer: StartPeer
    ) -> None:
        await bob.send(commands.Policy(ring=0.1, answer=503))
        await self.refer(alice, peer, bob.uri, "503 Service Unavailable")
        await alice.expect("disconnected", "a-referred", code=503)


class TestTheProcess:
    """It starts, says what is wrong, and leaves nothing."""

    async def test_what_cannot_be_done_is_refused_with_the_reason(self, alice: Softphone) -> None:
        with pytest.raises(SoftphoneError, match="no call is named 'x'"):
            await alice.send(commands.HangUp(call="x"))
        with pytest.raises(SoftphoneError, match="Invalid Request URI"):
            await alice.send(commands.Dial(call="a", to="nobody"))

    async def test_a_missing_report_tells_what_was_seen_instead(self, alice: Softphone) -> None:
        with pytest.raises(SoftphoneError, match=r"no 'dtmf' within 0.05 s(?s:.*)ready uri="):
            await alice.expect("dtmf", within=0.05)

    async def test_a_missing_report_tells_how_each_call_that_is_up_fares(
        self, alice: Softphone, bob: Softphone, peer: StartPeer, tmp_path: Path
    ) -> None:
        """What was sent to it and never read looks like a peer that sends nothing."""
        port = network.free_port(GATEWAY)
        mute = Agent("says nothing").is_called().answers().is_hung_up_on()
        await bob.send(commands.Policy(tone=880))
        async with await peer(mute, address=GATEWAY, port=port):
            for call, to in (("a", f"sip:mute@{GATEWAY}:{port}"), ("b", bob.uri), ("c", bob.uri)):
                record = tmp_path / f"{call}.wav" if call != "c" else None
                await alice.send(commands.Dial(call=call, to=to, tone=440, record=record))
                await alice.expect("confirmed", call)
            await alice.expect("heard", "a", sound="silence")
            await alice.expect("heard", "b", sound="880 Hz")
            with pytest.raises(SoftphoneError) as error:
                await alice.expect("heard", "a", sound="880 Hz", within=0.05)
            await alice.send(commands.HangUp(call="a"))
        told = [line.strip() for line in str(error.value).splitlines()]
        assert told[0] == "softphone alice: no \"heard a sound='880 Hz'\" within 0.05 s"
        packets, seconds = "[1-9][0-9]*", r"[0-9]+\.[0-9]+"
        for line in (
            f"statistics a received=0 sent={packets} recorded={seconds}",
            f"statistics b received={packets} sent={packets} recorded={seconds}",
            "statistics c received=[0-9]+ sent=[0-9]+ recorded=None",
        ):
            assert any(re.fullmatch(line, each) for each in told), error.value

    async def test_a_phone_that_hangs_is_not_waited_for_to_say_what_is_missing(
        self, alice: Softphone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sip.softphone.driver.REPORT_LIMIT", 0.05)
        monkeypatch.setattr("sip.softphone.driver.STATISTICS_LIMIT", 0.05)
        async with standstill(alice.pid):
            with pytest.raises(SoftphoneError, match=r"no 'dtmf' within [0-9.]+ s, and not"):
                await alice.expect("dtmf", within=0.05)
            with pytest.raises(SoftphoneError, match=r"no .done do='policy'. within [0-9.]+ s\n"):
                await alice.send(commands.Policy())

    async def test_a_taken_address_ends_it_with_the_reason(self, alice: Softphone) -> None:
        port = int(alice.uri.rpartition(":")[2])
        with pytest.raises(SoftphoneError, match=f"cannot listen on {ALICE}:{port}"):
            await Softphone.start(ALICE, port)

    async def test_its_end_hangs_up_and_finishes_recordings(
        self, alice: Softphone, bob: Softphone, tmp_path: Path
    ) -> None:
        await alice.send(commands.Dial(call="a", to=bob.uri, record=tmp_path / "alice.wav"))
        await bob.expect("confirmed", "in-1")
        os.kill(alice.pid, signal.SIGTERM)
        await bob.expect("disconnected", "in-1", by="peer")
        await alice.expect("recorded", "a")
        await alice.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(alice.pid, 0)

    async def test_a_call_that_came_after_policies_were_set_follows_them(
        self, start_phone: StartPhone, alice: Softphone
    ) -> None:
        """`send` returns when the command is carried out, not when it is written."""
        bob = await start_phone(PBX, name="bob")
        await asyncio.gather(
            *(bob.send(commands.Policy(user=f"u{n}", answer=480 + n)) for n in range(5))
        )
        await alice.send(commands.Dial(call="a", to=bob.uri.replace("bob", "u4")))
        await alice.expect("disconnected", "a", code=484)
