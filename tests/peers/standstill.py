"""A process that stands still for a while, and finds together whatever comes meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.peers import network


@asynccontextmanager
async def standstill(pid: int) -> AsyncIterator[None]:
    """Stopped inside, and going on afterwards.

    A stop is no more than asked for when the signal is sent: a thread that waits for a processor,
    or for its next tick, was seen at work for 30 ms more. So every one of them is looked at.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        await network.until(lambda: all(state == "T" for state in _states(pid)), f"{pid} stands")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _states(pid: int) -> list[str]:
    """Of each thread, proc(5): the field behind its name, which may hold anything."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks]
