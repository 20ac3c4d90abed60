"""The service that the control API shows, in memory, and who asks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

from config.configuration import Configuration
from config.settings import Settings
from gateway.api import app
from gateway.api.keys import Key
from gateway.api.models import Readiness
from gateway.availability import Availability
from gateway.call import CallSession
from gateway.memory import Memory
from gateway.metrics import Metrics
from gateway.store import CallStore
from sip.pings import HopState
from sip.registrations import RegistrationState
from tests.unit.gateway.scene import finished_call

LIVE = "00000000000000aa"
ENDED = finished_call(7).record.id


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


def client_of(service: TwinService, *keys: Key) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app.build(service, keys), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Check that an answer is a problem of this kind, and return it."""
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["status"]) == (status, status)
    assert found["type"] == f"urn:switchhook:problem:{kind}"
    assert found["title"]
    assert found["detail"]
    return found
