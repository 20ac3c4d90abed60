"""What a measurement is: sizes as fields, and figures that come of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure."""

    name: str
    value: float
    unit: str = ""
    budget: float | None = None
    """The most it may be; None: for information."""


class Measurement(Protocol):
    """A frozen dataclass whose fields are sizes that `--set` may change."""

    title: ClassVar[str]

    @property
    def sizes(self) -> str:
        """The sizes in words, for the table."""

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Start everything, measure once, and end everything. `folder` is new and empty."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
