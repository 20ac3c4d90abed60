"""What counts as speech: words do, in quiet and in noise; hiss, hum and tones do not."""

from __future__ import annotations

import asyncio
import io
import shutil
from itertools import cycle

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.prompts.espeak import PROGRAM, Espeak
from sip.engine import Engine
from sip.frame_pump import AudioPort, Speech
from sip.pjsip import native
from tests.peers import network

Sound = npt.NDArray[np.float64]

RATE = 8000
START_MS, STOP_MS, THRESHOLD_DB = 100, 500, 9.0
FRAME_MS = 20
LATE = 0.35
"""Seconds after its first sample by which a word must be noticed: it may begin with a fricative."""

pytestmark = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="needs espeak-ng")


async def words(text: str, voice: str = "en-gb", at: int = RATE) -> Sound:
    wav = await Espeak(voice, 155).speak(text, None)
    spoken, rate = soundfile.read(io.BytesIO(wav))
    times = np.arange(int(len(spoken) * at / rate)) / at
    return np.asarray(np.interp(times, np.arange(len(spoken)) / rate, spoken) * 0.5)


def silence(seconds: float) -> Sound:
    return np.zeros(int(seconds * RATE))


def hiss(seconds: float, dbfs: float) -> Sound:
    samples = int(seconds * RATE)
    return np.random.default_rng(1).normal(0, 10 ** (dbfs / 20), samples)


def sine(seconds: float, hertz: int) -> Sound:
    return np.asarray(0.2 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE))


def pcm(sound: Sound) -> bytes:
    return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()


def judge(samples: bytes, rate: int = RATE) -> list[tuple[float, Speech]]:
    """(seconds, what began), in order."""
    found = native.speech_judge(samples, rate, START_MS, STOP_MS, THRESHOLD_DB)
    return [(at * FRAME_MS / 1000, Speech(what)) for at, what in enumerate(found) if what]


class TestWords:
    @pytest.mark.parametrize("noise", [None, -55.0, -45.0])
    @pytest.mark.parametrize(
        "text", ["Yes.", "Three.", "I would like to talk to somebody about my bill."]
    )
    async def test_an_utterance_starts_and_stops_once(self, text: str, noise: float | None) -> None:
        spoken = await words(text)
        sound = np.concatenate([silence(1), spoken, silence(2)])
        if noise is not None:
            sound = sound + hiss(len(sound) / RATE, noise)
        (began, first), (ended, second) = judge(pcm(sound))
        assert (first, second) == (Speech.STARTED, Speech.STOPPED)
        assert 1 <= began <= 1 + LATE
        assert began < ended <= 1 + len(spoken) / RATE + STOP_MS / 1000 + 2 * FRAME_MS / 1000

    @pytest.mark.parametrize("rate", [16000, 24000])
    async def test_a_wide_band_leg_hears_as_well(self, rate: int) -> None:
        quiet = np.zeros(rate)
        sound = np.concatenate([quiet, await words("Yes.", at=rate), quiet])
        noise = np.random.default_rng(1).normal(0, 10 ** (-50 / 20), len(sound))
        (began, _), (_, last) = judge(pcm(sound + noise), rate)
        assert 1 <= began <= 1 + LATE
        assert last is Speech.STOPPED

    async def test_two_utterances_are_two(self) -> None:
        first, second = await words("My name is Ada."), await words("And I have a question.", "de")
        sound = np.concatenate([silence(1), first, silence(1.5), second, silence(1.5)])
        assert [what for _, what in judge(pcm(sound))] == [Speech.STARTED, Speech.STOPPED] * 2

    async def test_who_speaks_to_the_end_has_not_stopped(self) -> None:
        sound = np.concatenate([silence(1), await words("Hello, is anybody there?")])
        assert [what for _, what in judge(pcm(sound))] == [Speech.STARTED]

    async def test_direct_current_on_the_line_changes_nothing(self) -> None:
        sound = np.concatenate([silence(1), await words("Hello."), silence(1)])
        assert [what for _, what in judge(pcm(sound + 0.1))] == [Speech.STARTED, Speech.STOPPED]


class TestWhatIsNoSpeech:
    @pytest.mark.parametrize(
        "sound",
        [
            pytest.param(silence(5), id="silence"),
            pytest.param(hiss(20, -30), id="hiss"),
            pytest.param(np.concatenate([silence(2), hiss(5, -26)]), id="hiss-sets-in"),
            *(
                pytest.param(np.concatenate([silence(1), sine(5, hertz)]), id=f"{hertz} Hz")
                for hertz in (50, 350, 425, 440, 1000, 1100)
            ),
        ],
    )
    def test_it_is_not_told(self, sound: Sound) -> None:
        assert judge(pcm(sound)) == []

    def test_a_click_is_no_word(self) -> None:
        click = np.concatenate([silence(1), 0.5 * sine(0.03, 300), silence(1)])
        assert judge(pcm(click)) == []


@settings(max_examples=200)
@given(
    levels=st.lists(st.tuples(st.integers(0, 32767), st.integers(1, 60)), max_size=30),
    rate=st.sampled_from([8000, 16000, 24000]),
    seed=st.integers(0, 1000),
)
def test_whatever_is_heard_start_and_stop_alternate(
    levels: list[tuple[int, int]], rate: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    parts = [
        np.convolve(random.uniform(-level, level, frames * rate // 50), np.ones(9) / 9, "same")
        for level, frames in levels
    ]
    samples = np.concatenate([np.zeros(0), *parts]).astype("<i2").tobytes()
    found = [what for _, what in judge(samples, rate)]
    expected = cycle([Speech.STARTED, Speech.STOPPED])
    assert found == [what for what, _ in zip(expected, found, strict=False)]


class TestOnTheBridge:
    """A port that listens, beside one that does not."""

    async def test_speech_is_told_with_the_frame_that_it_begins_with(self, engine: Engine) -> None:
        caller, bot, deaf = (engine.pump.open(RATE) for _ in range(3))
        told: list[Speech] = []
        never: list[Speech] = []
        over = asyncio.Event()

        def hear(speech: Speech) -> None:
            told.append(speech)
            if speech is Speech.STOPPED:
                over.set()

        bot.on_speech, deaf.on_speech = hear, never.append
        bot.listen(START_MS, STOP_MS, THRESHOLD_DB)
        for listener in (bot, deaf):
            native.connect(caller.slot, listener.slot)
        caller.write(pcm(np.concatenate([silence(0.3), await words("Hello there.")])))
        async with asyncio.timeout(10):
            await over.wait()
        assert (told, never) == ([Speech.STARTED, Speech.STOPPED], [])
        self._close(caller, bot, deaf)

    async def test_silence_ends_with_what_the_bot_says(self, engine: Engine) -> None:
        bot, ear = engine.pump.open(RATE), engine.pump.open(RATE)
        bot.listen(START_MS, STOP_MS, THRESHOLD_DB)
        native.connect(bot.slot, ear.slot)
        await network.until(lambda: bot.quiet_seconds >= 0.3, "silence is counted", 10)
        bot.write(pcm(sine(0.2, 440)))
        await network.until(lambda: bot.quiet_seconds < 0.3, "the bot was heard", 10)
        self._close(bot, ear)

    def _close(self, *ports: AudioPort) -> None:
        for port in ports:
            port.close()
