"""The numbered frames of one call, as one end of it received them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from bench.numbered import NUMBERS, Reader


@dataclass
class Arrivals:
    """Which came, and when."""

    numbers: array[int] = field(default_factory=lambda: array("i"))
    times: array[float] = field(default_factory=lambda: array("d"))
    """Monotonic seconds, beside `numbers`."""
    _reader: Reader = field(default_factory=Reader)

    def take_mulaw(self, payload: bytes, now: float) -> None:
        """Note what is in an RTP payload of 20 ms."""
        self._note(self._reader.mulaw(payload, now))

    def take_pcm(self, frame: bytes, now: float) -> None:
        """Note what is in 20 ms of PCM16 at 8 kHz."""
        self._note(self._reader.pcm(frame, now))

    def _note(self, found: tuple[int, float] | None) -> None:
        if found is not None:
            self.numbers.append(found[0])
            self.times.append(found[1])

    def between(self, begin: float, end: float) -> list[int]:
        """The numbers that came whole between two times."""
        came = zip(self.numbers, self.times, strict=True)
        return [number for number, at in came if begin <= at <= end]

    def gaps(self, begin: float, end: float) -> int:
        """How many numbers are missing between the first and the last one of `between`."""
        numbers = self.between(begin, end)
        return (numbers[-1] - numbers[0]) % NUMBERS + 1 - len(numbers) if numbers else 0

    def first_times(self) -> dict[int, float]:
        """When each number came first."""
        found: dict[int, float] = {}
        for number, at in zip(self.numbers, self.times, strict=True):
            found.setdefault(number, at)
        return found
