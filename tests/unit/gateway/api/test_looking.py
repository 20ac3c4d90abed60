"""What the control API shows of calls, of trunks and of the gateway's health."""

from __future__ import annotations

import httpx

from config.trunks import Trunk
from gateway.api.models import Readiness
from ivr.disposition import Disposition
from tests.unit.gateway.agent_twin import TwinLeg
from tests.unit.gateway.api.service_twin import ENDED, LIVE, TwinService
from tests.unit.gateway.scene import STARTED, finished_call


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
