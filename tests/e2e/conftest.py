"""Fixtures: one gateway for the whole run, peers for each test, and nothing left after it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from sip.softphone.driver import Softphone
from tests.e2e.bot import ScriptedBot
from tests.e2e.process import Api, Footprint, GatewayProcess, served
from tests.e2e.world import CARRIER, PBX, World
from tests.peers import network
from tests.peers.script import Script
from tests.peers.sipp import Sipp

os.environ.pop("LD_PRELOAD", None)
# A sanitizer (test_sanitized.py) is for the process that it names, and not for the peers.

SPARE_FILES = 8
"""Open files that a test may leave: database connections and HTTP keep-alive come and go."""

RELEASE_LIMIT = 20.0
"""Seconds until everything of a finished call is gone; BYE may be repeated meanwhile."""

LOG_LINES = 30
"""Of the gateway's log, shown where a test fails."""

StartGateway = Callable[[World], GatewayProcess]
StartPhone = Callable[..., Awaitable[Softphone]]
StartPeer = Callable[..., Awaitable[Sipp]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """The gateway that most tests use one after the other."""
    world = World(tmp_path_factory.mktemp("gateway"))
    yield from served(world)


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Starts gateways of the test's own; each is stopped after it."""
    started: list[GatewayProcess] = []

    def start(world: World) -> GatewayProcess:
        world.write()
        process = GatewayProcess(world)
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.stop()


@pytest_asyncio.fixture
async def gateway(
    shared_gateway: GatewayProcess, request: pytest.FixtureRequest
) -> AsyncIterator[GatewayProcess]:
    """The shared gateway; after the test nothing of it may be left."""
    before = shared_gateway.footprint()
    offset = shared_gateway.log.stat().st_size
    yield shared_gateway
    try:
        await nothing_left(shared_gateway, before)
        faults = shared_gateway.faults_since(offset)
        assert not faults, "\n".join(faults)
    finally:
        shown = "\n".join(shared_gateway.log_since(offset)[-LOG_LINES:])
        request.node.add_report_section("teardown", "gateway log", shown)


async def nothing_left(process: GatewayProcess, before: Footprint) -> None:
    """Wait until calls, legs, pump ports, RTP ports, processes and files are released."""
    async with Api.of(process.world) as api:

        async def remains() -> dict[str, object]:
            metrics = await api.metrics()
            now = process.footprint()
            held = {
                "live calls": await api.live(),
                "children": set(now.children) - set(before.children),
                "RTP ports": now.rtp_ports - before.rtp_ports,
                "open files": max(0, now.open_files - before.open_files - SPARE_FILES),
                "threads": max(0, now.threads - before.threads - SPARE_FILES),
                **{name: metrics[name] for name in GAUGES if metrics.get(name, 1.0)},
            }
            return {name: value for name, value in held.items() if value}

        async def clean() -> bool:
            return not await remains()

        try:
            await network.until(clean, "nothing is left", RELEASE_LIMIT)
        except AssertionError:
            raise AssertionError(f"left after the test: {await remains()}") from None


GAUGES = tuple(f"switchhook_{name}_active" for name in ("calls", "legs", "bot_ports", "refers"))
"""Metrics that must be there, and 0, once no call is up."""


@pytest.fixture
def world(gateway: GatewayProcess) -> World:
    """Where everybody is."""
    return gateway.world


@pytest_asyncio.fixture
async def api(world: World) -> AsyncIterator[Api]:
    """The gateway's control API."""
    async with Api.of(world) as api:
        yield api


@pytest_asyncio.fixture
async def bot(world: World) -> AsyncIterator[ScriptedBot]:
    """The bot that the flow `conversation` connects to."""
    bot = ScriptedBot()
    await bot.start(world.bot_port)
    yield bot
    await bot.stop()


@pytest_asyncio.fixture
async def start_phone() -> AsyncIterator[StartPhone]:
    """Starts softphones: `await start_phone(address, port, name=…)`."""
    phones: list[Softphone] = []

    async def start(address: str, port: int = 0, **options: str) -> Softphone:
        phone = await Softphone.start(address, port, **options)  # type: ignore[arg-type]
        phones.append(phone)
        return phone

    yield start
    for phone in phones:
        await phone.stop()


@pytest_asyncio.fixture
async def caller(world: World, start_phone: StartPhone) -> Softphone:
    """A softphone on the carrier's side."""
    return await start_phone(CARRIER, world.carrier_port, name="caller")


@pytest_asyncio.fixture
async def pbx(world: World, start_phone: StartPhone) -> Softphone:
    """A softphone that is every agent of the PBX: policies tell the users apart."""
    return await start_phone(PBX, world.pbx_port, name="pbx")


@pytest_asyncio.fixture
async def peer(tmp_path: Path) -> AsyncIterator[StartPeer]:
    """Starts SIPp peers: `await peer(script, address=…)`."""
    peers: list[Sipp] = []

    async def start(script: Script, **where: object) -> Sipp:
        sipp = await Sipp.start(script, tmp_path, **where)  # type: ignore[arg-type]
        peers.append(sipp)
        return sipp

    yield start
    for sipp in peers:
        await sipp.stop()
