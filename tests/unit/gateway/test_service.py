"""The gateway starts, drains and stops in order, and loses no record on the way."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from config.configuration import Configuration
from config.errors import ConfigError, Problem
from gateway.database import default_url
from gateway.errors import ApiBindError, PartEnded
from gateway.service import Gateway, Stage
from gateway.store import CallStore, Filter
from ivr.result import EndReason
from sip.errors import BindError
from sip.pings import HopState
from sip.registrations import RegistrationState
from tests.unit.gateway.agent_twin import TwinAgent, TwinLeg, TwinPromptStore
from tests.unit.gateway.scene import DEADLINE, configuration


class House:
    """A gateway between twins, and the order in which its parts were used."""

    def __init__(self, folder: Path, **keys: Any) -> None:
        self.journal: list[str] = []
        self.agent = TwinAgent(self.journal)
        self.prompts = TwinPromptStore(self.journal)
        self.configuration: Configuration = configuration(folder, **keys)
        self.gateway = Gateway(self.configuration, self.agent, self.prompts, logging.INFO)

    async def dial(self, number: int, *, endless: bool = False) -> TwinLeg:
        """A call that has begun; an endless one plays its welcome until it is hung up."""
        leg = TwinLeg(f"{number:016x}")
        began = asyncio.Event()
        leg.stage.on("play Welcome", began.set)
        if endless:
            leg.endless.add("Welcome")
        self.agent.dial(leg)
        await began.wait()
        return leg

    async def records(self) -> list[EndReason]:
        """Why the recorded calls ended, read from the database by somebody else."""
        store = CallStore(default_url(self.configuration.settings.data))
        await store.open()
        found = await store.list(Filter())
        await store.close()
        return [record.end for record in found]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(DEADLINE):
        house = House(tmp_path)
        yield house
        if house.gateway.stage is not Stage.STOPPED:
            await house.gateway.stop()


async def ready(gateway: Gateway) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"{gateway.api_url}/readyz")


class TestStart:
    async def test_sip_is_opened_last(self, house: House) -> None:
        await house.gateway.start()
        assert house.journal == ["prompts prepared", "sip started"]
        assert house.gateway.readiness().ready

    async def test_the_api_answers_while_prompts_are_prepared(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await ready(house.gateway))

        monkeypatch.setattr(house.prompts, "prepare", ask)
        await house.gateway.start()
        answers.append(await ready(house.gateway))
        assert [answer.status_code for answer in answers] == [503, 200]
        assert answers[0].json()["reasons"] == ["starting"]

    async def test_it_says_where_it_listens(self, house: House) -> None:
        with capture_logs() as logged:
            await house.gateway.start()
        [line] = [line for line in logged if line["event"] == "gateway ready"]
        assert line["sip"] == ["udp:127.0.0.1:5060"]
        assert line["api"] == house.gateway.api_url

    async def test_a_trunk_that_is_not_registered_is_a_warning(self, house: House) -> None:
        house.agent.unregistered = [RegistrationState("provider", 403, "Forbidden", 0)]
        await house.gateway.start()
        answer = (await ready(house.gateway)).json()
        assert answer["ready"]
        assert answer["warnings"] == ["trunk provider is not registered: 403 Forbidden"]

    async def test_a_proxy_that_is_out_of_service_is_a_warning(self, house: House) -> None:
        up = HopState("carrier", "sip:10.0.0.1", up=True, code=200, reason="OK")
        down = HopState("carrier", "sip:10.0.0.2", up=False, reason="no answer in 4 s")
        house.agent.pinged = [up, down, HopState("carrier", "sip:10.0.0.3")]
        await house.gateway.start()
        answer = (await ready(house.gateway)).json()
        assert answer["ready"]
        assert answer["warnings"] == [
            "sip:10.0.0.2 of trunk carrier is out of service: no answer in 4 s"
        ]

    async def test_a_part_that_cannot_be_had_stops_the_rest(self, house: House) -> None:
        house.agent.taken_port = True
        with pytest.raises(BindError, match="cannot listen on udp"):
            await house.gateway.run()
        assert house.gateway.stage is Stage.STOPPED
        with pytest.raises(httpx.ConnectError):
            await ready(house.gateway)

    async def test_a_prompt_that_cannot_be_spoken_stops_the_rest(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail() -> None:
            raise ConfigError([Problem("main.yaml", 3, 1, "nodes.greet", "no such file")])

        monkeypatch.setattr(house.prompts, "prepare", fail)
        with pytest.raises(ConfigError):
            await house.gateway.run()
        assert "sip started" not in house.journal

    async def test_a_taken_api_port_is_named(self, house: House, tmp_path: Path) -> None:
        await house.gateway.start()
        port = int(house.gateway.api_url.rpartition(":")[2])
        second = House(tmp_path / "second", api={"port": port})
        with pytest.raises(
            ApiBindError, match=rf"cannot listen on 127\.0\.0\.1:{port} for the API"
        ):
            await second.gateway.run()


class TestServing:
    async def test_a_call_becomes_a_record(self, house: House) -> None:
        await house.gateway.start()
        leg = await house.dial(1)
        await leg.wait_ended()
        await house.gateway.stop()
        assert await house.records() == [EndReason.HANGUP]
        assert house.gateway.calls == {}

    async def test_a_call_is_never_unknown_between_its_end_and_its_record(
        self, house: House
    ) -> None:
        await house.gateway.start()
        leg = await house.dial(1, endless=True)
        leg.hang_up()
        async with httpx.AsyncClient(base_url=house.gateway.api_url) as client:
            for _ in range(20):
                assert (await client.get(f"/v1/calls/{leg.id}")).status_code == 200

    async def test_a_part_that_ends_by_itself_ends_the_gateway(self, house: House) -> None:
        running = asyncio.create_task(house.gateway.run())
        leg = await house.dial(1, endless=True)
        house.agent.break_off()
        with pytest.raises(PartEnded, match="take calls"):
            await running
        assert leg.ended is not None
        assert await house.records() == [EndReason.SHUTDOWN]


class TestStopping:
    async def test_a_signal_drains_and_stops(self, house: House) -> None:
        running = asyncio.create_task(house.gateway.run())
        leg = await house.dial(1, endless=True)
        os.kill(os.getpid(), signal.SIGTERM)
        await house.agent.draining.wait()
        answer = await ready(house.gateway)
        assert (answer.status_code, answer.json()["reasons"]) == (503, ["draining"])
        assert leg.ended is None
        leg.hang_up()
        await running
        assert house.journal[-2:] == ["sip draining", "sip stopped"]
        assert await house.records() == [EndReason.CALLER_HANGUP]

    async def test_a_terminal_that_is_closed_drains_too(self, house: House) -> None:
        """It says so more than once, and means nothing else by it."""
        running = asyncio.create_task(house.gateway.run())
        leg = await house.dial(1, endless=True)
        os.kill(os.getpid(), signal.SIGHUP)
        await house.agent.draining.wait()
        os.kill(os.getpid(), signal.SIGHUP)
        assert (await ready(house.gateway)).status_code == 503
        assert leg.ended is None
        leg.hang_up()
        await running
        assert await house.records() == [EndReason.CALLER_HANGUP]

    async def test_under_nohup_it_goes_on(self, house: House) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            running = asyncio.create_task(house.gateway.run())
            leg = await house.dial(1, endless=True)
            os.kill(os.getpid(), signal.SIGHUP)
            assert (await ready(house.gateway)).status_code == 200
            leg.hang_up()
            house.gateway.ask_to_stop()
            await running
        finally:
            signal.signal(signal.SIGHUP, before)

    async def test_a_second_signal_does_not_wait_for_the_calls(self, house: House) -> None:
        running = asyncio.create_task(house.gateway.run())
        leg = await house.dial(1, endless=True)
        os.kill(os.getpid(), signal.SIGINT)
        await house.agent.draining.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await running
        assert leg.ended is not None
        assert await house.records() == [EndReason.SHUTDOWN]

    async def test_draining_ends_at_its_limit(self, tmp_path: Path) -> None:
        house = House(tmp_path, drain=0)
        running = asyncio.create_task(house.gateway.run())
        leg = await house.dial(1, endless=True)
        house.gateway.ask_to_stop()
        await running
        assert leg.ended is not None
        assert await house.records() == [EndReason.SHUTDOWN]

    async def test_without_calls_draining_takes_no_time(self, house: House) -> None:
        running = asyncio.create_task(house.gateway.run())
        house.gateway.ask_to_stop()
        await running
        assert house.journal == [
            "prompts prepared",
            "sip started",
            "sip draining",
            "sip stopped",
        ]

    async def test_every_call_in_progress_leaves_a_record(self, house: House) -> None:
        running = asyncio.create_task(house.gateway.run())
        for number in range(20):
            await house.dial(number, endless=True)
        house.gateway.ask_to_stop()
        house.gateway.ask_to_stop()
        await running
        assert await house.records() == [EndReason.SHUTDOWN] * 20

    async def test_a_leg_that_does_not_end_does_not_keep_the_gateway(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.service.SESSION_LIMIT", 0.05)
        running = asyncio.create_task(house.gateway.run())
        leg = await house.dial(1, endless=True)
        leg.stubborn = True
        house.gateway.ask_to_stop()
        house.gateway.ask_to_stop()
        await running
        assert len(await house.records()) == 1
