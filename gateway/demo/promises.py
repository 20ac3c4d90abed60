"""What the demo promises, line by line: kept or broken, with what was seen."""

from __future__ import annotations

import sys
from typing import TextIO


class Promises:
    """Collects and prints the verdicts."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self.kept = 0
        self.broken: list[str] = []
        self._out = out
        self._scene = ""

    def scene(self, title: str) -> None:
        """The promises from here on belong to this scene."""
        self._scene = title
        self.tell(f"\n{title}\n{'-' * len(title)}")

    def check(self, promise: str, *, kept: bool, seen: object = "") -> None:
        """Say whether a promise was kept, and by what that is known."""
        self.kept += kept
        if not kept:
            self.broken.append(f"{self._scene}: {promise}")
        evidence = f"  ({seen})" if seen != "" else ""
        self.tell(f"  {'✓' if kept else '✗'} {promise}{evidence}")

    def tell(self, text: str) -> None:
        """Print something that is no verdict."""
        self._out.write(f"{text}\n")
        self._out.flush()
