"""What a recording proves: that words were heard, and how long a tone was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from sip.audio import Pcm
from sip.softphone.tones import analyse, listen

RATE = 8000

PIECE = 0.15
"""Seconds of words that are looked for at once: short, so that a packet lost or repaired by a
jitter buffer spoils one piece only."""

LIKENESS = 0.8
"""Correlation from which a piece counts as heard. G.711 leaves 0.99. Of words that were not said,
up to a third of the pieces are found by chance or because they resemble others."""

QUIET = 0.01
"""RMS (1.0 is full scale) below which a piece of the words is a pause, and proves nothing."""

Samples = npt.NDArray[np.float64]


def share_heard(words: Pcm, recording: Path) -> float:
    """Which part of the words, 0 to 1, is found in a recording: each piece after the one before.

    Raises:
        ValueError: the words are not at 8000 samples per second, or are silence.
        soundfile.LibsndfileError: the recording is missing or no audio file.
    """
    if words.rate != RATE:
        raise ValueError(f"words at {words.rate} samples per second, not at {RATE}")
    heard = _read(recording)
    size = round(PIECE * RATE)
    spoken = np.frombuffer(words.samples, "<i2") / 32768
    pieces = spoken[: spoken.size // size * size].reshape(-1, size)
    pieces = pieces[np.sqrt(np.mean(pieces**2, axis=1)) >= QUIET]
    if not len(pieces):
        raise ValueError("the words are silence")
    found, position = 0, 0
    for piece in pieces:
        likeness = _likeness(piece, heard[position:])
        if likeness.size and likeness.max() >= LIKENESS:
            found += 1
            position += int(likeness.argmax()) + size // 2
    return found / len(pieces)


def seconds_of_tone(hertz: int, recording: Path) -> float:
    """How long a recording holds a tone."""
    return float(listen(recording).seconds_of(hertz))


def longest_silence(recording: Path, begin: float, end: float) -> float:
    """Seconds of the longest silence between two moments of a recording."""
    part = _read(recording)[round(begin * RATE) : round(end * RATE)]
    return float(analyse(part, RATE).longest_silence)


def _read(recording: Path) -> Samples:
    samples, rate = soundfile.read(recording, dtype="float64", always_2d=True)
    if rate != RATE:
        raise ValueError(f"{recording} has {rate} samples per second, not {RATE}")
    return np.asarray(samples[:, 0])


def _likeness(piece: Samples, heard: Samples) -> Samples:
    """Normalised cross-correlation of `piece` with every place of `heard`."""
    if heard.size < piece.size:
        return np.empty(0)
    length = 1 << (heard.size + piece.size - 1).bit_length()
    product = np.fft.rfft(heard, length) * np.fft.rfft(piece[::-1], length)
    dots = np.fft.irfft(product, length)[piece.size - 1 : heard.size]
    power = np.cumsum(np.concatenate(([0.0], heard**2)))
    energy = power[piece.size :] - power[: -piece.size]
    norm = np.sqrt(np.maximum(energy, 1e-9) * np.sum(piece**2))
    return np.asarray(dots / norm)
