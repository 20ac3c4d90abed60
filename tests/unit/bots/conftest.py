"""A call with a bot under the test's control, and nothing left after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.bots.bot import DEADLINE, BotTwin, Connection
from tests.unit.bots.call import Call, talking


@pytest.fixture
async def bot() -> AsyncIterator[BotTwin]:
    twin = BotTwin()
    yield twin
    await twin.close()


@pytest.fixture
async def call(bot: BotTwin) -> Call:
    return Call(await bot.listen())


@pytest.fixture
async def peer(call: Call, bot: BotTwin) -> AsyncIterator[Connection]:
    """The bot in a conversation that goes on until the test, or this fixture, ends it."""
    peer = await talking(call, bot)
    yield peer
    call.cancel()
    await peer.closed()
    assert call.audio.closed
    assert call.audio.sink is None


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.bots.port.RECONNECT_DELAY", 0)


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """After each test every task that it caused has ended of its own."""
    yield
    async with asyncio.timeout(DEADLINE):
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left)
