"""Waiting for one of several things: each is a task that does not outlive the wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")


@contextmanager
def beside(work: Coroutine[Any, Any, Result]) -> Iterator[asyncio.Task[Result]]:
    """Run `work` while the block does. What is left of it then is cancelled; an error that the
    block did not ask for is nobody's."""
    task = asyncio.create_task(work)
    task.add_done_callback(_retrieved)
    try:
        yield task
    finally:
        task.cancel()


def _retrieved(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
