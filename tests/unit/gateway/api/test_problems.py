"""Whatever is wrong with a request is told as a problem (RFC 9457)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from structlog.testing import capture_logs

from gateway.api.bodies import MAX_BODY
from gateway.database import open_engine
from gateway.memory import Memory
from gateway.metrics import Metrics
from gateway.records import FinishedCall
from gateway.store import CallStore
from tests.unit.gateway.agent_twin import TwinAgent, TwinLeg
from tests.unit.gateway.api.service_twin import ENDED, LIVE, TwinService, client_of, problem
from tests.unit.gateway.scene import configuration, finished_call

AS_JSON = {"Content-Type": "application/json"}


class TestProblems:
    @pytest.mark.parametrize(
        ("action", "body", "wrong"),
        [
            ("transfer", {"method": "teleport"}, "body.method"),
            ("transfer", {"tarket": "x"}, "body.tarket"),
            ("transfer", {"headers": {"X-A": "a\r\nX-B: b"}}, "body.headers.X-A"),
            ("transfer", {"headers": {"Via": "x"}}, "body.headers.Via"),
            ("transfer", {"context": {"skills": ["a", "b;c"]}}, "body.context.skills.1"),
            ("recording", {"consent": "unknown"}, "body.consent"),
            ("play", {"prompt": " "}, "body.prompt"),
            ("play", {"prompt": {"text": "a", "voice": "-f/x"}}, "body.prompt.voice"),
            ("play", {"prompt": {"text": "a", "file": "b"}}, "body.prompt.text"),
            ("play", {"prompt": {"voice": "en"}}, "body.prompt.text"),
            ("transfer", [], "body"),
            ("hangup", {"headers": "x"}, "body.headers"),
            ("play", {}, "body.prompt"),
            ("goto", {"node": ""}, "body.node"),
            ("goto", {"node": "a b"}, "body.node"),
        ],
    )
    async def test_a_wrong_field_is_named(
        self, api: httpx.AsyncClient, leg: TwinLeg, action: str, body: Any, wrong: str
    ) -> None:
        answer = await api.post(f"/v1/calls/{LIVE}/{action}", json=body)
        found = problem(answer, 422, "invalid-request")
        assert found["errors"][0]["field"] == wrong
        assert wrong in found["detail"]
        for insides in ("Value error", "Prompt.", "<Consent"):
            assert insides not in found["detail"]

    @pytest.mark.parametrize(
        ("query", "wrong"),
        [
            ("state=gone", "query.state"),
            ("state=ended&limit=0", "query.limit"),
            ("state=ended&limit=201", "query.limit"),
            ("state=ended&disposition=happy", "query.disposition"),
            ("state=ended&since=yesterday", "query.since"),
            ("state=ended&since=2026-08-01T00:00:00", "query.since"),
            ("disposition=contained", "query.disposition"),
        ],
    )
    async def test_a_wrong_filter_is_named(
        self, api: httpx.AsyncClient, query: str, wrong: str
    ) -> None:
        found = problem(await api.get(f"/v1/calls?{query}"), 422, "invalid-request")
        assert wrong in found["detail"]
        assert found["errors"][0]["field"] == wrong

    async def test_a_body_that_is_no_json_is_a_problem(self, api: httpx.AsyncClient) -> None:
        answer = await api.post(f"/v1/calls/{LIVE}/goto", content=b"{", headers=AS_JSON)
        found = problem(answer, 422, "invalid-request")
        assert found["errors"] == [
            {
                "field": "body",
                "message": "is not JSON: Expecting property name enclosed in double quotes",
            }
        ]

    @pytest.mark.parametrize("told", [True, False])
    async def test_a_large_body_is_refused_before_it_is_held_or_a_key_is_looked_at(
        self, guarded: httpx.AsyncClient, leg: TwinLeg, told: bool
    ) -> None:
        sent = 0

        async def parts() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(100):
                sent += MAX_BODY
                yield bytes(MAX_BODY)

        content = bytes(100 * MAX_BODY) if told else parts()
        answer = await guarded.post(f"/v1/calls/{LIVE}/hangup", content=content, headers=AS_JSON)
        problem(answer, 413, "too-large")
        assert sent <= 2 * MAX_BODY

    async def test_a_body_that_just_fits(self, api: httpx.AsyncClient, leg: TwinLeg) -> None:
        body = b"{}" + b" " * (MAX_BODY - 2)
        answer = await api.post(f"/v1/calls/{LIVE}/hangup", content=body, headers=AS_JSON)
        assert answer.status_code == 202

    async def test_unknown_paths_and_methods_are_problems(self, api: httpx.AsyncClient) -> None:
        problem(await api.get("/v2/calls"), 404, "not-found")
        answer = await api.delete("/v1/calls", headers={"Content-Type": "application/json"})
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET"

    @pytest.mark.parametrize("path", ["/v1/calls?state=ended", "/v1/calls/beef"])
    async def test_a_database_that_does_not_answer_is_told(
        self, api: httpx.AsyncClient, service: TwinService, path: str
    ) -> None:
        await service.store.flush()
        async with service.store.engine.begin() as connection:
            await connection.execute(text("DROP TABLE calls"))
        with capture_logs() as logged:
            found = problem(await api.get(path), 503, "database")
        assert found["detail"] == "the database cannot be asked: no such table: calls"
        assert [line["event"] for line in logged] == ["database not asked"]

    async def test_the_beginning_of_several_ids_is_none(
        self, api: httpx.AsyncClient, service: TwinService
    ) -> None:
        service.store.put(finished_call(8))
        await service.store.flush()
        problem(await api.get("/v1/calls/0"), 404, "unknown-call")

    async def test_an_error_of_ours_tells_nothing_but_is_logged(
        self, api: httpx.AsyncClient, service: TwinService
    ) -> None:
        service.calls = None  # type: ignore[assignment]
        with capture_logs() as logged:
            found = problem(await api.get("/v1/calls"), 500, "internal-error")
        assert "NoneType" not in json.dumps(found)
        assert logged[0]["event"] == "request failed"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["target", "method", "headers", "prompt", "node", "file", "text", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


class OneRecord(CallStore):
    """A store with one finished call and no file."""

    def __init__(self) -> None:
        super().__init__("sqlite+aiosqlite:///:memory:")

    async def fetch(self, prefix: str) -> FinishedCall | None:
        return finished_call(7) if prefix == ENDED else None


@settings(max_examples=60)
@given(
    action=st.sampled_from(["transfer", "cancel_transfer", "hangup", "play", "goto", "x"]),
    call_id=st.sampled_from([ENDED, "beef"]) | st.text(min_size=1, max_size=8),
    body=JSON,
)
def test_whatever_is_sent_the_answer_is_a_documented_problem(
    action: str, call_id: str, body: Any
) -> None:
    async def ask() -> httpx.Response:
        async with client_of(
            TwinService(
                OneRecord(),
                Memory(open_engine("sqlite+aiosqlite:///:memory:")),
                Metrics(TwinAgent().counters, list, OneRecord()),
                configuration(Path("/nowhere")),
            )
        ) as client:
            return await client.post(
                f"/v1/calls/{quote(call_id, safe='')}/{action}",
                content=json.dumps(body),
                headers={"Content-Type": "application/json"},
            )

    answer = asyncio.run(ask())
    assert answer.status_code in (404, 405, 410, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
