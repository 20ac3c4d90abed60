"""The control API as the command line asks it: what only a running gateway knows."""

from __future__ import annotations

from http import HTTPStatus

import httpx

from config import secrets
from config.settings import Api
from gateway.api.models import CallDetail, CallList, LiveCall
from gateway.api.trunk_state import TrunkList, TrunkState

TIMEOUT = 2.0
"""Seconds: on the same machine an answer takes milliseconds."""


class ApiRefused(Exception):
    """A gateway answers, but not to us."""


def live_calls(api: Api) -> list[LiveCall]:
    """The calls in progress; none where no gateway runs. Raises `ApiRefused`."""
    body = _get(api, "/v1/calls")
    if body is None:
        return []
    return [call for call in CallList.model_validate_json(body).calls if isinstance(call, LiveCall)]


def live_call(api: Api, prefix: str) -> CallDetail | None:
    """The call in progress whose id begins so; None where there is none. Raises `ApiRefused`."""
    ids = [call.id for call in live_calls(api) if call.id.startswith(prefix)]
    body = _get(api, f"/v1/calls/{ids[0]}") if len(ids) == 1 else None
    return None if body is None else CallDetail.model_validate_json(body)


def trunk_states(api: Api) -> list[TrunkState] | None:
    """How the trunks stand; None where no gateway runs. Raises `ApiRefused`."""
    body = _get(api, "/v1/trunks")
    return None if body is None else TrunkList.model_validate_json(body).trunks


def forget_capabilities(api: Api, trunk: str) -> bool:
    """Have the running gateway forget what it learned of a trunk; False where none runs.

    Raises:
        ApiRefused: it does not let us.
    """
    return _ask("DELETE", api, f"/v1/trunks/{trunk}/capabilities") is not None


def _get(api: Api, path: str) -> bytes | None:
    return _ask("GET", api, path)


def _ask(method: str, api: Api, path: str) -> bytes | None:
    headers = {"X-API-Key": secrets.resolve(api.keys[0].secret)} if api.keys else {}
    headers["Content-Type"] = "application/json"
    url = f"http://{api.address}:{api.port}{path}"
    try:
        answer = httpx.request(method, url, headers=headers, timeout=TIMEOUT)
    except httpx.TransportError:
        return None
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    if not answer.is_success:
        raise ApiRefused(f"the gateway at {api.address}:{api.port} answered {answer.status_code}")
    return answer.content
