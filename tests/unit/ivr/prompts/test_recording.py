"""Recordings of any usual format become mono PCM16 at the rate of the calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.prompts import recording
from ivr.prompts.errors import PromptError
from ivr.prompts.recording import decode, read
from tests.unit.ivr.prompts.sounds import rms, samples_of, strongest, tone, wav

SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_keeps_pitch_loudness_and_length(
    subtype: str, rate: int, channels: int
) -> None:
    source = tone(440, 0.5, rate)
    audio = decode(wav(np.column_stack([source] * channels), rate, subtype), 8000)
    samples = samples_of(audio)
    assert audio.rate == 8000
    assert abs(len(samples) - 4000) <= 1
    assert strongest(samples, 8000)[0] == pytest.approx(440, abs=2)
    assert rms(samples) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_gsm_in_a_wav_as_a_pbx_keeps_it() -> None:
    """libsndfile cannot seek in it."""
    samples = samples_of(decode(wav(tone(440, 0.5, 8000), 8000, "GSM610"), 8000))
    assert strongest(samples, 8000)[0] == pytest.approx(440, abs=2)


def test_what_needs_no_conversion_is_not_touched() -> None:
    samples = np.array([0, 1, -1, 32_767, -32_768, 12_345, -20_000], "<i2")
    audio = decode(wav(samples / 32_768, 8000), 8000)
    assert audio.samples == samples.tobytes()


def test_a_quiet_recording_stays_quiet() -> None:
    audio = decode(wav(tone(440, 0.5, 44_100, level=0.01), 44_100, "PCM_24"), 8000)
    assert rms(samples_of(audio)) == pytest.approx(0.01 / np.sqrt(2), rel=0.02)


def test_stereo_is_averaged() -> None:
    both = np.column_stack([tone(440, 0.5, 8000, level=0.8), np.zeros(4000)])
    assert rms(samples_of(decode(wav(both, 8000), 8000))) == pytest.approx(0.4 / np.sqrt(2), 0.01)


def test_resampling_turns_down_what_would_clip() -> None:
    # A square wave overshoots by 18 % once its upper harmonics are cut off (Gibbs).
    square = np.sign(tone(200, 0.5, 48_000)) * 0.999
    samples = samples_of(decode(wav(square, 48_000), 8000))
    assert np.abs(samples).max() == pytest.approx(1, abs=0.001)
    at_the_top = np.count_nonzero(np.abs(samples) > 0.9999)
    assert at_the_top <= 2  # a clipped wave would sit there for much of each period
    quiet = samples_of(decode(wav(square * 0.5, 48_000), 8000))
    assert np.abs(quiet).max() == pytest.approx(0.5 * 1.18, abs=0.01)


def test_float_samples_beyond_full_scale_are_turned_down() -> None:
    samples = samples_of(decode(wav(tone(440, 0.5, 8000, level=3), 8000, "FLOAT"), 8000))
    assert rms(samples) == pytest.approx(1 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_any_rate_can_be_asked_for(rate: int) -> None:
    audio = decode(wav(tone(440, 0.5, 8000), 8000), rate)
    assert audio.rate == rate
    assert audio.seconds == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no audio"),
        (b"These are only words.", "is no audio"),
        (wav(tone(440, 0.1, 8000), 8000)[:20], "is no audio"),
        (wav(np.zeros(0), 8000), "has no audio in it"),
        (wav(np.ones(1), 48_000), "has no audio in it"),
        (wav(np.full(10, np.nan), 8000, "FLOAT"), "no sound"),
        (wav(np.full(10, np.inf), 8000, "FLOAT"), "no sound"),
        (wav(np.full(10, 1e30), 8000, "FLOAT"), "no sound"),
    ],
)
def test_what_is_no_audio_is_refused_with_a_reason(data: bytes, message: str) -> None:
    with pytest.raises(PromptError, match=message) as caught:
        decode(data, 8000)
    assert caught.value.hint


def test_a_recording_has_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_SECONDS", 1)
    decode(wav(tone(440, 1, 8000), 8000), 8000)
    with pytest.raises(PromptError, match="longer than 1 s"):
        decode(wav(tone(440, 1.01, 8000), 8000), 8000)


def test_a_file_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_BYTES", 1024 * 1024)
    file = tmp_path / "long.wav"
    file.write_bytes(bytes(1024 * 1024))
    assert len(read(file)) == 1024 * 1024
    file.write_bytes(bytes(1024 * 1024 + 1))
    with pytest.raises(PromptError, match="larger than 1 MB"):
        read(file)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="No such file"):
        read(tmp_path / "missing.wav")
    with pytest.raises(PromptError, match="Is a directory"):
        read(tmp_path)


@given(
    subtype=st.sampled_from(SUBTYPES),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=5),
    cut=st.integers(0, 400),
)
def test_a_damaged_file_is_audio_or_a_prompt_error(
    subtype: str, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(wav(tone(440, 0.02, 8000), 8000, subtype))
    for at, value in changes:
        data[at % len(data)] = value
    try:
        audio = decode(bytes(data[: len(data) - cut]), 8000)
    except PromptError:
        return
    assert audio.samples
    assert len(audio.samples) % 2 == 0
