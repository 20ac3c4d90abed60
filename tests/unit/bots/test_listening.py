"""What a bot is told of its caller's voice, what barge-in drops, and when silence is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import SpeechActivity
from gateway.bots.listening import Silence
from ivr.events import DeadAir, SpeechStarted, SpeechStopped
from sip.events import HoldChanged
from sip.frame_pump import Speech
from tests.unit.bots.bot import BotTwin, Connection
from tests.unit.bots.call import FRAME, Call, StayingCall, talking


async def begin(bot: BotTwin, speech: SpeechActivity | None) -> tuple[Call, Connection]:
    call = Call(await bot.listen(), speech=speech)
    return call, await talking(call, bot)


async def end(call: Call, peer: Connection) -> None:
    call.cancel()
    await peer.closed()


def say(call: Call, speech: Speech) -> None:
    assert call.audio.on_speech is not None
    call.audio.on_speech(speech)


@pytest.fixture
async def clearing(bot: BotTwin) -> AsyncIterator[tuple[Call, Connection]]:
    call, peer = await begin(bot, SpeechActivity(barge_in="clear"))
    yield call, peer
    await end(call, peer)


class TestSpeech:
    async def test_a_bot_without_the_setting_costs_no_listening(self, bot: BotTwin) -> None:
        call, peer = await begin(bot, None)
        audio = call.audio
        assert [audio.listens, audio.on_speech] == [None, None]
        await end(call, peer)

    async def test_the_settings_reach_the_listener(self, bot: BotTwin) -> None:
        call, peer = await begin(bot, SpeechActivity(start_ms=60, stop_ms=300, threshold_db=12))
        assert call.audio.listens == (60, 300, 12.0)
        await end(call, peer)

    async def test_its_begin_and_its_end_are_told(self, bot: BotTwin) -> None:
        call, peer = await begin(bot, SpeechActivity())
        say(call, Speech.STARTED)
        say(call, Speech.STOPPED)
        assert await peer.receive() == {"type": "speech_started", "cleared": False}
        stopped = await peer.receive()
        assert stopped["type"] == "speech_stopped"
        kinds = [type(event) for event in call.events[1:]]
        assert kinds == [SpeechStarted, SpeechStopped]
        await end(call, peer)

    async def test_speech_that_began_before_the_bot_was_there_has_no_end(
        self, bot: BotTwin
    ) -> None:
        call, peer = await begin(bot, SpeechActivity())
        say(call, Speech.STOPPED)
        say(call, Speech.STARTED)
        assert (await peer.receive())["type"] == "speech_started"
        await end(call, peer)

    async def test_after_the_conversation_nobody_is_told(self, bot: BotTwin) -> None:
        call, peer = await begin(bot, SpeechActivity(dead_air=0.01))
        await end(call, peer)
        assert not call.audio.on_speech


class TestABotThatStays:
    async def test_it_listens_again_once_the_caller_is_back(self, bot: BotTwin) -> None:
        call = StayingCall(await bot.listen(), speech=SpeechActivity(dead_air=30))
        call.begin()
        peer = await bot.accept()
        assert (await peer.receive())["type"] == "start"
        say(call, Speech.STARTED)
        assert (await peer.receive())["type"] == "speech_started"
        await peer.send({"type": "transfer", "target": "billing"})
        await call.exit()
        before = call.audio
        assert not before.on_speech

        call.begin()
        await asyncio.sleep(0)  # the conversation goes on
        assert call.audio is not before
        say(call, Speech.STARTED)
        assert await peer.receive() == {"type": "speech_started", "cleared": False}
        await end(call, peer)


class TestBargeIn:
    async def test_what_waits_is_dropped_and_its_marks_come_back(
        self, clearing: tuple[Call, Connection]
    ) -> None:
        call, peer = clearing
        await peer.websocket.send(FRAME)
        await peer.send({"type": "mark", "name": "said"})
        await peer.settle()
        say(call, Speech.STARTED)
        assert await peer.receive() == {"type": "speech_started", "cleared": True}
        assert await peer.receive() == {"type": "mark", "name": "said", "played": False}
        assert call.audio.queue == b""

    async def test_there_is_nothing_to_drop_where_the_bot_is_silent(
        self, clearing: tuple[Call, Connection]
    ) -> None:
        call, peer = clearing
        say(call, Speech.STARTED)
        assert await peer.receive() == {"type": "speech_started", "cleared": False}
        assert call.audio.clears == 0

    async def test_without_the_policy_the_bot_is_heard_out(self, bot: BotTwin) -> None:
        call, peer = await begin(bot, SpeechActivity())
        await peer.websocket.send(FRAME)
        await peer.settle()
        say(call, Speech.STARTED)
        assert await peer.receive() == {"type": "speech_started", "cleared": False}
        assert call.audio.queue == FRAME
        await end(call, peer)


class TestDeadAir:
    async def test_it_is_told_again_and_again(self, bot: BotTwin) -> None:
        call = Call(await bot.listen(), speech=SpeechActivity(dead_air=0.1))
        call.converse()
        peer = await bot.accept()
        assert (await peer.receive())["type"] == "start"
        call.audio.quiet_seconds = 1000
        assert await peer.receive() == {"type": "silence", "seconds": 0.1}
        assert await peer.receive() == {"type": "silence", "seconds": 0.2}
        assert DeadAir("assistant", 0.1) in call.events
        await end(call, peer)

    async def test_who_is_on_hold_is_not_silent(self, bot: BotTwin) -> None:
        call, peer = await begin(bot, SpeechActivity(dead_air=0.1))
        call.leg.emit(HoldChanged("caller", held=True))
        call.audio.quiet_seconds = 1000
        assert await peer.receive() == {"type": "hold"}
        call.leg.emit(HoldChanged("caller", held=False))
        assert await peer.receive() == {"type": "resume"}
        assert await peer.receive() == {"type": "silence", "seconds": 0.1}
        await end(call, peer)


@given(
    after=st.sampled_from([1.0, 2.5, 10.0]),
    sounds=st.lists(st.floats(0.1, 40), max_size=10),
)
def test_each_silence_is_told_once_for_each_span_of_it(after: float, sounds: list[float]) -> None:
    """Sounds at the given distances, then a long silence; looks come when they are asked for."""
    times = [0.0]
    for distance in sounds:
        times.append(times[-1] + distance)
    end = times[-1] + 3.5 * after
    silence, now, told = Silence(after), 0.0, list[tuple[float, float]]()
    while now <= end:
        last = max(time for time in times if time <= now)
        seconds, wait = silence.look(now - last)
        if seconds is not None:
            told.append((last, seconds))
            assert now - last >= seconds
        now += max(wait, 0.001)
    expected = []
    for last, following in zip(times, [*times[1:], end], strict=True):
        spans = int((following - last - 0.01) // after)
        expected += [(last, after * (span + 1)) for span in range(spans)]
    assert [pair for pair in expected if pair not in told] == []
    assert len(set(told)) == len(told)
