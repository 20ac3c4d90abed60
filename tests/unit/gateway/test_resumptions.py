"""Hand-back tokens: good for who they were given to, as often and as long as the trunk says."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.hand_back import HandBack
from config.trunks import Trunk
from gateway import resumptions as under_test
from gateway.database import default_url
from gateway.resumptions import Refusal, Refused, ResumptionStore
from gateway.store import CallStore
from ivr.resumption import Resumption
from tests.unit.gateway.scene import DEADLINE, configuration

LEFT = Resumption("c0ffee", "main", "bye", "ivr", {"name": "Ada"})


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def trunk(**hand_back: object) -> Trunk:
    return Trunk.model_validate({"sources": ["192.0.2.0/24"], "hand_back": hand_back})


TRUNKS = {
    "ivr": trunk(expires=60, trunks=["backup"]),
    "backup": trunk(),
    "twice": trunk(uses=2),
    "carrier": trunk(),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CallStore]:
    store = CallStore(default_url(tmp_path))
    await store.open()
    async with asyncio.timeout(DEADLINE):
        yield store
    await store.close()


@pytest.fixture
async def tokens(store: CallStore, tmp_path: Path, clock: Clock) -> AsyncIterator[ResumptionStore]:
    tokens = fresh(store, tmp_path, clock)
    yield tokens
    await tokens.close()


def fresh(store: CallStore, folder: Path, clock: Clock) -> ResumptionStore:
    return ResumptionStore(store.engine, TRUNKS, configuration(folder).flows, now=clock)


def holding(folder: Path, text: str) -> list[Path]:
    """The database's files that have this text in them."""
    return [each for each in folder.glob("switchhook.db*") if text.encode() in each.read_bytes()]


def reason(found: Resumption | Refused) -> Refusal | None:
    return found.reason if isinstance(found, Refused) else None


async def test_the_trunk_that_was_given_it_brings_it_back_once(tokens: ResumptionStore) -> None:
    token = await tokens.offer(LEFT, "ivr")
    assert len(token) == 22
    assert await tokens.redeem(token, "ivr") == LEFT
    assert await tokens.redeem(token, "ivr") == Refused(Refusal.USED, "c0ffee")


async def test_so_does_one_that_stands_in_for_it(tokens: ResumptionStore) -> None:
    assert await tokens.redeem(await tokens.offer(LEFT, "ivr"), "backup") == LEFT


async def test_another_trunk_cannot_use_it_up(tokens: ResumptionStore) -> None:
    token = await tokens.offer(LEFT, "ivr")
    assert reason(await tokens.redeem(token, "carrier")) is Refusal.FOREIGN_TRUNK
    assert await tokens.redeem(token, "ivr") == LEFT


async def test_standing_in_is_not_mutual(tokens: ResumptionStore) -> None:
    token = await tokens.offer(LEFT, "backup")
    assert reason(await tokens.redeem(token, "ivr")) is Refusal.FOREIGN_TRUNK


async def test_it_is_good_as_often_as_the_trunk_says(tokens: ResumptionStore) -> None:
    token = await tokens.offer(LEFT, "twice")
    assert [reason(await tokens.redeem(token, "twice")) for _ in range(3)] == [
        None,
        None,
        Refusal.USED,
    ]


async def test_of_many_at_once_one_goes_on(tokens: ResumptionStore) -> None:
    token = await tokens.offer(LEFT, "ivr")
    found = await asyncio.gather(*(tokens.redeem(token, "ivr") for _ in range(8)))
    assert found.count(LEFT) == 1


async def test_it_expires(tokens: ResumptionStore, clock: Clock) -> None:
    token = await tokens.offer(LEFT, "ivr")
    clock.now += 60
    assert reason(await tokens.redeem(token, "ivr")) is Refusal.EXPIRED


async def test_expired_rows_go_away_a_day_later(tokens: ResumptionStore, clock: Clock) -> None:
    token = await tokens.offer(LEFT, "ivr")
    clock.now += 60 + under_test.KEPT_AFTER + 1
    await tokens.offer(LEFT, "ivr")
    await tokens.close()
    assert reason(await tokens.redeem(token, "ivr")) is Refusal.UNKNOWN


@pytest.mark.parametrize("token", ["", "x", "é" * 22, "a" * 22])
async def test_what_was_never_given_out(tokens: ResumptionStore, token: str) -> None:
    assert await tokens.redeem(token, "ivr") == Refused(Refusal.UNKNOWN)


async def test_what_was_withdrawn(tokens: ResumptionStore) -> None:
    token = await tokens.offer(LEFT, "ivr")
    tokens.withdraw(token)
    await tokens.close()
    assert await tokens.redeem(token, "ivr") == Refused(Refusal.UNKNOWN)


async def test_a_node_that_is_no_longer_configured(tokens: ResumptionStore) -> None:
    gone = Resumption("c0ffee", "main", "no such node", "ivr")
    token = await tokens.offer(gone, "ivr")
    assert reason(await tokens.redeem(token, "ivr")) is Refusal.PLACE_GONE


async def test_it_outlives_the_gateway(
    tokens: ResumptionStore, store: CallStore, tmp_path: Path, clock: Clock
) -> None:
    token = await tokens.offer(LEFT, "ivr")
    assert await fresh(store, tmp_path, clock).redeem(token, "ivr") == LEFT


async def test_the_database_does_not_hold_it(tokens: ResumptionStore, tmp_path: Path) -> None:
    token = await tokens.offer(LEFT, "ivr")
    assert holding(tmp_path, "c0ffee")
    assert not holding(tmp_path, token)


async def test_a_call_leaves_without_one_where_the_database_refuses(
    tokens: ResumptionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "REDEEM_LIMIT", 0.1)
    with sqlite3.connect(tmp_path / "switchhook.db") as other:
        other.execute("DROP TABLE resumptions")
    assert await tokens.offer(LEFT, "ivr") == ""
    assert reason(await tokens.redeem("a" * 22, "ivr")) is Refusal.UNAVAILABLE


async def test_a_slow_database_does_not_hold_the_caller(
    store: CallStore,
    tokens: ResumptionStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The BYE leaves with its token, and the row follows."""
    monkeypatch.setattr(under_test, "OFFER_LIMIT", 0.01)
    other = sqlite3.connect(tmp_path / "switchhook.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    token = await tokens.offer(LEFT, "ivr")
    assert token
    other.close()
    assert await tokens.redeem(token, "ivr") == LEFT


def test_an_unnamed_trunk_gives_an_hour_and_one_use() -> None:
    assert (HandBack().expires, HandBack().uses) == (3600, 1)
