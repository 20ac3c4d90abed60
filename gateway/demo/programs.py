"""The demo's other processes that are no telephones: the gateway and the bot."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

LOOK_EVERY = 0.05
"""Seconds between two looks at what has no other way to tell."""

STOP_LIMIT = 15.0
"""Seconds from SIGTERM to SIGKILL: calls in progress get their BYE and their record."""

_TAIL = 20


class DemoError(Exception):
    """Something the demo needs did not happen in time; the message says what and shows why."""


async def until(done: Callable[[], Awaitable[bool]], what: str, within: float) -> None:
    """Look until it is done.

    Raises:
        DemoError: it was not, within so many seconds.
    """
    try:
        async with asyncio.timeout(within):
            while not await done():  # noqa: ASYNC110 - other processes set no event of ours
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError:
        raise DemoError(f"{what}: not within {within:g} s") from None


@asynccontextmanager
async def running(
    name: str,
    command: Sequence[str],
    log: Path,
    ready: Callable[[], Awaitable[bool]],
    within: float,
) -> AsyncIterator[None]:
    """Run a program from when it is ready until the block ends; its output goes to `log`.

    Raises:
        DemoError: it ended early or was not ready in time; the end of its log is quoted.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SWITCHHOOK_")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
        )

    async def is_ready() -> bool:
        if process.returncode is not None:
            raise DemoError(f"{name} ended at its start with {process.returncode}")
        return await ready()

    try:
        try:
            await until(is_ready, f"{name} is ready", within)
        except DemoError as error:
            raise DemoError(f"{error}\n{log} ends:\n{_tail(log)}") from None
        yield
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_LIMIT):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def switchhook(*arguments: str) -> tuple[str, ...]:
    """The command line of this installation."""
    return (sys.executable, "-m", "gateway", *arguments)


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
    return "\n".join(f"  {line}" for line in lines)
