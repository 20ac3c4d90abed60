"""Each kind of mistake, with the words that the operator reads: the catalogue is in `mistakes/`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.config.files import Files

MISTAKES = Path(__file__).parent / "mistakes"


@dataclass(frozen=True)
class Mistake:
    """A block of the catalogue."""

    old: str
    new: str
    problems: list[str]


def catalogue(file: str) -> Iterator[object]:
    for block in (MISTAKES / file).read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        old, new, problems = (
            [line[1:] for line in lines if line.startswith(mark)] for mark in "-+!"
        )
        if problems:
            mistake = Mistake("\n".join(old), "\n".join(new), [line.strip() for line in problems])
            added = [line for line in new if line not in old]
            yield pytest.param(mistake, id=(added[0] if added else f"no {old[0]}").strip())


def shown(files: Files) -> list[str]:
    return [problem.replace(str(files.folder), "FOLDER") for problem in files.problems()]


@pytest.mark.parametrize("mistake", list(catalogue("settings.txt")))
def test_mistake_in_the_settings(files: Files, mistake: Mistake) -> None:
    files.change_settings(mistake.old, mistake.new)
    assert shown(files) == mistake.problems


@pytest.mark.parametrize("mistake", list(catalogue("flow.txt")))
def test_mistake_in_a_flow(files: Files, mistake: Mistake) -> None:
    files.change_flow(mistake.old, mistake.new)
    assert shown(files) == mistake.problems
