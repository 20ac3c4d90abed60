"""A bot under the test's control: a real WebSocket server whose connections the test holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.bots.bot import DEADLINE, BotTwin


@pytest.fixture
async def bot() -> AsyncIterator[BotTwin]:
    twin = BotTwin()
    yield twin
    await twin.close()


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """After each test every task that it caused has ended of its own."""
    yield
    async with asyncio.timeout(DEADLINE):
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left)
