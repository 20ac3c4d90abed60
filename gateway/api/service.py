"""What the API needs of the running gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.api.models import Readiness
from gateway.call import CallSession
from gateway.metrics import Metrics
from gateway.store import CallStore


class Service(Protocol):
    """`gateway.service.Gateway` as the API sees it."""

    @property
    def calls(self) -> Mapping[str, CallSession]:
        """The calls in progress, by id."""

    @property
    def store(self) -> CallStore:
        """The finished calls."""

    @property
    def metrics(self) -> Metrics:
        """What is counted."""

    def readiness(self) -> Readiness:
        """Whether new calls are taken."""
