"""Sounds for the tests of prompts, and how they are looked at."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from sip.audio import Pcm

Samples = NDArray[np.float64]


def tone(hertz: float, seconds: float, rate: int, level: float = 0.5) -> Samples:
    """A sine of this peak level."""
    return np.asarray(level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate))


def wav(samples: NDArray[np.float64], rate: int, subtype: str = "PCM_16") -> bytes:
    """A WAV file. Samples: from -1 to 1, frames by channels where there are several."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def samples_of(audio: Pcm) -> Samples:
    """From -1 to 1."""
    return np.frombuffer(audio.samples, "<i2") / 32_768


def rms(samples: Samples) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(samples**2)))


def strongest(samples: Samples, rate: int, count: int = 1) -> list[float]:
    """The strongest frequencies in Hz, ascending; neighbours within 10 Hz count as one."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    found: list[float] = []
    for index in np.argsort(spectrum)[::-1]:
        if all(abs(hertz[index] - other) > 10 for other in found):
            found.append(float(hertz[index]))
        if len(found) == count:
            break
    return sorted(found)
