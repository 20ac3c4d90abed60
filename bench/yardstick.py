"""How fast the machine is now, beside the one that the budgets were set on.

What a call costs changes with the machine, and on a shared one with the hour; how it compares with
a bare pjsua2 answerer (floor.py) in the same minutes hardly does. So budgets of CPU are told twice:
as they are written, and at the speed of the machine that they were written for. What depends on how
busy the machine is, is measured twice: with as many calls as the budget says, and with as many as
load this machine as those loaded that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench import floor
from bench.load import beside
from bench.measurement import Figure
from bench.sampling import sample
from bench.short_calls import at_once, per_call, place
from tests.peers import network

BARE_THEN = 0.37
"""Milliseconds of CPU for a call of the bare answerer where the budgets were set."""

RATE, WARM_UP, SECONDS = 400, 5, 10
"""Calls a second and seconds of them: enough to tell how fast a machine is."""

_ADDRESS = "127.0.0.5"


async def bare_answerer(
    folder: Path, rate: int, *, warm_up: int, seconds: int, talk: float = 0.0
) -> float:
    """Milliseconds of CPU that a short call costs the bare answerer."""
    address = _ADDRESS, network.free_port(_ADDRESS)
    legs, calls = at_once(rate, talk), rate * seconds
    first, _ = network.free_udp_range(_ADDRESS, 2 * legs + 2)
    async with beside(floor.serve, *address, first, legs) as answerer:
        await place(rate * warm_up, rate, address, folder, talk)
        before = sample(answerer.pid)
        await place(calls, rate, address, folder, talk)
        return per_call(before, sample(answerer.pid), calls)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast this machine is now."""

    bare: float
    """Milliseconds of CPU for a short call of the bare answerer."""

    @classmethod
    async def now(cls, folder: Path) -> Self:
        """Find out; it takes a quarter of a minute."""
        return cls(await bare_answerer(folder, RATE, warm_up=WARM_UP, seconds=SECONDS))

    def there(self, figure: float) -> float:
        """CPU, or calls, of this machine as they were on the one that the budgets were set on."""
        return figure * BARE_THEN / self.bare

    def as_loaded(self, calls: int) -> int:
        """How many calls load this machine as much as so many did that one; no more than these."""
        return min(calls, round(self.there(calls)))

    @property
    def figure(self) -> Figure:
        """For the table."""
        return Figure("a short call of a bare pjsua2 answerer, just after", self.bare, "ms")


def share_of_core(speed: Speed, percent: float, budget: float) -> list[Figure]:
    """What a call takes of a core, as it is and as it would be where the budget was set."""
    there = f"CPU per call, were that {BARE_THEN} ms"
    return [
        Figure("CPU per call", percent, "% core", budget),
        speed.figure,
        Figure(there, speed.there(percent), "% core", budget),
    ]
