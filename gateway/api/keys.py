"""Who may ask and who may decide: keys with a scope, and what guards a gateway without keys."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from ipaddress import AddressValueError, IPv4Address

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.problems import Problem

_HOST = re.compile(r"(?P<name>\[[^\]]*\]|[^:\[]+)(?::\d{1,5})?")
"""Host and perhaps port (RFC 9110 section 7.2)."""


class Access(StrEnum):
    """What a key allows. `control` includes `read`."""

    READ = "read"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Key:
    """A configured key with its secret resolved."""

    name: str
    digest: bytes
    access: Access

    @classmethod
    def of(cls, name: str, secret: str, access: Access) -> Key:
        """Keep the secret's digest: digests of equal length compare in constant time."""
        return cls(name, sha256(secret.encode()).digest(), access)


class Gatekeeper:
    """Decides whether a request may read or control. As a FastAPI dependency: `read`, `control`."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    async def read(self, request: Request) -> None:
        """Let the request look."""
        self._check(request, Access.READ)

    async def control(self, request: Request) -> None:
        """Let the request decide."""
        self._check(request, Access.CONTROL)

    def _check(self, request: Request, wanted: Access) -> None:
        if not self._keys:
            return  # loopback only: `Doorstep` has seen to it
        given = _presented(request)
        if given is None:
            raise _unauthorized("give an API key: `Authorization: Bearer …` or `X-API-Key: …`")
        digest = sha256(given.encode("latin-1")).digest()  # the octets that came
        # Every key is compared, so that the time taken says nothing about which one fits.
        fitting = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        if not fitting:
            raise _unauthorized("this API key is not known")
        if wanted is Access.CONTROL and all(key.access is Access.READ for key in fitting):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "scope",
                "this API key may only read; decisions need one with `scope: control`",
            )


def _presented(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key")


def _unauthorized(detail: str) -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="switchhook"'},
    )


class Doorstep:
    """What a web page in the operator's browser must not get past, key or no key.

    Without keys the gateway answers on loopback only, where any page can send requests: one whose
    Host is not loopback comes by DNS rebinding and is refused. A request that changes something
    must be JSON: a browser asks before it sends that to another origin, and is never told yes.
    """

    def __init__(self, app: ASGIApp, *, loopback_only: bool) -> None:
        self._app = app
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        refusal = self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (self._app if refusal is None else refusal.response())(scope, receive, send)

    def _refusal(self, request: Request) -> Problem | None:
        host = request.headers.get("host", "")
        if self._loopback_only and not is_loopback(host):
            return Problem(
                HTTPStatus.FORBIDDEN,
                "host",
                f"without API keys the gateway is asked as 127.0.0.1 or localhost, not {host!r}",
            )
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method not in ("GET", "HEAD", "OPTIONS") and media_type != "application/json":
            return Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "content-type",
                "send `Content-Type: application/json`",
            )
        return None


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine: `localhost`, 127.0.0.0/8 or `[::1]`."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    if match["name"].lower() in ("localhost", "[::1]"):
        return True
    try:
        return IPv4Address(match["name"]).is_loopback
    except AddressValueError:
        return False
