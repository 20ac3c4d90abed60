"""What callers hear while they wait: the right tones, quiet, and no click where they loop."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from ivr.prompts import music as music_module
from ivr.prompts.music import music
from ivr.prompts.ringback import ringback
from tests.unit.ivr.prompts.sounds import Samples, rms, samples_of, strongest

Country = Literal["eu", "us", "uk"]

TONES: list[tuple[Country, list[float], list[tuple[float, float]]]] = [
    ("eu", [425], [(1.0, 4.0)]),
    ("us", [440, 480], [(2.0, 4.0)]),
    ("uk", [400, 450], [(0.4, 0.2), (0.4, 2.0)]),
]


def biggest_step(samples: Samples) -> float:
    """The largest difference of two neighbouring samples."""
    return float(np.abs(np.diff(samples)).max())


@pytest.mark.parametrize("rate", [8000, 16_000])
@pytest.mark.parametrize(("country", "hertz", "cadence"), TONES)
def test_ringback_has_the_frequencies_and_cadence_of_its_country(
    country: Country, hertz: list[float], cadence: list[tuple[float, float]], rate: int
) -> None:
    audio = ringback(country, rate)
    samples = samples_of(audio)
    assert audio.seconds == pytest.approx(sum(on + off for on, off in cadence))
    at = 0
    for on, off in cadence:
        burst = samples[at : at + round(on * rate)]
        silence = samples[at + len(burst) : at + len(burst) + round(off * rate)]
        assert strongest(burst, rate, len(hertz)) == pytest.approx(hertz, abs=2)
        assert rms(burst) == pytest.approx(0.08, rel=0.05)
        assert not silence.any()
        at += len(burst) + len(silence)


@pytest.mark.parametrize("country", ["eu", "us", "uk"])
def test_ringback_loops_without_a_click(country: Country) -> None:
    samples = samples_of(ringback(country, 8000))
    assert abs(samples[0] - samples[-1]) < 0.001
    steepest = 2 * np.pi * 480 / 8000 * np.abs(samples).max()
    assert biggest_step(samples) <= steepest


@pytest.mark.parametrize("country", ["eu", "us", "uk"])
def test_a_burst_of_ringback_swells_and_fades(country: Country) -> None:
    samples = samples_of(ringback(country, 8000))
    last = int(np.flatnonzero(samples)[-1])
    loudest = np.abs(samples).max()
    assert np.abs(samples[:8]).max() < loudest / 4
    assert np.abs(samples[last - 8 : last]).max() < loudest / 4


def test_a_note_of_the_music_swells_and_dies_away() -> None:
    note = music_module._note(440, 8000)
    loudest = np.abs(note).max()
    assert np.abs(note[:40]).max() < loudest / 5
    assert np.abs(note[-40:]).max() < loudest / 100


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
def test_music_is_quiet_and_never_clips(rate: int) -> None:
    audio = music(rate)
    samples = samples_of(audio)
    assert 8 <= audio.seconds <= 12
    assert rms(samples) == pytest.approx(0.05, rel=0.01)
    assert np.abs(samples).max() < 0.5


def test_music_is_never_silent() -> None:
    samples = samples_of(music(8000))
    quarters = samples.reshape(-1, 2000)
    assert min(rms(quarter) for quarter in quarters) > 0.005


def test_music_loops_without_a_click() -> None:
    samples = samples_of(music(8000))
    seam = samples[0] - samples[-1]
    assert abs(seam) < biggest_step(samples) / 2


def test_music_stays_within_what_a_telephone_carries() -> None:
    samples = samples_of(music(8000))
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / 8000)
    assert power[(hertz > 150) & (hertz < 3400)].sum() / power.sum() > 0.99


def test_the_same_sounds_are_made_each_time() -> None:
    assert music(8000).samples == music(8000).samples
    assert ringback("eu", 8000).samples == ringback("eu", 8000).samples
