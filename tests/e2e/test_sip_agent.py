"""The SIP agent by itself, in this process, with a softphone as its trunk: what a leg promises."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from config.settings import Settings
from config.targets import Reach, Target
from sip.agent import SipAgent
from sip.audio import Pcm
from sip.errors import BindError, CallEnded, DestinationBlocked, EngineError
from sip.events import (
    Direction,
    Event,
    HoldChanged,
    LegAnswered,
    LegEnded,
    LegStarted,
    MediaStarted,
    SipMessage,
)
from sip.leg import Leg
from sip.order import TransferOrder
from sip.outcome import Attempt, Method, Outcome, Side
from sip.pjsip import native
from sip.softphone.commands import Answer, Dial, HangUp, Hold, Policy, Resume
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone
from tests.peers import network

GATEWAY, CARRIER, ELSEWHERE, AGENT = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
LIMIT = network.PATIENCE


@dataclass
class Call:
    """A caller's leg and the telephone at its other end."""

    leg: Leg
    phone: Softphone
    agent: SipAgent


def settings(port: int) -> Settings:
    first, last = network.free_udp_range(GATEWAY, 64)
    return Settings.model_validate(
        {
            "sip": {
                "listen": [{"address": GATEWAY, "port": port}],
                "rtp": {"address": GATEWAY, "first_port": first, "last_port": last},
                "max_calls": 4,
            },
            "trunks": {"carrier": {"sources": [f"{CARRIER}/32"], "routes": [{"flow": "any"}]}},
            "allow": [f"sip:*@{AGENT}"],
        }
    )


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    """A call that has arrived and is not answered yet."""
    port = network.free_port(GATEWAY)
    agent = SipAgent(settings(port))
    await agent.start()
    async with await Softphone.start(CARRIER, name="caller") as phone:
        await phone.send(
            Dial(call="a", to=f"sip:100@{GATEWAY}:{port}", tone=440, headers={"X-Ticket": "7"})
        )
        async with asyncio.timeout(LIMIT):
            leg = await anext(agent.inbound())
        yield Call(leg, phone, agent)
        await agent.stop()
        assert dict(agent.legs) == {}


async def events(leg: Leg, last: type[Event] = LegEnded) -> list[Event]:
    """What has happened and happens on a leg, until something of this type."""
    seen: asyncio.Queue[Event] = asyncio.Queue()
    leg.subscribe(seen.put_nowait)
    happened: list[Event] = []
    async with asyncio.timeout(LIMIT):
        while not (happened and isinstance(happened[-1], last)):
            happened.append(await seen.get())
    return happened


async def test_a_leg_tells_who_calls_whom(call: Call) -> None:
    info = call.leg.info
    assert (info.direction, info.trunk, info.flow) == (Direction.RECEIVED, "carrier", "any")
    assert (info.caller, info.number) == ("caller", "100")
    assert info.received.headers == {"X-Ticket": "7"}
    assert info.source.startswith(f"{CARRIER}:")


@pytest.mark.parametrize("code", [180, 183])
async def test_ringing_is_heard_of_before_the_answer(call: Call, code: int) -> None:
    call.leg.dialog.ring(code)
    assert (await call.phone.expect("early", "a"))["code"] == code
    await call.leg.answer()
    await call.phone.expect("confirmed", "a")
    assert call.leg.dialog.answered


async def test_a_refusal_carries_code_reason_and_headers(call: Call) -> None:
    call.leg.reject(480, "Closed today", [("X-Why", "holiday"), ("Retry-After", "3600")])
    refused = await call.phone.expect("disconnected", "a")
    assert (refused["code"], refused["reason"]) == (480, "Closed today")
    assert refused.headers["X-Why"] == "holiday"
    assert refused.headers["Retry-After"] == "3600"
    ended = await call.leg.wait_ended()
    assert (ended.code, ended.by) == (480, Side.GATEWAY)


async def test_hanging_up_before_the_answer_declines(call: Call) -> None:
    await call.leg.hangup({"X-By": "us"})
    refused = await call.phone.expect("disconnected", "a")
    assert (refused["code"], refused.headers["X-By"]) == (603, "us")


async def test_digits_reach_the_peer_even_where_nobody_speaks(call: Call) -> None:
    """RFC 4733 needs the RTP clock to run."""
    await call.leg.answer()
    await call.phone.expect("confirmed", "a")
    await call.leg.send_dtmf("19*#")
    for digit in "19*#":
        assert (await call.phone.expect("dtmf", "a"))["digit"] == digit


async def test_hold_and_resume_are_seen(call: Call) -> None:
    """RFC 3264 section 8.4."""
    await call.leg.answer()
    await call.phone.expect("confirmed", "a")
    held: asyncio.Queue[bool] = asyncio.Queue()
    call.leg.subscribe(lambda e: held.put_nowait(e.held) if isinstance(e, HoldChanged) else None)
    async with asyncio.timeout(LIMIT):
        await call.phone.send(Hold(call="a"))
        assert await held.get() is True
        assert call.leg.held
        await call.phone.send(Resume(call="a"))
        assert await held.get() is False
    assert not call.leg.held


async def test_the_stream_of_events_tells_a_call_from_invite_to_end(call: Call) -> None:
    await call.leg.answer()
    await call.phone.expect("confirmed", "a")
    await events(call.leg, MediaStarted)
    await call.leg.play(Pcm(bytes(1600), 8000))
    await call.phone.send(HangUp(call="a", headers={"Reason": "Q.850;cause=16"}))
    happened = await events(call.leg)
    assert isinstance(happened[0], LegStarted)
    assert any(isinstance(event, LegAnswered) for event in happened)
    messages = [event for event in happened if isinstance(event, SipMessage)]
    assert messages[0].text.startswith("INVITE sip:100@")
    assert any("Q.850;cause=16" in message.text for message in messages)
    ended = happened[-1]
    assert isinstance(ended, LegEnded)
    assert (ended.code, ended.by) == (200, Side.CALLER)
    assert ended.media.codec in ("PCMU/8000", "PCMA/8000")
    assert ended.media.tx_packets > 0


async def test_nothing_can_be_asked_of_a_leg_that_has_ended(call: Call) -> None:
    call.leg.reject(486)
    await call.leg.wait_ended()
    with pytest.raises(CallEnded, match="the caller leg has ended"):
        await call.leg.answer()
    with pytest.raises(CallEnded):
        await call.leg.send_dtmf("1")
    with pytest.raises(CallEnded):
        call.leg.open_audio(8000)


async def test_a_call_whose_end_is_still_to_be_seen_can_be_hung_up(call: Call) -> None:
    await call.leg.answer()
    slot = call.leg.dialog.pj_id
    await call.phone.send(HangUp(call="a"))
    await call.leg.wait_ended()
    native.call_hangup(slot, 0, "", [("X-End", "anyway")])
    with pytest.raises(OSError, match="PJSIP_ESESSIONTERMINATED"):
        native.call_answer(slot, 200, "", [])


async def test_a_recorder_that_nobody_reads_loses_audio_and_says_how_much(call: Call) -> None:
    """Its ring holds five seconds; what was lost is silence where it was, left and right alike."""
    await call.leg.answer()
    recorder = call.leg.record()
    call.leg.loop(tone(880, 1.0))
    await network.until(lambda: recorder.lost >= 20, "the ring has overflowed")
    buffer = bytearray(10 * 32_000)
    early = recorder.read(buffer)
    assert early == 5 * 32_000
    before = recorder.frames
    await network.until(lambda: recorder.frames >= before + 25, "more is recorded")
    recorder.leave()
    filled = early + recorder.read(memoryview(buffer)[early:])
    assert filled == recorder.frames * 640
    right = np.frombuffer(bytes(buffer[:filled]), "<i2").reshape(-1, 2)[:, 1]
    silent = [not frame.any() for frame in right.reshape(-1, 160)]
    assert sum(silent[250:]) == recorder.lost
    assert all(silent[250 : 250 + recorder.lost])
    recorder.close()


async def test_a_recorder_ends_with_its_leg(call: Call) -> None:
    await call.leg.answer()
    recorder = call.leg.record()
    await network.until(lambda: recorder.frames > 5, "something is recorded")
    await call.phone.send(HangUp(call="a"))
    await call.leg.wait_ended()
    frames = recorder.frames
    assert recorder.read(bytearray(100 * 640)) == frames * 640
    recorder.close()
    with pytest.raises(CallEnded):
        call.leg.record()


def order(destination: str, method: Method = Method.INVITE) -> TransferOrder:
    kind = Reach.INTERNAL if method is Method.INVITE else Reach.EXTERNAL
    target = Target.model_validate({"kind": kind, "destination": destination})
    return TransferOrder("t1", "asked", target, method, 5.0)


async def transfer(call: Call, asked: TransferOrder) -> Attempt:
    async with asyncio.timeout(LIMIT):
        return await call.leg.transfer(asked)


@pytest.mark.parametrize("method", [Method.INVITE, Method.REFER, Method.BYE])
async def test_a_destination_outside_the_rules_is_blocked_and_nothing_leaves(
    call: Call, method: Method
) -> None:
    await call.leg.answer()
    sent: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, SipMessage) and event.direction is Direction.SENT:
            sent.append(event.text)

    async with await Softphone.start(ELSEWHERE, name="premium") as premium:
        call.leg.subscribe(note)
        before = len(sent)
        attempt = await transfer(call, order(premium.uri, method))
        assert attempt.outcome is Outcome.BLOCKED
        assert "matches nothing of `allow`" in attempt.reason
        assert len(sent) == before
        assert [report.event for report in premium.history] == ["ready"]
    assert not call.leg.gone


class TestWhatEndedIsFreed:
    """By its last reference, without the garbage collector, which would stop all other calls."""

    @pytest.fixture(autouse=True)
    def without_collector(self) -> Iterator[None]:
        gc.disable()
        yield
        gc.enable()

    async def test_a_caller_who_hangs_up_at_a_prompt(self, call: Call) -> None:
        await call.phone.send(Dial(call="b", to=f"sip:100@{call.agent.listening}"))
        async with asyncio.timeout(LIMIT):
            leg = await anext(call.agent.inbound())
        seen: list[Event] = []
        leg.subscribe(lambda event, _leg=leg: seen.append(event))  # type: ignore[misc]
        await leg.answer()
        prompt = asyncio.create_task(leg.play(Pcm(bytes(16_000 * 60), 8000)))
        await call.phone.expect("confirmed", "b")
        await call.phone.send(HangUp(call="b"))
        await leg.wait_ended()
        await asyncio.wait([prompt])
        assert isinstance(prompt.exception(), CallEnded)
        assert isinstance(seen[-1], LegEnded)
        leg.unwatch()
        freed = weakref.ref(leg)
        del leg, prompt
        await network.until(lambda: freed() is None, "the leg is freed")

    @pytest.mark.parametrize("code", [200, 486])
    async def test_an_agent(self, call: Call, code: int) -> None:
        await call.leg.answer()
        async with await Softphone.start(AGENT, name="agent") as phone:
            await phone.send(Policy(answer=None))
            asked = asyncio.create_task(call.leg.transfer(order(phone.uri)))
            await network.until(lambda: len(call.agent.legs) == 2, "the agent is dialled")
            freed = weakref.ref(list(call.agent.legs.values())[1])
            agent = (await phone.expect("incoming")).call
            await phone.send(Answer(call=agent, code=code))
            if code == 200:
                await phone.expect("confirmed", agent)
                await phone.send(HangUp(call=agent))
            async with asyncio.timeout(LIMIT):
                attempt = await asked
            assert attempt.outcome is (Outcome.CONNECTED if code == 200 else Outcome.BUSY)
        await network.until(lambda: freed() is None, "the leg is freed")


async def test_a_call_can_be_dialled_for_nobodys_sake(call: Call) -> None:
    async with await Softphone.start(AGENT, name="agent") as phone:
        await phone.send(Policy(ring=0.1, tone=880))
        target = order(phone.uri).target
        leg = await call.agent.dial(target, caller="100", headers={"X-Case": "7"})
        async with asyncio.timeout(LIMIT):
            await leg.wait_confirmed()
        incoming = await phone.expect("incoming")
        assert incoming.headers["X-Case"] == "7"
        assert "sip:100@" in incoming["from"]
        await leg.hangup({})
        assert (await phone.expect("disconnected"))["by"] == "peer"


async def test_dialling_outside_the_rules_raises_and_sends_nothing(call: Call) -> None:
    with pytest.raises(DestinationBlocked, match="matches nothing of `allow`"):
        await call.agent.dial(order(f"sip:premium@{ELSEWHERE}").target)
    assert list(call.agent.legs) == [call.leg.id]


async def test_a_port_that_is_taken_is_named() -> None:
    port = network.free_port(GATEWAY)
    wanted = settings(port)
    async with await Softphone.start(GATEWAY, port, name="taken"):
        with pytest.raises(BindError, match=f"cannot listen on udp {GATEWAY}:{port}"):
            await SipAgent(wanted).start()


async def test_a_trunk_whose_host_has_no_address_is_named() -> None:
    wanted = settings(network.free_port(GATEWAY)).model_dump(mode="json", exclude_defaults=True)
    wanted["trunks"]["carrier"]["proxy"] = "sip:nowhere.invalid"
    with pytest.raises(EngineError, match=r"trunk carrier: nowhere\.invalid"):
        await SipAgent(Settings.model_validate(wanted)).start()
