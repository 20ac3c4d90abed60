"""What holds for every test of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """After each test no task is left, and the log is set up as it was."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    assert asyncio.all_tasks() == {asyncio.current_task()}
