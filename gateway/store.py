"""Finished calls: queued, written to the database in batches, listed and fetched.

Writing must cost a call little (docs/operations.md has the figure): `put` only queues, and one task
inserts whatever has come together in one transaction. SQLite is the default; PostgreSQL takes the
same way by its URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import structlog
from sqlalchemy import insert, make_url, select
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.database import (
    FACTS,
    calls,
    in_words,
    open_engine,
    prepare,
    to_finished,
    to_record,
    to_rows,
)
from gateway.encoding import encode
from gateway.errors import StoreError
from gateway.records import CallRecord, FinishedCall
from ivr.disposition import Disposition

log = structlog.get_logger()

BATCH_SIZE = 100
"""Rows of one transaction: beyond this the cost of a row no longer falls."""
MAX_DELAY = 0.2
"""Seconds a record waits for company. Also what a power cut can cost."""
QUEUE_LIMIT = 10_000
"""Records waiting while the disk does not take them: 25 s at 400 calls/s, about 50 MB. One more is
logged in full, counted (`switchhook_records_lost_total`) and given up."""
RETRY_DELAY = 1.0
"""Seconds between attempts while the database refuses."""
CLOSE_LIMIT = 10.0
"""Seconds that closing waits for the last records."""


class AmbiguousId(Exception):
    """Several calls begin with the given letters."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls a listing shows."""

    disposition: Disposition | None = None
    trunk: str | None = None
    since: float | None = None
    """POSIX seconds: calls that began then or later."""
    tag: str | None = None
    """Calls that were filed under it."""
    limit: int = 50


class CallStore:
    """Finished calls: queued, written in batches, listed and fetched."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine = open_engine(url)
        self._waiting: dict[str, FinishedCall] = {}
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._settled = asyncio.Condition()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None
        self._written_into: tuple[int, int] | None = None
        """Which file that is: SQLite goes on with one that was removed, and tells nobody."""
        self.written = 0
        self.lost = 0
        self.problem: str | None = None
        """Why the last write failed; None while all is well."""

    @property
    def waiting(self) -> int:
        """How many records are queued."""
        return len(self._waiting)

    @property
    def engine(self) -> AsyncEngine:
        """The connections, for what else is kept in this database."""
        return self._engine

    @property
    def file(self) -> Path | None:
        """Where SQLite keeps the records; None for a database server."""
        if self._url.get_backend_name() != "sqlite" or not self._url.database:
            return None
        return Path(self._url.database)

    async def open(self) -> None:
        """Create what is missing, and start to write.

        Raises:
            StoreError: the database cannot be reached, or its schema is not ours.
        """
        try:
            if self.file is not None:
                # Numbers of callers are nobody else's business.
                self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._prepare()
            self._written_into = self._identity()
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"database {self._url}: {in_words(error)}") from error
        self._writer = asyncio.create_task(self._write(), name="call store")

    def put(self, call: FinishedCall) -> None:
        """Queue a record. Never blocks; what cannot be queued is logged in full and counted."""
        if len(self._waiting) >= QUEUE_LIMIT:
            self._lose(call, "queue full")
            return
        self._waiting[call.record.id] = call
        self._news.set()
        if len(self._waiting) >= BATCH_SIZE:
            self._hurry.set()

    async def flush(self) -> None:
        """Return when everything queued has been written, or the database has refused it."""
        async with self._settled:
            while self._waiting and self.problem is None:
                self._hurry.set()
                await self._settled.wait()

    async def close(self) -> None:
        """Write what is queued and let go of the database. What cannot be written is logged."""
        self._closing = True
        self._news.set()
        self._hurry.set()
        if self._writer is not None:
            await asyncio.wait((self._writer,), timeout=CLOSE_LIMIT)
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        for call in self._waiting.values():
            self._lose(call, self.problem or "not written in time")
        self._waiting.clear()
        await self._engine.dispose()

    async def list(self, filter_: Filter) -> list[CallRecord]:
        """The newest calls first, those that are still queued included."""
        await self.flush()
        query = select(*FACTS).order_by(calls.c.started_ms.desc(), calls.c.id).limit(filter_.limit)
        if filter_.disposition is not None:
            query = query.where(calls.c.disposition == filter_.disposition.value)
        if filter_.trunk is not None:
            query = query.where(calls.c.trunk == filter_.trunk)
        if filter_.tag is not None:
            query = query.where(calls.c.tags.contains(f",{filter_.tag},", autoescape=True))
        if filter_.since is not None:
            query = query.where(calls.c.started_ms >= round(filter_.since * 1000))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return await asyncio.to_thread(lambda: [to_record(row) for row in rows])

    async def fetch(self, prefix: str) -> FinishedCall | None:
        """The call whose id is, or alone begins with, `prefix`.

        Raises:
            AmbiguousId: several do.
        """
        found = [call for id_, call in self._waiting.items() if id_.startswith(prefix)]
        # Ids are hexadecimal: everything that begins with the prefix sorts before prefix + "g".
        query = select(calls).where(calls.c.id >= prefix, calls.c.id < prefix + "g").limit(2)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        found += await asyncio.to_thread(lambda: [to_finished(row) for row in rows])
        by_id = {call.record.id: call for call in found}
        if len(by_id) > 1:
            raise AmbiguousId(f"more than one call begins with {prefix}: give more of the id")
        return next(iter(by_id.values()), None)

    async def resumed_by(self, ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The ended calls that came back with tokens of these calls, by the id of the earlier."""
        found: dict[str, tuple[str, ...]] = {}
        for call in list(self._waiting.values()):
            if call.record.resumed_from in ids:
                _add(found, call.record.resumed_from, call.record.id)
        query = select(calls.c.id, calls.c.resumed_from).where(
            calls.c.resumed_from != "", calls.c.resumed_from.in_(ids)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query.order_by(calls.c.started_ms))).all()
        for row in rows:
            _add(found, row.resumed_from, row.id)
        return found

    async def _prepare(self) -> None:
        try:
            async with self._engine.begin() as connection:
                await prepare(connection, str(self._url))
        except IntegrityError:
            # Another gateway has created the same tables at the same moment; they stand now.
            async with self._engine.begin() as connection:
                await prepare(connection, str(self._url))

    def _identity(self) -> tuple[int, int] | None:
        """Device and inode of the file at SQLite's place; None: there is none."""
        if self.file is None:
            return None
        try:
            found = self.file.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    async def _follow_file(self) -> None:
        """Write into the file at SQLite's place, if that is another one by now."""
        if self.file is None or await asyncio.to_thread(self._identity) == self._written_into:
            return
        log.error("database file replaced", file=str(self.file))
        await self._engine.dispose()
        await asyncio.to_thread(self.file.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
        await self._prepare()
        self._written_into = await asyncio.to_thread(self._identity)

    async def _write(self) -> None:
        while self._waiting or not self._closing:
            await self._news.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), MAX_DELAY)
            self._hurry.clear()
            batch = list(islice(self._waiting.values(), BATCH_SIZE))
            failed = await self._insert(batch)
            async with self._settled:
                self.problem = failed
                self._settled.notify_all()
            if failed is not None:
                await asyncio.sleep(RETRY_DELAY)
            elif not self._waiting:
                if not self._closing:
                    self._news.clear()
            elif len(self._waiting) >= BATCH_SIZE or self._closing:
                self._hurry.set()

    async def _insert(self, batch: Sequence[FinishedCall]) -> str | None:
        """Write a batch in one transaction. Returns why the database refuses, if it does."""
        if not batch:
            return None
        # zlib releases the interpreter lock: off the loop, a large batch delays no audio.
        rows = await asyncio.to_thread(to_rows, batch)
        try:
            await self._follow_file()
            async with self._engine.begin() as connection:
                await connection.execute(insert(calls), rows)
        except (OperationalError, InterfaceError, OSError, StoreError) as error:
            reason = in_words(error)
            log.error("records not written", reason=reason, waiting=len(self._waiting))
            return reason
        except Exception as error:  # noqa: BLE001 — whatever it is, the other records are written
            if len(batch) > 1:
                for call in batch:
                    if (failed := await self._insert([call])) is not None:
                        return failed
                return None
            self._lose(batch[0], in_words(error))
        else:
            self.written += len(batch)
        for call in batch:
            del self._waiting[call.record.id]
        return None

    def _lose(self, call: FinishedCall, reason: str) -> None:
        self.lost += 1
        log.error(
            "record lost",
            reason=reason,
            call_id=call.record.id,
            record=encode(call.record).decode(),
        )


def _add(found: dict[str, tuple[str, ...]], earlier: str, later: str) -> None:
    """Written and still queued for a moment, a call is seen twice."""
    if later not in found.get(earlier, ()):
        found[earlier] = (*found.get(earlier, ()), later)
