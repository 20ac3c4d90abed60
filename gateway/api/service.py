"""What the API needs of the running gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from config.settings import Settings
from gateway.agent import Hop, Registration
from gateway.api.models import Readiness
from gateway.availability import Availability
from gateway.call import CallSession
from gateway.memory import Memory
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
    def settings(self) -> Settings:
        """What is configured."""

    @property
    def memory(self) -> Memory:
        """What outlives calls beside their records."""

    @property
    def availability(self) -> Availability:
        """Who can be reached."""

    @property
    def metrics(self) -> Metrics:
        """What is counted."""

    def registrations(self) -> Sequence[Registration]:
        """The trunks that register, and how they stand."""

    def hops(self) -> Sequence[Hop]:
        """The next hops that are asked whether they are in service."""

    def readiness(self) -> Readiness:
        """Whether new calls are taken."""
