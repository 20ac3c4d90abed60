"""Numbered steps on the terminal, with elapsed seconds, and a log of what the tools printed."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from recipe.failure import RecipeError

FAILURE_LINES = 30
"""Lines of the log shown when a tool fails: enough for a compiler's first complaint."""

TICK_SECONDS = 0.5


class Steps:
    """Prints `[2/6] title … 12 s` and runs the tools of each step with their output in the log.

    On a terminal the seconds count while a tool runs; elsewhere each step is one line at its start
    and one at its end.
    """

    def __init__(self, total: int, log: Path, screen: TextIO = sys.stderr) -> None:
        self._total = total
        self._log = log
        self._screen = screen
        self._live = screen.isatty()
        self._number = 0
        self._title = ""
        self._started = 0.0
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One numbered step around the work of the `with` block."""
        self._number += 1
        self._title = title
        self._started = time.monotonic()
        self._show("…", final=not self._live)
        try:
            yield
        except BaseException:
            self._show("failed", final=True)
            raise
        self._show(f"{time.monotonic() - self._started:.1f} s", final=True)

    def cached(self, title: str, count: int = 1) -> None:
        """One step, or `count` of them together, with nothing to do."""
        self._number += count
        self._title = title
        self._show("cached", final=True)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Run a tool to its end. Raises RecipeError with the end of the log when it fails."""
        words = [str(word) for word in command]
        with self._log.open("a") as log:
            log.write(f"$ {' '.join(words)}\n")
            log.flush()
            start = log.tell()
            with subprocess.Popen(
                words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            ) as tool:
                while tool.poll() is None:
                    try:
                        tool.wait(TICK_SECONDS)
                    except subprocess.TimeoutExpired:
                        self._tick()
        if tool.returncode:
            with self._log.open(errors="replace") as log:
                log.seek(start)
                tail = log.read().splitlines()[-FAILURE_LINES:]
            raise RecipeError(
                f"{words[0]} failed with exit code {tool.returncode}.\n"
                f"The last lines of {self._log}:\n    " + "\n    ".join(tail)
            )

    def _tick(self) -> None:
        if self._live:
            self._show(f"… {time.monotonic() - self._started:.0f} s", final=False)

    def _show(self, state: str, *, final: bool) -> None:
        line = f"[{self._number}/{self._total}] {self._title}: {state}"
        # ESC [K clears what a longer line left behind.
        self._screen.write(f"\r{line}\x1b[K" if self._live else line)
        self._screen.write("\n" if final else "")
        self._screen.flush()
