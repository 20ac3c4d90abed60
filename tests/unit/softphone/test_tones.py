"""A recording is told apart into tones, other sound and silence."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from sip.audio import Pcm
from sip.softphone.tones import SILENCE, SOUND, TONES, analyse, listen, tone


def _samples(*parts: Pcm) -> np.ndarray:
    return np.frombuffer(b"".join(p.samples for p in parts), "<i2") / 32768


def _silence(seconds: float) -> Pcm:
    return Pcm(bytes(round(seconds * 8000) * 2), 8000)


@pytest.mark.parametrize("hertz", TONES)
def test_each_of_our_tones_is_told_from_the_others(hertz: int) -> None:
    heard = analyse(_samples(tone(hertz, 1.0)), 8000)
    assert [span.sound for span in heard.spans] == [f"{hertz} Hz"]
    assert heard.level_dbfs == pytest.approx(-12.0, abs=0.1)


def test_spans_follow_the_recording() -> None:
    heard = analyse(_samples(tone(440, 0.5), _silence(0.3), tone(880, 0.2)), 8000)
    assert str(heard) == "0.00-0.50 440 Hz, 0.50-0.80 silence, 0.80-1.00 880 Hz"
    assert heard.seconds_of(440) == pytest.approx(0.5)
    assert heard.longest_silence == pytest.approx(0.3)


def test_noise_is_sound_but_no_tone() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 8000)
    assert {span.sound for span in analyse(noise, 8000).spans} == {SOUND}


def test_two_tones_at_once_are_sound_but_neither_tone() -> None:
    both = _samples(tone(440, 0.5)) + _samples(tone(880, 0.5))
    assert {span.sound for span in analyse(both, 8000).spans} == {SOUND}


def test_nothing_is_silence() -> None:
    heard = analyse(_samples(_silence(0.2)), 8000)
    assert heard.spans[0].sound == SILENCE
    assert heard.level_dbfs == float("-inf")
    assert analyse(np.zeros(0), 8000).spans == ()


def test_a_file_is_read_at_its_own_rate(tmp_path) -> None:  # type: ignore[no-untyped-def]
    soundfile.write(tmp_path / "a.wav", _pcm16(tone(660, 0.4, rate=16000)), 16000)
    assert listen(tmp_path / "a.wav").seconds_of(660) == pytest.approx(0.4)


def _pcm16(pcm: Pcm) -> np.ndarray:
    return np.frombuffer(pcm.samples, "<i2")
