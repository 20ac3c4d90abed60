"""What a recording holds: which tone, other sound or silence, and when (Goertzel's filter).

A tone is recognised where one of the asked frequencies carries most of a window's energy. That is
how a test proves that two parties heard each other: each sends a tone of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from sip.audio import Pcm

WINDOW = 0.05
"""Seconds that are judged at once: tones 15 Hz apart can be told, closer ones cannot."""

SILENCE_DBFS = -50.0
"""Below it a window counts as silence. G.711 renders digital silence as at most -72 dBFS."""

TONE_SHARE = 0.8
"""Part of a window's energy that the frequency must carry; speech and music stay below."""

TONES = (425, *range(440, 1761, 55))
"""Hz. Europe's ringing tone, and 440 with steps of 55 for peers and prompts: apart far enough."""

SOUND = "sound"
SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one kind of sound."""

    start: float
    end: float
    """Seconds from the start of the recording."""
    sound: str
    """`440 Hz`, `sound` (speech, music, a mixture) or `silence`."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.start:.2f}-{self.end:.2f} {self.sound}"


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as a sequence of spans without gaps."""

    spans: tuple[Span, ...]
    level_dbfs: float
    """RMS of the whole recording; -inf for digital silence."""

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.spans[-1].end if self.spans else 0.0

    def seconds_of(self, sound: str | int) -> float:
        """Total time of one tone (in Hz), of `sound` or of `silence`."""
        name = tone_name(sound) if isinstance(sound, int) else sound
        return sum(span.seconds for span in self.spans if span.sound == name)

    @property
    def longest_silence(self) -> float:
        """Seconds of the longest silent span."""
        return max((s.seconds for s in self.spans if s.sound == SILENCE), default=0.0)

    def __str__(self) -> str:
        return ", ".join(map(str, self.spans)) or "nothing"


def tone_name(hertz: int) -> str:
    """How a tone is called in spans and reports."""
    return f"{hertz} Hz"


def listen(path: Path, tones: Sequence[int] = TONES) -> Heard:
    """Analyse a WAV file.

    Raises:
        soundfile.LibsndfileError: it is missing or no audio file.
    """
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    return analyse(samples[:, 0], rate, tones)


def analyse(samples: npt.NDArray[np.float64], rate: int, tones: Sequence[int] = TONES) -> Heard:
    """Analyse samples in -1..1; an incomplete last window is left out."""
    sounds = [*sounds_of(samples, rate, tones)]
    cuts = [0, *(i for i, (a, b) in enumerate(pairwise(sounds), 1) if a != b), len(sounds)]
    spans = (Span(a * WINDOW, b * WINDOW, sounds[a]) for a, b in pairwise(cuts) if b > a)
    return Heard(tuple(spans), _dbfs(float(np.mean(samples**2)) if samples.size else 0.0))


def sounds_of(
    samples: npt.NDArray[np.float64], rate: int, tones: Sequence[int] = TONES
) -> list[str]:
    """The sound of each whole window."""
    size = round(rate * WINDOW)
    windows = samples[: samples.size // size * size].reshape(-1, size)
    energy = np.mean(windows**2, axis=1)
    # A sine of amplitude A at the frequency has |sum|/size = A/2 and mean square A²/2.
    phase = np.exp(-2j * np.pi * np.outer(np.arange(size) / rate, tones))
    shares = 2 * np.abs(windows @ phase / size) ** 2 / np.maximum(energy, 1e-12)[:, None]
    best = shares.argmax(axis=1)
    sounds = []
    for row, power in enumerate(energy):
        if _dbfs(float(power)) < SILENCE_DBFS:
            sounds.append(SILENCE)
        elif shares[row, best[row]] >= TONE_SHARE:
            sounds.append(tone_name(tones[best[row]]))
        else:
            sounds.append(SOUND)
    return sounds


def tone(hertz: int, seconds: float, rate: int = 8000, level_dbfs: float = -12.0) -> Pcm:
    """A sine wave whose RMS level is `level_dbfs`, for bots and prompts of tests."""
    amplitude = np.sqrt(2) * 10 ** (level_dbfs / 20) * 32767
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return Pcm(wave.astype("<i2").tobytes(), rate)


def _dbfs(mean_square: float) -> float:
    return float(10 * np.log10(mean_square)) if mean_square > 0 else float("-inf")
