"""A recording in any usual format, made into what calls play: mono PCM16 at one rate."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ivr.prompts.errors import PromptError
from sip.audio import Pcm

MAX_SECONDS = 600
"""Ten minutes, more than any announcement or loop of music; 10 MB in memory at 8 kHz."""

MAX_BYTES = 128 * 1024 * 1024
"""Of the file: ten minutes of stereo at 48 kHz and 16 bits. Converting takes thrice as much."""

LOUDEST = 1000
"""Times full scale that float samples may reach: 60 dB, which nobody records but by mistake."""

_FULL_SCALE = 32_768
"""PCM16 reaches from -32 768 to 32 767; as a fraction, from -1 to just under 1."""


def read(path: Path) -> bytes:
    """The content of a recording's file.

    Raises:
        PromptError: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PromptError(f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise PromptError(f"is larger than {MAX_BYTES // 2**20} MB", "Take a lower sample rate")
    return data


def decode(data: bytes, rate: int) -> Pcm:
    """Convert an audio file to mono PCM16.

    WAV with PCM of 8 to 32 bits, float, A-law, µ-law or GSM, any rate and number of channels;
    channels are averaged. Loudness is kept. Only where averaging or resampling would overshoot full
    scale is the whole recording turned down, by as much as it takes.

    Args:
        data: the file.
        rate: samples per second of the result.

    Raises:
        PromptError: it is no audio, empty, too long, or holds samples that are no sound.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.frames > MAX_SECONDS * file.samplerate:
                raise PromptError(f"is longer than {MAX_SECONDS} s", "Cut it")
            source = file.samplerate
            channels = file.read(file.frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = str(error.error_string).rstrip(".")
        raise PromptError(f"is no audio: {reason}", "Save it as WAV, PCM 16 bit") from None
    if len(channels) * rate < source:  # not one sample at the rate wanted
        raise PromptError("has no audio in it", "Record it again")
    peak = np.abs(channels).max()
    if np.isnan(peak) or peak > LOUDEST:
        raise PromptError("has samples that are no sound", "Save it as WAV, PCM 16 bit")
    samples = soxr.resample(channels.mean(axis=1), source, rate, quality="HQ")
    return Pcm(pcm16(samples), rate)


def pcm16(samples: NDArray[np.float32] | NDArray[np.float64]) -> bytes:
    """Samples from -1 to 1 as PCM16 little-endian, turned down where they go beyond."""
    scaled = samples * _FULL_SCALE
    excess = max(scaled.max() / (_FULL_SCALE - 1), -scaled.min() / _FULL_SCALE)
    if excess > 1:
        scaled = scaled / excess
    return np.rint(scaled).astype("<i2").tobytes()
