"""The control API: every answer, every refusal, and who may ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from config.configuration import Configuration
from config.settings import Settings
from config.trunks import Trunk
from gateway.api import app
from gateway.api.keys import Access, Key, is_loopback
from gateway.api.models import Readiness
from gateway.availability import Availability
from gateway.call import CallSession
from gateway.database import default_url, open_engine
from gateway.memory import Memory
from gateway.metrics import Metrics
from gateway.records import FinishedCall
from gateway.store import CallStore
from ivr.decisions import RefusalReason
from ivr.disposition import Disposition
from sip.pings import HopState
from sip.registrations import RegistrationState
from tests.twin import Verdict
from tests.unit.gateway.agent_twin import TwinAgent, TwinLeg, TwinPromptStore
from tests.unit.gateway.scene import (
    DEADLINE,
    STARTED,
    configuration,
    finished_call,
    ignore,
    session_of,
)

LIVE = "00000000000000aa"
ENDED = finished_call(7).record.id
KEYS = (
    Key.of("viewer", "look", Access.READ),
    Key.of("operator", "decide", Access.CONTROL),
)


@dataclass
class TwinService:
    """`gateway.api.service.Service` without a gateway."""

    store: CallStore
    memory: Memory
    metrics: Metrics
    configuration: Configuration
    calls: dict[str, CallSession] = field(default_factory=dict)
    ready: Readiness = field(default_factory=lambda: Readiness(ready=True, reasons=[], warnings=[]))

    @property
    def settings(self) -> Settings:
        return self.configuration.settings

    @property
    def availability(self) -> Availability:
        return Availability(self.settings, self.memory)

    def readiness(self) -> Readiness:
        return self.ready

    def registrations(self) -> list[RegistrationState]:
        return [RegistrationState("carrier", 403, "Forbidden", 0)]

    def hops(self) -> list[HopState]:
        return [HopState("carrier", "sip:192.0.2.1", up=False, reason="no answer in 4 s")]


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


def client_of(service: TwinService, *keys: Key) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app.build(service, keys), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


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


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Check that an answer is a problem of this kind, and return it."""
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["status"]) == (status, status)
    assert found["type"] == f"urn:switchhook:problem:{kind}"
    assert found["title"]
    assert found["detail"]
    return found


class TestLooking:
    async def test_a_live_call_shows_where_it_is(
        self, api: httpx.AsyncClient, leg: TwinLeg
    ) -> None:
        [call] = (await api.get("/v1/calls")).json()["calls"]
        assert call["id"] == LIVE
        assert (call["state"], call["node"], call["flow"]) == ("answered", "greet", "main")
        assert (call["caller"], call["number"], call["trunk"]) == ("+4930123", "1000", "carrier")
        assert call["handover"] is None

    async def test_a_live_call_has_its_timeline_so_far(
        self, api: httpx.AsyncClient, leg: TwinLeg
    ) -> None:
        detail = (await api.get(f"/v1/calls/{LIVE}")).json()
        assert detail["call"]["state"] == "answered"
        names = [event["name"] for event in detail["timeline"]]
        assert names[0] == "call.started"
        assert names[-1] == "prompt.started"
        assert detail["timeline"][-1]["prompt"] == "Welcome"

    async def test_a_finished_call_shows_its_record(self, api: httpx.AsyncClient) -> None:
        detail = (await api.get(f"/v1/calls/{ENDED}")).json()
        call = detail["call"]
        assert (call["state"], call["disposition"], call["end"]) == ("ended", "failed", "fallback")
        assert call["attempts"][0]["steps"][1]["code"] == 486
        assert call["media"]["caller"]["rx_packets"] == 1500
        assert [event["name"] for event in detail["timeline"]] == ["sip.message", "node.entered"]

    async def test_ended_calls_are_listed_by_filter(
        self, api: httpx.AsyncClient, service: TwinService
    ) -> None:
        service.store.put(finished_call(8, disposition=Disposition.CONTAINED, trunk="pbx"))

        async def listed(**query: str) -> list[int]:
            answer = await api.get("/v1/calls", params={"state": "ended", **query})
            return [int(call["id"], 16) for call in answer.json()["calls"]]

        assert await listed() == [8, 7]
        assert await listed(limit="1") == [8]
        assert await listed(disposition="contained") == [8]
        assert await listed(trunk="carrier") == [7]
        assert await listed(since="2026-09-21T14:13:28Z") == [8]
        assert STARTED + 8 == 1_790_000_008

    async def test_live_calls_are_listed_by_filter(
        self, api: httpx.AsyncClient, leg: TwinLeg
    ) -> None:
        async def listed(**query: str) -> int:
            return len((await api.get("/v1/calls", params=query)).json()["calls"])

        assert await listed(trunk="carrier") == 1
        assert await listed(trunk="pbx") == 0
        assert await listed(since="2100-01-01T00:00:00Z") == 0

    async def test_the_ladder_is_text(self, api: httpx.AsyncClient, leg: TwinLeg) -> None:
        for call_id in (LIVE, ENDED):
            answer = await api.get(f"/v1/calls/{call_id}/ladder")
            assert answer.headers["content-type"].startswith("text/plain")
            assert "INVITE" in answer.text
            assert "gateway" in answer.text

    async def test_the_ladder_is_a_picture_that_runs_nothing(
        self, api: httpx.AsyncClient, leg: TwinLeg
    ) -> None:
        for call_id in (LIVE, ENDED):
            answer = await api.get(f"/v1/calls/{call_id}/ladder.svg")
            assert answer.headers["content-type"] == "image/svg+xml"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.text.startswith("<svg ")

    async def test_why_is_told_in_sentences(self, api: httpx.AsyncClient, leg: TwinLeg) -> None:
        ended = (await api.get(f"/v1/calls/{ENDED}/why")).json()
        assert ended["sentences"][0].startswith("t1: REFER to billing")
        assert len(ended["advice"]) == 1
        live = (await api.get(f"/v1/calls/{LIVE}/why")).json()
        assert live["advice"] == []
        missing = await api.get("/v1/calls/0123/why")
        assert missing.status_code == 404


class TestTrunks:
    """What there is to know without a call."""

    async def test_each_tells_its_registration_and_its_proxies(
        self, api: httpx.AsyncClient, service: TwinService
    ) -> None:
        registration = {"registrar": "sip:192.0.2.1", "username": "x", "password": {"env": "X"}}
        service.settings.trunks["carrier"] = Trunk.model_validate(
            {"registration": registration, "fallback_proxies": ["sip:192.0.2.2"]}
        )
        service.settings.trunks["inward"] = Trunk.model_validate({"sources": ["192.0.2.9/32"]})
        assert (await api.get("/v1/trunks")).json()["trunks"] == [
            {
                "trunk": "carrier",
                "registration": {"registered": False, "code": 403, "reason": "Forbidden"},
                "hops": [
                    {
                        "uri": "sip:192.0.2.1",
                        "up": False,
                        "code": None,
                        "reason": "no answer in 4 s",
                    },
                    {"uri": "sip:192.0.2.2", "up": None, "code": None, "reason": ""},
                ],
            },
            {"trunk": "inward", "registration": None, "hops": []},
        ]


class TestDeciding:
    async def test_goto_moves_the_call(self, api: httpx.AsyncClient, leg: TwinLeg) -> None:
        answer = await api.post(f"/v1/calls/{LIVE}/goto", json={"node": "bye"})
        assert answer.status_code == 202
        assert answer.json()["id"] == LIVE
        assert leg.ended is None

    async def test_transfer_reaches_the_flows_transfer_node(
        self, api: httpx.AsyncClient, leg: TwinLeg
    ) -> None:
        dialled = asyncio.Event()
        leg.stage.on("invite billing as t1", dialled.set)
        body = {"target": "billing", "headers": {"X-Reason": "vip"}}
        assert (await api.post(f"/v1/calls/{LIVE}/transfer", json=body)).status_code == 202
        await dialled.wait()
        assert leg.orders[0].headers["X-Reason"] == "vip"
        [call] = (await api.get("/v1/calls")).json()["calls"]
        assert (call["node"], call["handover"]["status"]) == ("desk", "ringing")
        answer = await api.post(f"/v1/calls/{LIVE}/cancel_transfer", json={})
        assert answer.status_code == 202

    async def test_play_sounds_over_what_goes_on(
        self, api: httpx.AsyncClient, leg: TwinLeg
    ) -> None:
        heard = asyncio.Event()
        leg.stage.on("play One moment", heard.set)
        answer = await api.post(f"/v1/calls/{LIVE}/play", json={"prompt": "One moment"})
        assert answer.status_code == 202
        await heard.wait()

    async def test_hangup_ends_the_call(self, api: httpx.AsyncClient, leg: TwinLeg) -> None:
        answer = await api.post(f"/v1/calls/{LIVE}/hangup", json={"headers": {"X-Why": "fraud"}})
        assert answer.status_code == 202
        await leg.wait_ended()
        assert "bye X-Why: fraud" in leg.stage.journal

    @pytest.mark.parametrize(
        ("action", "body", "reason"),
        [
            ("goto", {"node": "nowhere"}, "unknown_node"),
            ("cancel_transfer", {}, "no_transfer"),
            ("transfer", {"target": "nobody"}, "target_fixed"),
        ],
    )
    async def test_what_the_flow_refuses_is_a_conflict(
        self, api: httpx.AsyncClient, leg: TwinLeg, action: str, body: Any, reason: str
    ) -> None:
        answer = await api.post(f"/v1/calls/{LIVE}/{action}", json=body)
        assert problem(answer, 409, "decision-refused")["reason"] == reason

    @pytest.mark.parametrize(
        ("action", "body"),
        [
            ("transfer", {}),
            ("cancel_transfer", {}),
            ("hangup", {}),
            ("play", {"prompt": "Hello"}),
            ("goto", {"node": "bye"}),
        ],
    )
    async def test_every_decision_needs_a_call_in_progress(
        self, api: httpx.AsyncClient, action: str, body: Any
    ) -> None:
        problem(await api.post(f"/v1/calls/{ENDED}/{action}", json=body), 410, "call-ended")
        problem(await api.post(f"/v1/calls/beef/{action}", json=body), 404, "unknown-call")

    async def test_a_call_that_is_ending_counts_as_ended(
        self, api: httpx.AsyncClient, leg: TwinLeg
    ) -> None:
        leg.hang_up()
        answer = await api.post(f"/v1/calls/{LIVE}/goto", json={"node": "bye"})
        problem(answer, 410, "call-ended")


def test_the_document_lists_every_reason() -> None:
    document = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    for reason in RefusalReason:
        assert (f"`{reason.value}`" in document) is (reason is not RefusalReason.CALL_ENDED)


class TestProblems:
    @pytest.mark.parametrize(
        ("action", "body", "wrong"),
        [
            ("transfer", {"method": "teleport"}, "body.method"),
            ("transfer", {"tarket": "x"}, "body.tarket"),
            ("transfer", {"headers": {"X-A": "a\r\nX-B: b"}}, "body.headers"),
            ("transfer", {"headers": {"Via": "x"}}, "body.headers"),
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

    async def test_a_body_that_is_no_json_is_a_problem(self, api: httpx.AsyncClient) -> None:
        answer = await api.post(
            f"/v1/calls/{LIVE}/goto", content=b"{", headers={"Content-Type": "application/json"}
        )
        problem(answer, 422, "invalid-request")

    async def test_unknown_paths_and_methods_are_problems(self, api: httpx.AsyncClient) -> None:
        problem(await api.get("/v2/calls"), 404, "not-found")
        answer = await api.delete("/v1/calls", headers={"Content-Type": "application/json"})
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET"

    async def test_an_error_of_ours_tells_nothing_but_is_logged(
        self, api: httpx.AsyncClient, service: TwinService
    ) -> None:
        service.calls = None  # type: ignore[assignment]
        with capture_logs() as logged:
            found = problem(await api.get("/v1/calls"), 500, "internal-error")
        assert "NoneType" not in json.dumps(found)
        assert logged[0]["event"] == "request failed"


class TestKeys:
    """Whenever keys are configured one is needed; decisions need `control`."""

    @pytest.mark.parametrize("path", ["/v1/calls", f"/v1/calls/{ENDED}", "/v1/trunks", "/metrics"])
    async def test_without_a_key_nothing_is_shown(
        self, guarded: httpx.AsyncClient, path: str
    ) -> None:
        answer = await guarded.get(path)
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")

    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": "Bearer look"},
            {"Authorization": "bearer  look"},
            {"X-API-Key": "look"},
            {"X-API-Key": "decide"},
        ],
    )
    async def test_a_key_may_look(
        self, guarded: httpx.AsyncClient, headers: dict[str, str]
    ) -> None:
        assert (await guarded.get("/v1/calls", headers=headers)).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-API-Key": "loo"},
            {"X-API-Key": "look "},
            {"X-API-Key": ""},
            {"Authorization": "Basic look"},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer wrong", "X-API-Key": "look"},
        ],
    )
    async def test_a_wrong_key_may_not(
        self, guarded: httpx.AsyncClient, headers: dict[str, str]
    ) -> None:
        # httpx strips nothing; a server would strip the blank of "look ".
        answer = await guarded.get("/v1/calls", headers=headers)
        problem(answer, 401, "unauthorized")

    async def test_a_key_that_reads_does_not_decide(
        self, guarded: httpx.AsyncClient, leg: TwinLeg
    ) -> None:
        path = f"/v1/calls/{LIVE}/hangup"
        answer = await guarded.post(path, json={}, headers={"X-API-Key": "look"})
        problem(answer, 403, "scope")
        answer = await guarded.post(path, json={}, headers={"X-API-Key": "decide"})
        assert answer.status_code == 202

    async def test_probes_need_no_key(self, guarded: httpx.AsyncClient) -> None:
        assert (await guarded.get("/healthz")).status_code == 200
        assert (await guarded.get("/readyz")).status_code == 200

    async def test_with_keys_any_host_name_may_be_used(self, guarded: httpx.AsyncClient) -> None:
        headers = {"Host": "gateway.example", "X-API-Key": "look"}
        assert (await guarded.get("/v1/calls", headers=headers)).status_code == 200


class TestDoorstep:
    """What a page in the operator's browser cannot do."""

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8080", "", "localhost.evil"]
    )
    async def test_a_rebound_name_is_refused(self, api: httpx.AsyncClient, host: str) -> None:
        problem(await api.get("/v1/calls", headers={"Host": host}), 403, "host")
        problem(await api.get("/healthz", headers={"Host": host}), 403, "host")

    @pytest.mark.parametrize(
        ("host", "ours"),
        [
            ("localhost", True),
            ("LOCALHOST:8080", True),
            ("127.0.0.1:8080", True),
            ("127.8.9.1", True),
            ("[::1]:8080", True),
            ("[::1]", True),
            ("[::2]", False),
            ("[::1].evil", False),
            ("0.0.0.0", False),
            ("2130706433", False),
        ],
    )
    def test_which_hosts_are_this_machine(self, host: str, ours: bool) -> None:
        assert is_loopback(host) is ours

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"]
    )
    async def test_a_form_changes_nothing(
        self, api: httpx.AsyncClient, leg: TwinLeg, content_type: str
    ) -> None:
        answer = await api.post(
            f"/v1/calls/{LIVE}/hangup", content=b"{}", headers={"Content-Type": content_type}
        )
        problem(answer, 415, "content-type")
        assert leg.ended is None

    async def test_json_may_name_its_charset(self, api: httpx.AsyncClient, leg: TwinLeg) -> None:
        answer = await api.post(
            f"/v1/calls/{LIVE}/goto",
            content=b'{"node": "bye"}',
            headers={"Content-Type": "application/json; charset=utf-8"},
        )
        assert answer.status_code == 202


class TestHealth:
    async def test_ready(self, api: httpx.AsyncClient) -> None:
        answer = await api.get("/readyz")
        assert answer.json() == {"ready": True, "reasons": [], "warnings": []}

    async def test_draining_is_503_with_its_reason(
        self, api: httpx.AsyncClient, service: TwinService
    ) -> None:
        service.ready = Readiness(ready=False, reasons=["draining"], warnings=[])
        answer = await api.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, ["draining"])
        assert (await api.get("/healthz")).status_code == 200

    async def test_metrics_are_prometheus_text(self, api: httpx.AsyncClient) -> None:
        answer = await api.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "switchhook_calls_active 0.0" in answer.text


class TestOpenApi:
    @pytest.fixture
    async def schema(self, api: httpx.AsyncClient) -> dict[str, Any]:
        found: dict[str, Any] = (await api.get("/openapi.json")).json()
        return found

    def test_every_operation_says_what_it_answers(self, schema: dict[str, Any]) -> None:
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                assert operation["description"], (method, path)
                assert any(code.startswith("2") for code in operation["responses"])
                if path.startswith("/v1"):
                    assert {"401", "404", "422"} <= set(operation["responses"]), path
                    refusal = operation["responses"]["404"]["content"]
                    assert "application/problem+json" in refusal

    def test_every_body_and_answer_has_an_example(self, schema: dict[str, Any]) -> None:
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                described = [*operation["responses"].values()]
                if "requestBody" in operation:
                    described.append(operation["requestBody"])
                for part in described:
                    for content in part.get("content", {}).values():
                        assert _has_example(content, schema), (path, content)


def _has_example(content: dict[str, Any], schema: dict[str, Any]) -> bool:
    if {"example", "examples"} & set(content):
        return True
    inner = content["schema"]
    if "$ref" in inner and "examples" not in inner:
        inner = schema["components"]["schemas"][inner["$ref"].rpartition("/")[2]]
    return "examples" in inner


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
