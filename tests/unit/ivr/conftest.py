"""What holds for every test of flows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """After each test no task is left."""
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}
