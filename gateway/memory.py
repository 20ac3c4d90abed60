"""What outlives calls beside their records: a few small facts, held in memory and in the database.

They are read at the start, and from then on answered from memory; a change is written behind the
call that brought it. A database that refuses costs the change its outliving, never a call.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Delete, Insert, Row, Table, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.database import availability, trunk_capabilities

log = structlog.get_logger()

REFER = "refer"
CLOSE_LIMIT = 5.0
"""Seconds that closing waits for the last changes."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What a trunk's peer has shown of itself."""

    trunk: str
    supported: bool
    code: int | None
    """The final response to the REFER, or that of its NOTIFYs."""
    learned_at: float
    """POSIX seconds."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a target or group through the API."""

    name: str
    available: bool
    reason: str
    said_at: float
    """POSIX seconds."""


class Memory:
    """Opened once, after the database has been prepared; closed before its engine is."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._capabilities: dict[str, Capability] = {}
        self._said: dict[str, Said] = {}
        self._writing: asyncio.Task[None] | None = None
        self._changes: asyncio.Queue[tuple[Delete, Insert | None]] = asyncio.Queue()

    async def open(self) -> None:
        """Read what is known. Raises `SQLAlchemyError`."""
        async with self._engine.connect() as connection:
            for row in (await connection.execute(select(trunk_capabilities))).all():
                if row.method == REFER:
                    self._capabilities[row.trunk] = _capability(row)
            for row in (await connection.execute(select(availability))).all():
                self._said[row.name] = _said(row)
        self._writing = asyncio.create_task(self._write(), name="memory")

    async def close(self) -> None:
        """Write the last changes."""
        if self._writing is not None:
            settled = asyncio.ensure_future(self._changes.join())
            await asyncio.wait({settled}, timeout=CLOSE_LIMIT)
            settled.cancel()
            self._writing.cancel()
            await asyncio.gather(self._writing, settled, return_exceptions=True)

    def capability(self, trunk: str) -> Capability | None:
        """What is known of a trunk and REFER."""
        return self._capabilities.get(trunk)

    def learn(self, trunk: str, *, supported: bool, code: int | None) -> None:
        """Keep what a trunk has shown."""
        known = Capability(trunk, supported, code, time.time())
        self._capabilities[trunk] = known
        self._change(
            _of(trunk_capabilities, trunk),
            insert(trunk_capabilities).values(
                trunk=trunk,
                method=REFER,
                supported=supported,
                code=code,
                learned_ms=round(known.learned_at * 1000),
            ),
        )

    def forget(self, trunk: str) -> bool:
        """Drop what is known of a trunk; False: nothing was."""
        self._change(_of(trunk_capabilities, trunk), None)
        return self._capabilities.pop(trunk, None) is not None

    def said(self, name: str) -> Said | None:
        """What was last said of a target or group."""
        return self._said.get(name)

    def say(self, name: str, *, available: bool, reason: str) -> Said:
        """Keep what is said of a target or group."""
        said = self._said[name] = Said(name, available, reason, time.time())
        self._change(
            _of(availability, name),
            insert(availability).values(
                name=name,
                available=available,
                reason=reason,
                said_ms=round(said.said_at * 1000),
            ),
        )
        return said

    def unsay(self, name: str) -> None:
        """Drop what was said."""
        self._said.pop(name, None)
        self._change(_of(availability, name), None)

    async def settled(self) -> None:
        """Return when every change so far has been written, or given up."""
        await self._changes.join()

    def _change(self, before: Delete, after: Insert | None) -> None:
        self._changes.put_nowait((before, after))

    async def _write(self) -> None:
        while True:
            before, after = await self._changes.get()
            try:
                async with self._engine.begin() as connection:
                    await connection.execute(before)
                    if after is not None:
                        await connection.execute(after)
            except (SQLAlchemyError, OSError) as error:
                log.error("change not written", reason=str(error).partition("\n")[0])
            finally:
                self._changes.task_done()


def _of(table: Table, key: str) -> Delete:
    return delete(table).where(next(iter(table.primary_key.columns)) == key)


def _capability(row: Row[Any]) -> Capability:
    return Capability(row.trunk, row.supported, row.code, row.learned_ms / 1000)


def _said(row: Row[Any]) -> Said:
    return Said(row.name, row.available, row.reason, row.said_ms / 1000)
