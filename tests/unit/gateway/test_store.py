"""Finished calls reach the database in batches; none is lost without a word."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from gateway import database
from gateway import store as under_test
from gateway.database import default_url
from gateway.encoding import encode
from gateway.errors import StoreError
from gateway.records import CallRecord, FinishedCall
from gateway.store import AmbiguousId, CallStore, Filter
from ivr.disposition import Disposition
from tests.unit.gateway.scene import DEADLINE, STARTED, finished_call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "switchhook.db"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A locked database says so at once, and is asked again at once."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 0)
    monkeypatch.setattr(under_test, "RETRY_DELAY", 0.01)


@pytest.fixture
async def store(file: Path) -> AsyncIterator[CallStore]:
    store = CallStore(default_url(file.parent))
    await store.open()
    async with asyncio.timeout(DEADLINE):
        yield store
        await store.close()


@pytest.fixture
def locked(file: Path, store: CallStore) -> Iterator[sqlite3.Connection]:
    """Somebody else holds the database."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def take_away(file: Path, what: str) -> None:
    match what:
        case "removed":
            for part in file.parent.glob("switchhook.db*"):
                part.unlink()
        case "moved":
            file.rename(file.parent / "kept.db")
        case _:
            shutil.rmtree(file.parent)


def ids(records: list[CallRecord]) -> list[int]:
    return [int(record.id, 16) for record in records]


class TestWriting:
    async def test_a_record_comes_back_as_it_was(self, store: CallStore) -> None:
        call = finished_call()
        store.put(call)
        await store.flush()
        found = await store.fetch(call.record.id)
        assert found is not None
        assert found.record == call.record
        assert found.timeline() == call.timeline()
        assert [row["name"] for row in found.timeline()] == ["sip.message", "node.entered"]

    async def test_many_calls_are_written_in_few_transactions(
        self, store: CallStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes: list[int] = []
        inner = store._insert

        async def counted(batch: list[FinishedCall]) -> str | None:
            sizes.append(len(batch))
            return await inner(batch)

        monkeypatch.setattr(store, "_insert", counted)
        for number in range(250):
            store.put(finished_call(number))
        await store.flush()
        assert sizes == [100, 100, 50]
        assert (store.written, store.lost, store.waiting) == (250, 0, 0)

    async def test_closing_writes_what_is_queued(self, file: Path) -> None:
        store = CallStore(default_url(file.parent))
        await store.open()
        for number in range(205):
            store.put(finished_call(number))
        await store.close()
        with sqlite3.connect(file) as connection:
            assert connection.execute("SELECT count(*) FROM calls").fetchone() == (205,)
        connection.close()

    async def test_the_folder_is_nobody_elses(self, file: Path, store: CallStore) -> None:
        assert file.parent.stat().st_mode & 0o077 == 0

    async def test_bytes_that_are_no_text_do_not_cost_the_record(self, store: CallStore) -> None:
        call = finished_call(message="caf\udce9")
        store.put(FinishedCall(call.record, encode([["sip.message", 1, {"text": "caf\udce9"}]])))
        await store.flush()
        found = await store.fetch(call.record.id)
        assert (store.written, store.lost) == (1, 0)
        assert found is not None
        assert found.timeline()[0]["text"] == "caf?"


class TestTrouble:
    async def test_a_full_queue_counts_and_logs_what_it_cannot_take(
        self, store: CallStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(under_test, "QUEUE_LIMIT", 2)
        with capture_logs() as logged:
            for number in (1, 2, 3):
                store.put(finished_call(number))
        assert (store.waiting, store.lost) == (2, 1)
        [line] = logged
        assert (line["event"], line["reason"]) == ("record lost", "queue full")
        assert json.loads(line["record"])["attempts"][0]["outcome"] == "busy"

    async def test_a_disk_that_fails_for_a_while_costs_nothing(
        self, store: CallStore, locked: sqlite3.Connection
    ) -> None:
        with capture_logs() as logged:
            store.put(finished_call(1))
            await store.flush()
            assert store.problem == "database is locked"
            assert store.waiting == 1
            locked.execute("ROLLBACK")
            await store.close()
        assert (store.written, store.lost) == (1, 0)
        assert logged[0]["event"] == "records not written"

    @pytest.mark.parametrize("what", ["removed", "moved", "its folder removed"])
    async def test_a_file_that_was_taken_away_is_made_anew(
        self, file: Path, store: CallStore, what: str
    ) -> None:
        """SQLite itself would write on into the one that nobody sees any more."""
        store.put(finished_call(1))
        await store.flush()
        take_away(file, what)
        with capture_logs() as logged:
            store.put(finished_call(2))
            await store.flush()
            store.put(finished_call(3))
            await store.flush()
        assert [line["event"] for line in logged] == ["database file replaced"]
        with sqlite3.connect(file) as other:
            found = other.execute("SELECT id FROM calls ORDER BY id").fetchall()
        assert found == [(finished_call(number).record.id,) for number in (2, 3)]
        assert store.lost == 0

    async def test_what_a_failing_disk_never_took_is_in_the_log(
        self, store: CallStore, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(under_test, "CLOSE_LIMIT", 0.05)
        store.put(finished_call(1))
        store.put(finished_call(2))
        with capture_logs() as logged:
            await store.close()
        lost = [line["call_id"] for line in logged if line["event"] == "record lost"]
        assert lost == [finished_call(1).record.id, finished_call(2).record.id]
        assert store.lost == 2

    async def test_one_record_the_database_refuses_costs_only_itself(
        self, store: CallStore
    ) -> None:
        store.put(finished_call(7))
        await store.flush()
        with capture_logs() as logged:
            for number in (6, 7, 8):
                store.put(finished_call(number))
            await store.flush()
        assert ids(await store.list(Filter())) == [8, 7, 6]
        assert (store.written, store.lost) == (3, 1)
        assert "UNIQUE" in logged[0]["reason"]


class TestReading:
    async def test_a_call_that_is_still_queued_is_found(self, store: CallStore) -> None:
        store.put(finished_call(5))
        assert await store.fetch(finished_call(5).record.id) == finished_call(5)
        assert ids(await store.list(Filter())) == [5]

    async def test_a_unique_beginning_of_the_id_is_enough(self, store: CallStore) -> None:
        store.put(finished_call(0xABC << 48))
        store.put(finished_call(0xABD << 48))
        await store.flush()
        found = await store.fetch("0abc")
        assert found is not None
        assert found.record.id == "0abc000000000000"
        with pytest.raises(AmbiguousId, match="begins with 0ab"):
            await store.fetch("0ab")
        assert await store.fetch("fff") is None

    async def test_no_wildcard_reaches_the_database(self, store: CallStore) -> None:
        store.put(finished_call(1))
        await store.flush()
        assert await store.fetch("%") is None
        assert await store.fetch("_") is None

    async def test_the_newest_come_first_up_to_the_limit(self, store: CallStore) -> None:
        for number in (3, 1, 2):
            store.put(finished_call(number))
        assert ids(await store.list(Filter(limit=2))) == [3, 2]

    async def test_filters_narrow_the_list(self, store: CallStore) -> None:
        store.put(finished_call(1, disposition=Disposition.CONTAINED))
        store.put(finished_call(2, trunk="pbx"))
        store.put(finished_call(3))
        assert ids(await store.list(Filter(disposition=Disposition.CONTAINED))) == [1]
        assert ids(await store.list(Filter(trunk="pbx"))) == [2]
        assert ids(await store.list(Filter(since=STARTED + 2))) == [3, 2]

    async def test_by_tag(self, store: CallStore) -> None:
        for number, tags in enumerate([("vip", "refund"), ("vip",), ("very_vip",), ()], 1):
            store.put(finished_call(number, tags=tags))
        assert ids(await store.list(Filter(tag="vip"))) == [2, 1]
        assert ids(await store.list(Filter(tag="v_p"))) == []
        (record, *_) = await store.list(Filter(tag="refund"))
        assert record.tags == ("vip", "refund")

    async def test_calls_that_came_back(self, store: CallStore) -> None:
        """An earlier call names the later ones, written or still waiting."""
        store.put(finished_call(1))
        store.put(finished_call(2, resumed_from=f"{1:016x}"))
        await store.flush()
        store.put(finished_call(3, resumed_from=f"{1:016x}"))
        found = await store.resumed_by([f"{1:016x}", f"{2:016x}"])
        assert {key: sorted(later) for key, later in found.items()} == {
            f"{1:016x}": [f"{2:016x}", f"{3:016x}"]
        }


class TestSchema:
    @pytest.fixture
    def garbage(self, file: Path) -> Path:
        file.parent.mkdir()
        file.write_bytes(b"no database at all" * 100)
        return file

    async def test_a_database_is_opened_again(self, file: Path, store: CallStore) -> None:
        store.put(finished_call(1))
        await store.close()
        again = CallStore(default_url(file.parent))
        await again.open()
        assert ids(await again.list(Filter())) == [1]
        await again.close()

    async def test_a_schema_of_another_release_is_refused(
        self, file: Path, store: CallStore
    ) -> None:
        await store.close()
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE schema_version SET version = 99")
        connection.close()
        again = CallStore(default_url(file.parent))
        with pytest.raises(StoreError, match="schema version 99, this release knows 3"):
            await again.open()
        await again.close()

    async def test_a_database_of_something_else_is_refused(self, file: Path) -> None:
        file.parent.mkdir()
        with sqlite3.connect(file) as connection:
            connection.execute("CREATE TABLE calls (x)")
        connection.close()
        store = CallStore(default_url(file.parent))
        with pytest.raises(StoreError, match="not Switchhook's"):
            await store.open()
        await store.close()

    async def test_two_gateways_may_create_the_tables_at_once(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inner, calls = database.prepare, [0]

        async def beaten(connection: AsyncConnection, url: str) -> None:
            calls[0] += 1
            if calls[0] == 1:
                raise IntegrityError("CREATE TABLE", None, Exception("duplicate key"))
            await inner(connection, url)

        monkeypatch.setattr(under_test, "prepare", beaten)
        store = CallStore(default_url(file.parent))
        await store.open()
        assert await store.list(Filter()) == []
        await store.close()

    async def test_a_driver_that_is_not_installed_is_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "asyncpg", None)
        with pytest.raises(StoreError, match=r"asyncpg is not installed: .*switchhook\[postgres"):
            CallStore("postgresql+asyncpg://db/calls")

    async def test_a_folder_that_cannot_be_made_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        store = CallStore(default_url(tmp_path / "file"))
        with pytest.raises(StoreError, match=r"switchhook\.db: .*File exists"):
            await store.open()
        await store.close()

    async def test_a_file_that_is_no_database_is_refused(self, garbage: Path) -> None:
        store = CallStore(default_url(garbage.parent))
        with pytest.raises(StoreError, match="not a database"):
            await store.open()
        await store.close()
