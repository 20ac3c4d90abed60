"""Who may ask the control API, and from where."""

from __future__ import annotations

import httpx
import pytest

from gateway.api.keys import Access, Key, is_loopback
from tests.unit.gateway.agent_twin import TwinLeg
from tests.unit.gateway.api.service_twin import ENDED, LIVE, TwinService, client_of, problem


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

    async def test_a_key_beyond_ascii_comes_as_utf_8(self, service: TwinService) -> None:
        key = Key.of("desk", "schlüssel", Access.READ)
        async with client_of(service, key) as client:
            header = {b"X-API-Key": "schlüssel".encode()}
            assert (await client.get("/v1/calls", headers=header)).status_code == 200

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
