"""The built-in music to wait by: ten seconds of soft broken chords, without a seam when looped."""

from __future__ import annotations

import numpy as np

from ivr.prompts.recording import pcm16
from sip.audio import Pcm

CHORDS = (
    (60, 64, 67, 71),  # C major 7
    (57, 60, 64, 67),  # A minor 7
    (53, 57, 60, 64),  # F major 7
    (55, 59, 62, 67),  # G
)
"""MIDI note numbers, low to high: within what a telephone carries."""

BAR = 2.5
"""Seconds a chord."""

STEP = 0.2
"""Seconds between the notes of a chord."""

RING = 4.0
"""Seconds until a note has died away; the last ones ring into the beginning of the loop."""

DECAY = 1.1
"""Seconds in which a note falls to 1/e."""

HARMONICS = (1.0, 0.3, 0.1)
"""Strength of the tone, its octave, and the fifth above that."""

LEVEL = 0.05
"""RMS as a fraction of full scale, some 6 dB below speech: a caller talks over it with ease."""


def music(rate: int) -> Pcm:
    """The music, made to be looped."""
    loop = np.zeros(round(BAR * len(CHORDS) * rate))
    for bar, chord in enumerate(CHORDS):
        for position, note in enumerate(chord):
            start = round((bar * BAR + position * STEP) * rate)
            sound = _note(440 * 2 ** ((note - 69) / 12), rate)
            np.add.at(loop, np.arange(start, start + len(sound)) % len(loop), sound)
    return Pcm(pcm16(loop * LEVEL / np.sqrt(np.mean(loop**2))), rate)


def _note(hertz: float, rate: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    at = np.arange(round(RING * rate)) / rate
    tone = sum(
        strength * np.sin(2 * np.pi * hertz * number * at)
        for number, strength in enumerate(HARMONICS, 1)
    )
    swell = np.minimum(1.0, at / 0.03)
    fade = np.minimum(1.0, (RING - at) / 0.2)
    return np.asarray(tone * swell * fade * np.exp(-at / DECAY))
