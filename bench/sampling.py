"""What a process uses, as Linux tells it in /proc."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment."""

    at: float
    """Monotonic seconds."""
    cpu: float
    """Seconds of CPU so far, user and system, all threads."""
    memory: int
    """Resident bytes."""
    threads: int
    open_files: int


def sample(pid: int) -> Sample:
    """Look at a process now."""
    proc = Path(f"/proc/{pid}")
    # The name in parentheses may hold spaces; what follows it does not.
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    user, system, threads, pages = (int(fields[at]) for at in (11, 12, 17, 21))
    return Sample(
        at=time.monotonic(),
        cpu=(user + system) / _TICK,
        memory=pages * os.sysconf("SC_PAGE_SIZE"),
        threads=threads,
        open_files=len([*(proc / "fd").iterdir()]),
    )


def share(before: Sample, after: Sample) -> float:
    """Part of one core that was used between two samples."""
    return (after.cpu - before.cpu) / (after.at - before.at)
