"""What an operator orders for a call in progress, and what the flow refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from ivr.decisions import RefusalReason
from tests.unit.gateway.agent_twin import TwinLeg
from tests.unit.gateway.api.service_twin import ENDED, LIVE, problem


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
    document = (Path(__file__).parents[4] / "docs" / "api.md").read_text()
    for reason in RefusalReason:
        assert (f"`{reason.value}`" in document) is (reason is not RefusalReason.CALL_ENDED)
