"""The control API as the command line asks it: what only a running gateway knows."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from config import secrets
from config.settings import Api
from gateway.api.models import CallDetail, CallList, LiveCall
from gateway.api.trunk_state import TrunkList, TrunkState

TIMEOUT = 2.0
"""Seconds: on the same machine an answer takes milliseconds."""


Model = TypeVar("Model", bound=BaseModel)


class ApiRefused(Exception):
    """Somebody listens there, but does not answer, not to us, or is no gateway."""


def live_calls(api: Api) -> list[LiveCall]:
    """The calls in progress; none where no gateway runs. Raises `ApiRefused`."""
    body = _get(api, "/v1/calls")
    if body is None:
        return []
    return [call for call in _read(api, CallList, body).calls if isinstance(call, LiveCall)]


def live_call(api: Api, prefix: str) -> CallDetail | None:
    """The call in progress whose id begins so; None where there is none. Raises `ApiRefused`."""
    ids = [call.id for call in live_calls(api) if call.id.startswith(prefix)]
    body = _get(api, f"/v1/calls/{ids[0]}") if len(ids) == 1 else None
    return None if body is None else _read(api, CallDetail, body)


def trunk_states(api: Api) -> list[TrunkState] | None:
    """How the trunks stand; None where no gateway runs. Raises `ApiRefused`."""
    body = _get(api, "/v1/trunks")
    return None if body is None else _read(api, TrunkList, body).trunks


def forget_capabilities(api: Api, trunk: str) -> bool:
    """Have the running gateway forget what it learned of a trunk; False where none runs.

    Raises:
        ApiRefused: it does not let us.
    """
    return _ask("DELETE", api, f"/v1/trunks/{trunk}/capabilities") is not None


def _read(api: Api, model: type[Model], body: bytes) -> Model:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        raise ApiRefused(f"what answers at {api.address}:{api.port} is no gateway") from None


def _get(api: Api, path: str) -> bytes | None:
    return _ask("GET", api, path)


def _ask(method: str, api: Api, path: str) -> bytes | None:
    headers = {b"Content-Type": b"application/json"}
    if api.keys:
        headers[b"X-API-Key"] = secrets.resolve(api.keys[0].secret).encode()
    url = f"http://{api.address}:{api.port}{path}"
    try:
        answer = httpx.request(method, url, headers=headers, timeout=TIMEOUT)
    except httpx.ConnectError:
        return None
    except httpx.TimeoutException:
        raise ApiRefused(
            f"the gateway at {api.address}:{api.port} does not answer within {TIMEOUT:g} s"
        ) from None
    except httpx.TransportError:
        raise ApiRefused(f"what answers at {api.address}:{api.port} is no gateway") from None
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    if not answer.is_success:
        raise ApiRefused(f"the gateway at {api.address}:{api.port} answered {answer.status_code}")
    return answer.content
