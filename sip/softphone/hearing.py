"""What a call hears, while it hears it: the recording is read as it grows.

Nothing of Python runs in PJSIP's media thread. The price is the writer's buffer: a sound is known
about half a second after it was heard; `at` says when it really began.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sip.softphone.tones import WINDOW, sounds_of

_WAV_HEADER = 44
"""Bytes before the samples in the files that PJSIP writes."""

_SETTLED = 2
"""Windows in a row that make a change: one alone is where two sounds meet."""


class Hearing:
    """Follows one recording."""

    def __init__(self, path: Path, rate: int) -> None:
        self._path = path
        self._rate = rate
        self._offset = _WAV_HEADER
        self._windows = 0
        self._run = ("", 0)
        self._current = ""

    def seconds(self) -> float:
        """Length of the recording; 0 until its writer has finished it."""
        with self._path.open("rb") as recording:
            header = recording.read(_WAV_HEADER)
        return round(int.from_bytes(header[-4:], "little") / 2 / self._rate, 2)

    def seconds_so_far(self) -> float:
        """Length of what its writer has let go of, finished or not."""
        return round((self._path.stat().st_size - _WAV_HEADER) / 2 / self._rate, 2)

    def changes(self) -> Iterator[tuple[str, float]]:
        """The sounds that began since the last look, each with its start in seconds."""
        with self._path.open("rb") as recording:
            recording.seek(self._offset)
            fresh = recording.read()
        size = round(self._rate * WINDOW) * 2
        whole = fresh[: len(fresh) // size * size]
        self._offset += len(whole)
        samples = np.frombuffer(whole, "<i2").astype(np.float64) / 32768
        for sound in sounds_of(samples, self._rate):
            same, length = self._run
            self._run = (sound, length + 1 if sound == same else 1)
            self._windows += 1
            if self._run == (sound, _SETTLED) and sound != self._current:
                self._current = sound
                yield sound, round((self._windows - _SETTLED) * WINDOW, 2)
