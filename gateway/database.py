"""The database: its tables, how SQLite is tuned, a finished call as a row and back."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.encoding import encode
from gateway.errors import StoreError
from gateway.records import CallRecord, FinishedCall, Recording
from ivr.disposition import Disposition
from ivr.result import EndReason
from sip.events import MediaQuality
from sip.outcome import Attempt

SCHEMA_VERSION = 3

BUSY_TIMEOUT_MS = 5000
"""How long SQLite waits for a lock that `switchhook calls` or a backup holds."""
EVENTS_LEVEL = 1
"""zlib level: SIP messages shrink to a quarter already; a higher level costs time for little."""
EVENTS_WINDOW = 14
EVENTS_MEMORY = 7
"""Bits of zlib's window, and its memory level. What it takes without them, 256 KB for each call,
costs as much time as the compressing; with a window of 16 KB a timeline is hardly longer."""

metadata = MetaData()
schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))
calls = Table(
    "calls",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("direction", String(16), nullable=False),
    Column("trunk", String(64), nullable=False),
    Column("caller", String, nullable=False),
    Column("number", String, nullable=False),
    Column("sip_call_id", String, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("answered_ms", BigInteger),
    Column("ended_ms", BigInteger, nullable=False),
    Column("flow", String(64), nullable=False),
    Column("path", JSON, nullable=False),
    Column("disposition", String(32), nullable=False),
    Column("end_reason", String(32), nullable=False),
    Column("message", String, nullable=False),
    Column("attempts", JSON, nullable=False),
    Column("tags", String, nullable=False),  # ",refund,vip,": a tag has no comma
    Column("media", JSON, nullable=False),
    Column("events_dropped", Integer, nullable=False),
    Column("resumed_from", String(32), nullable=False),
    Column("recordings", JSON, nullable=False),
    Column("events", LargeBinary, nullable=False),
    Index("calls_started", "started_ms"),
    Index(
        "calls_resumed_from",
        "resumed_from",
        sqlite_where=text("resumed_from <> ''"),
        postgresql_where=text("resumed_from <> ''"),
    ),
)
resumptions = Table(
    "resumptions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("trunk", String(64), nullable=False),
    Column("call_id", String(32), nullable=False),
    Column("flow", String(64), nullable=False),
    Column("node", String(64), nullable=False),
    Column("target", String, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Index("resumptions_expire", "expires_ms"),
)
trunk_capabilities = Table(
    "trunk_capabilities",
    metadata,
    Column("trunk", String(64), primary_key=True),
    Column("method", String(16), primary_key=True),
    Column("supported", Boolean, nullable=False),
    Column("code", Integer),
    Column("learned_ms", BigInteger, nullable=False),
)
availability = Table(
    "availability",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("available", Boolean, nullable=False),
    Column("reason", String, nullable=False),
    Column("said_ms", BigInteger, nullable=False),
)
FACTS = [column for column in calls.c if column.name != "events"]
"""What a listing reads: everything but the timeline."""
_ATTEMPTS = TypeAdapter(tuple[Attempt, ...])
_RECORDINGS = TypeAdapter(tuple[Recording, ...])
_MEDIA = TypeAdapter(dict[str, MediaQuality])


def default_url(data: Path) -> str:
    """SQLite in the gateway's data folder."""
    return f"sqlite+aiosqlite:///{data / 'switchhook.db'}"


def in_words(error: BaseException) -> str:
    """The driver's own words, without SQLAlchemy's statement and links."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def open_engine(url: str) -> AsyncEngine:
    """Connections to a database, made when they are needed.

    Raises:
        StoreError: the database's driver is not installed.
    """
    try:
        engine = create_async_engine(url, json_serializer=lambda value: encode(value).decode())
    except ModuleNotFoundError as error:
        raise StoreError(
            f"database {make_url(url)}: {error.name} is not installed: "
            "`pip install 'switchhook[postgres]'`"
        ) from error
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine.sync_engine)
    return engine


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        # Readers never wait for the writer; a power cut may cost the last batch, never the file.
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.close()


async def prepare(connection: AsyncConnection, url: str) -> None:
    """Create the tables in an empty database. Raises `StoreError` where they are not ours."""
    tables = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
    if schema_version.name not in tables:
        if calls.name in tables:
            raise StoreError(f"database {url}: has a table `calls` that is not Switchhook's")
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
        return
    found = (await connection.execute(select(schema_version.c.version))).scalar_one_or_none()
    if found != SCHEMA_VERSION:
        raise StoreError(
            f"database {url}: has schema version {found}, this release knows {SCHEMA_VERSION}: "
            "run the release that wrote it, or name another database in `database`"
        )


def to_rows(batch: Sequence[FinishedCall]) -> list[dict[str, object]]:
    """Calls as rows of the table, their timelines compressed."""
    return [_row(call) for call in batch]


def _row(call: FinishedCall) -> dict[str, object]:
    record = call.record
    return {
        "id": record.id,
        "direction": record.direction,
        "trunk": record.trunk,
        "caller": _text(record.caller),
        "number": _text(record.number),
        "sip_call_id": _text(record.sip_call_id),
        "started_ms": round(record.started_at * 1000),
        "answered_ms": None if record.answered_at is None else round(record.answered_at * 1000),
        "ended_ms": round(record.ended_at * 1000),
        "flow": record.flow,
        "path": record.path,
        "disposition": record.disposition.value,
        "end_reason": record.end.value,
        "message": _text(record.message),
        "attempts": record.attempts,
        "tags": f",{','.join(record.tags)}," if record.tags else "",
        "media": record.media,
        "events_dropped": record.events_dropped,
        "resumed_from": record.resumed_from,
        "recordings": record.recordings,
        "events": _compressed(call.events),
    }


def _compressed(events: bytes) -> bytes:
    packer = zlib.compressobj(EVENTS_LEVEL, wbits=EVENTS_WINDOW, memLevel=EVENTS_MEMORY)
    return packer.compress(events) + packer.flush()


def _text(received: str) -> str:
    """What a peer sent, without the escapes of bytes that were no UTF-8."""
    return received.encode("utf-8", "replace").decode()


def to_record(row: Row[Any]) -> CallRecord:
    """A row of FACTS as the record it was."""
    return CallRecord(
        id=row.id,
        direction=row.direction,
        trunk=row.trunk,
        caller=row.caller,
        number=row.number,
        sip_call_id=row.sip_call_id,
        started_at=row.started_ms / 1000,
        answered_at=None if row.answered_ms is None else row.answered_ms / 1000,
        ended_at=row.ended_ms / 1000,
        flow=row.flow,
        path=tuple(row.path),
        disposition=Disposition(row.disposition),
        end=EndReason(row.end_reason),
        message=row.message,
        attempts=_ATTEMPTS.validate_python(row.attempts),
        media=_MEDIA.validate_python(row.media),
        events_dropped=row.events_dropped,
        resumed_from=row.resumed_from,
        tags=tuple(row.tags.strip(",").split(",")) if row.tags else (),
        recordings=_RECORDINGS.validate_python(row.recordings),
    )


def to_finished(row: Row[Any]) -> FinishedCall:
    """A whole row as the call it was."""
    return FinishedCall(to_record(row), zlib.decompress(row.events))
