"""What a recording proves: words that were said are found, others are not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from gateway.demo.bot import GOODBYE, GREETING, speak
from gateway.demo.hearing import RATE, longest_silence, seconds_of_tone, share_heard
from sip.audio import Pcm
from sip.softphone.tones import tone

Samples = npt.NDArray[np.int16]


def samples(pcm: Pcm) -> Samples:
    return np.frombuffer(pcm.samples, "<i2")


def record(folder: Path, *parts: Samples) -> Path:
    """A recording as a telephone makes one: G.711, which is stored as such."""
    path = folder / "heard.wav"
    soundfile.write(path, np.concatenate(parts), RATE, subtype="ULAW")
    return path


@pytest.fixture(scope="module")
def goodbye() -> Pcm:
    return Pcm(asyncio.run(speak(GOODBYE, RATE)), RATE)


@pytest.fixture(scope="module")
def greeting() -> Pcm:
    return Pcm(asyncio.run(speak(GREETING, RATE)), RATE)


PAUSE = np.zeros(RATE // 2, np.int16)


def test_words_are_found_wherever_they_are(tmp_path: Path, goodbye: Pcm, greeting: Pcm) -> None:
    recording = record(tmp_path, PAUSE, samples(greeting), PAUSE, samples(goodbye))
    assert share_heard(greeting, recording) > 0.95
    assert share_heard(goodbye, recording) > 0.95


def test_other_words_are_not(tmp_path: Path, goodbye: Pcm, greeting: Pcm) -> None:
    assert share_heard(goodbye, record(tmp_path, samples(greeting))) < 0.5


def test_half_of_the_words_is_half_of_them(tmp_path: Path, goodbye: Pcm) -> None:
    half = samples(goodbye)[: samples(goodbye).size // 2]
    assert 0.35 < share_heard(goodbye, record(tmp_path, half, PAUSE)) < 0.65


def test_a_lost_packet_costs_little(tmp_path: Path, greeting: Pcm) -> None:
    said = samples(greeting)
    recording = record(tmp_path, said[:16_000], said[16_160:])
    assert share_heard(greeting, recording) > 0.9


def test_silence_holds_no_words(tmp_path: Path, goodbye: Pcm) -> None:
    assert share_heard(goodbye, record(tmp_path, np.zeros(40_000, np.int16))) == 0.0


def test_words_without_sound_prove_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="silence"):
        share_heard(Pcm(bytes(16_000), RATE), record(tmp_path, PAUSE))


def test_tones_and_silence_are_measured(tmp_path: Path) -> None:
    recording = record(tmp_path, samples(tone(880, 1.0)), PAUSE, samples(tone(440, 2.0)))
    assert seconds_of_tone(880, recording) == pytest.approx(1.0, abs=0.1)
    assert seconds_of_tone(440, recording) == pytest.approx(2.0, abs=0.1)
    assert longest_silence(recording, 0.0, 3.5) == pytest.approx(0.5, abs=0.1)
    assert longest_silence(recording, 1.6, 3.0) == 0.0
