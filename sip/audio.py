"""Audio as the product hands it around: PCM16 in memory, shared by every call that plays it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Pcm:
    """Mono PCM16 little-endian samples. Identity is the object: one recording is loaded once."""

    samples: bytes
    rate: int
    """Samples per second: 8000, 16000 or 24000."""

    @property
    def seconds(self) -> float:
        """Playing time."""
        return len(self.samples) / 2 / self.rate
