"""The one table: each figure with its median, its spread, its budget and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.measurement import Figure


@dataclass(frozen=True, slots=True)
class Repeated:
    """One figure of all repetitions."""

    name: str
    unit: str
    budget: float | None
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """What the verdict is about."""
        return median(self.values)

    @property
    def held(self) -> bool | None:
        """Whether the median holds the budget; None without one."""
        return None if self.budget is None else self.median <= self.budget


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one measurement."""

    name: str
    title: str
    figures: tuple[Repeated, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        rows = [
            {
                "name": figure.name,
                "unit": figure.unit,
                "median": figure.median,
                "values": figure.values,
                "budget": figure.budget,
                "held": figure.held,
            }
            for figure in self.figures
        ]
        return {"name": self.name, "title": self.title, "figures": rows}


def repeated(runs: Sequence[Sequence[Figure]]) -> tuple[Repeated, ...]:
    """The same figures of several runs, in the order of the first."""
    return tuple(
        Repeated(of[0].name, of[0].unit, of[0].budget, tuple(figure.value for figure in of))
        for of in zip(*runs, strict=True)
    )


def show(machine: str, reports: Sequence[Report]) -> None:
    """Print everything as one table."""
    table = Table(title=machine, title_justify="left")
    for name in ("figure", "median", "lowest to highest", "budget", ""):
        table.add_column(name, justify="left" if name in ("figure", "") else "right")
    for report in reports:
        table.add_section()
        table.add_row(f"[bold]{report.title}[/]")
        for row in _rows(report.figures):
            table.add_row(*row)
    Console(width=None if Console().is_terminal else 120).print(table)


def _rows(figures: Sequence[Repeated]) -> Iterator[tuple[str, ...]]:
    verdicts = {True: "held", False: "[bold]MISSED[/]", None: ""}
    for figure in figures:
        spread = f"{_number(min(figure.values))} to {_number(max(figure.values))}"
        yield (
            f"  {figure.name}",
            f"{_number(figure.median)} {figure.unit}",
            spread if len(set(figure.values)) > 1 else "",
            "" if figure.budget is None else f"≤ {_number(figure.budget)} {figure.unit}",
            verdicts[figure.held],
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"
