"""The one table that each measurement prints: value, budget, verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure."""

    name: str
    value: float
    unit: str = ""
    budget: float | None = None
    """The most it may be (design.md); None: for information."""

    @property
    def held(self) -> bool | None:
        """Whether the budget is held; None without one."""
        return None if self.budget is None else self.value <= self.budget


def report(title: str, figures: Sequence[Figure], as_json: bool) -> None:
    """Print the figures, for people or as one JSON object."""
    if as_json:
        rows = [{**asdict(figure), "held": figure.held} for figure in figures]
        print(json.dumps({"title": title, "figures": rows}, indent=2))
        return
    table = Table(title=title, title_justify="left")
    for name in ("figure", "value", "budget", ""):
        table.add_column(name, justify="left" if name in ("figure", "") else "right")
    verdicts = {True: "held", False: "MISSED", None: ""}
    for figure in figures:
        budget = "" if figure.budget is None else f"≤ {_number(figure.budget)} {figure.unit}"
        value = f"{_number(figure.value)} {figure.unit}"
        table.add_row(figure.name, value, budget, verdicts[figure.held])
    Console().print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
