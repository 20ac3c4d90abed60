"""The control API, asked by anybody and asked for keys, and a call in progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.api.keys import Access, Key
from gateway.database import default_url
from gateway.memory import Memory
from gateway.metrics import Metrics
from gateway.store import CallStore
from tests.twin import Verdict
from tests.unit.gateway.agent_twin import TwinAgent, TwinLeg, TwinPromptStore
from tests.unit.gateway.api.service_twin import LIVE, TwinService, client_of
from tests.unit.gateway.scene import DEADLINE, configuration, finished_call, ignore, session_of

KEYS = (
    Key.of("viewer", "look", Access.READ),
    Key.of("operator", "decide", Access.CONTROL),
)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[TwinService]:
    store = CallStore(default_url(tmp_path))
    await store.open()
    store.put(finished_call(7))
    memory = Memory(store.engine)
    await memory.open()
    metrics = Metrics(TwinAgent().counters, list, store)
    yield TwinService(store, memory, metrics, configuration(tmp_path))
    await memory.close()
    await store.close()


@pytest.fixture
async def api(service: TwinService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service) as client:
        yield client


@pytest.fixture
async def guarded(service: TwinService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service, *KEYS) as client:
        yield client


@pytest.fixture
async def leg(service: TwinService) -> AsyncIterator[TwinLeg]:
    """A call that plays a very long welcome."""
    leg = TwinLeg(LIVE, verdicts=[Verdict(rings=True)])
    leg.endless.add("Welcome")
    session = session_of(leg, configuration(Path("/nowhere")), TwinPromptStore(), ignore)
    service.calls[LIVE] = session
    playing = asyncio.Event()
    leg.stage.on("play Welcome", playing.set)
    task = asyncio.create_task(session.run())
    async with asyncio.timeout(DEADLINE):
        await playing.wait()
        yield leg
        leg.hang_up()
        await task
