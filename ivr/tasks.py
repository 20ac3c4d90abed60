"""Ending the tasks of a call in order, whoever else is cancelling it meanwhile.

A call can be torn away twice at once: an operator decides, the caller hangs up, the gateway stops.
What is being released must not be left half done by the second of them: a task is cancelled once,
and these waits outlast a cancellation of the waiting task. The interpreter notes such a
cancellation where it chooses the call's next step.
"""

from __future__ import annotations

import asyncio
from typing import Any


def cut(task: asyncio.Task[Any]) -> None:
    """Cancel a task unless that has been done: a second time would cut short what it releases."""
    if not task.cancelling():
        task.cancel()


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is done. Its result or error is left for the caller."""
    cut(task)
    await finished(task)


async def done(task: asyncio.Task[Any]) -> None:
    """Wait until a task is done, whatever came of it. Cancelling the wait leaves the task alone.

    `asyncio.wait` does the same for many tasks and with a time limit, at three times the cost; each
    node of each call is waited for.
    """
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: asyncio.Task[Any]) -> None:
        if not over.done():
            over.set_result(None)

    task.add_done_callback(wake)
    await over


async def finished(task: asyncio.Task[Any], limit: float | None = None) -> bool:
    """Wait until a task is done, at most `limit` seconds; False: it is still running."""
    loop = asyncio.get_running_loop()
    deadline = None if limit is None else loop.time() + limit
    while not task.done():
        left = None if deadline is None else deadline - loop.time()
        if left is not None and left <= 0:
            return False
        try:
            await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError:
            continue
    return True
