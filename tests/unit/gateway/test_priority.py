"""The gateway goes before ordinary processes where it may, and runs where it may not."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway import priority


def beside(work: Callable[[], int]) -> int:
    """What this gives in a thread of its own, whose priority goes with it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def test_asking_changes_nothing_here() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
    priority.allowed()
    assert (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)) == before


def test_it_is_raised_where_it_may_be() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert beside(priority.raise_own) == (priority.NICE if priority.allowed() else own)


def test_what_may_not_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", refuse)
    assert beside(priority.raise_own) == os.getpriority(os.PRIO_PROCESS, 0)
    assert not priority.allowed()
