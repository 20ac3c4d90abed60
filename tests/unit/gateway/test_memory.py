"""What outlives a call: what trunks have shown, and what was said of targets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.settings import Settings
from config.targets import Target
from gateway.availability import Availability
from gateway.capabilities import TrunkCapabilities
from gateway.database import default_url
from gateway.memory import Memory
from gateway.store import CallStore
from tests.unit.gateway.scene import configuration

SERVICE = "http://127.0.0.1:9/free"
SUNDAY = datetime(2026, 11, 22, 12, tzinfo=UTC)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Memory]:
    """The memory of a gateway that starts and stops."""
    store = CallStore(default_url(folder))
    await store.open()
    memory = Memory(store.engine)
    await memory.open()
    yield memory
    await memory.close()
    await store.close()


def settings(folder: Path, **keys: Any) -> Settings:
    return configuration(folder, **keys).settings


class TestTrunks:
    async def test_what_was_learned_outlives_a_restart_until_it_is_forgotten(
        self, tmp_path: Path
    ) -> None:
        trunks = settings(tmp_path).trunks
        async with opened(tmp_path) as memory:
            TrunkCapabilities(trunks, memory).showed_refer("carrier", takes=False, code=405)
        async with opened(tmp_path) as memory:
            assert TrunkCapabilities(trunks, memory).takes_refer("carrier") is False
            known = memory.capability("carrier")
            assert known is not None
            assert known.code == 405
            assert memory.forget("carrier")
        async with opened(tmp_path) as memory:
            assert TrunkCapabilities(trunks, memory).takes_refer("carrier") is None

    async def test_what_is_configured_is_not_learned(self, tmp_path: Path) -> None:
        trunk = {"sources": ["192.0.2.0/24"], "refer": {"support": "yes"}}
        trunks = settings(tmp_path, trunks={"carrier": trunk}).trunks
        async with opened(tmp_path) as memory:
            capabilities = TrunkCapabilities(trunks, memory)
            capabilities.showed_refer("carrier", takes=False, code=405)
            assert capabilities.takes_refer("carrier") is True
            assert memory.capability("carrier") is None

    @pytest.mark.parametrize(("code", "takes"), [(603, True), (405, False)])
    async def test_a_decline_is_only_a_no_of_a_trunk_that_has_taken_one(
        self, tmp_path: Path, code: int, takes: bool
    ) -> None:
        async with opened(tmp_path) as memory:
            capabilities = TrunkCapabilities(settings(tmp_path).trunks, memory)
            capabilities.showed_refer("carrier", takes=True, code=200)
            capabilities.showed_refer("carrier", takes=False, code=code)
            assert capabilities.takes_refer("carrier") is takes


class TestAvailability:
    async def reached(
        self, folder: Path, answer: httpx.Response | Exception | None, **keys: Any
    ) -> str | None:
        """Why billing cannot be reached, by this answer of the service."""

        def respond(request: httpx.Request) -> httpx.Response:
            assert request.url.params["target"] == "billing"
            if isinstance(answer, Exception):
                raise answer
            assert answer is not None, "the service was asked"
            return answer

        known = settings(folder, **keys)
        async with opened(folder) as memory:
            availability = Availability(known, memory, now=lambda: SUNDAY)
            if availability._service is not None:
                await availability._service.client.aclose()
                availability._service.client = httpx.AsyncClient(
                    transport=httpx.MockTransport(respond)
                )
            try:
                return await availability.unavailable("billing", known.targets["billing"])
            finally:
                await availability.close()

    async def test_what_was_said_holds_over_a_restart(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as memory:
            memory.say("billing", available=False, reason="at lunch")
        assert await self.reached(tmp_path, None) == "set to unavailable: at lunch"
        async with opened(tmp_path) as memory:
            memory.say("billing", available=True, reason="")
        assert await self.reached(tmp_path, None) is None

    async def test_closed_hours_decide_before_anybody_is_asked(self, tmp_path: Path) -> None:
        target = {"kind": "internal", "destination": "sip:b@192.0.2.9", "hours": "office"}
        why = await self.reached(
            tmp_path,
            None,
            targets={"billing": target},
            hours={"office": {"zone": "UTC", "week": {"mon-fri": ["09:00-17:00"]}}},
            availability={"url": SERVICE},
        )
        assert why == "closed at 12:00 on Sunday (UTC)"

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (httpx.Response(200, json={"available": True}), None),
            (
                httpx.Response(200, json={"available": False, "reason": "on the phone"}),
                "on the phone",
            ),
            (httpx.Response(200, json={"available": False}), "the availability service says no"),
        ],
    )
    async def test_the_service_says(
        self, tmp_path: Path, answer: httpx.Response, why: str | None
    ) -> None:
        assert await self.reached(tmp_path, answer, availability={"url": SERVICE}) == why

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (httpx.Response(500), "it answered 500"),
            (httpx.Response(302, headers={"Location": "http://127.0.0.1"}), "it answered 302"),
            (
                httpx.Response(200, json={"available": "maybe"}),
                'its answer is not `{"available": …}`',
            ),
            (httpx.Response(200, text="yes"), 'its answer is not `{"available": …}`'),
            (httpx.ConnectError("refused"), "refused"),
            (httpx.ReadTimeout("late"), "no answer in 1 s"),
        ],
    )
    async def test_without_a_readable_answer_the_settings_decide(
        self, tmp_path: Path, answer: httpx.Response | Exception, problem: str
    ) -> None:
        service = {"url": SERVICE, "on_error": "unavailable"}
        why = await self.reached(tmp_path, answer, availability=service)
        assert why == f"the availability service does not say: {problem}"
        assert await self.reached(tmp_path, answer, availability={"url": SERVICE}) is None

    async def test_only_named_targets_are_asked_for(self, tmp_path: Path) -> None:
        known = settings(tmp_path, availability={"url": SERVICE})
        target = Target.model_validate({"kind": "external", "destination": "sip:x@192.0.2.1"})
        async with opened(tmp_path) as memory:
            availability = Availability(known, memory)
            assert await availability.unavailable("sip:x@192.0.2.1", target) is None
            await availability.close()
