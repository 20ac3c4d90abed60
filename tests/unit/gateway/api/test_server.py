"""The API's connections take no open files away from the calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from fastapi import FastAPI

from gateway.api import server
from gateway.api.server import ApiServer
from tests.unit.gateway.scene import DEADLINE

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def running() -> AsyncIterator[ApiServer]:
    api = ApiServer(FastAPI(), "127.0.0.1", 0)
    await api.open()
    yield api
    await api.close()


async def connect(api: ApiServer) -> Ends:
    url = httpx.URL(api.url)
    return await asyncio.open_connection(url.host, url.port)


async def ended(ends: Ends) -> None:
    async with asyncio.timeout(DEADLINE):
        with suppress(ConnectionResetError):
            assert await ends[0].read() == b""
    ends[1].close()


async def test_one_too_many_is_hung_up_on(
    running: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    taken = [await connect(running) for _ in range(2)]
    await ended(await connect(running))
    for reader, writer in taken:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(DEADLINE):
            assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()


async def test_one_that_asks_for_nothing_is_closed(
    running: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE_LIMIT", 0.05)
    await ended(await connect(running))
