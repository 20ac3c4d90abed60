"""Who can be reached now: office hours, what was said through the API, what a service knows.

Asked in this order before anything is dialled; the first no decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from config import secrets
from config.groups import Group
from config.settings import AvailabilityService, Settings
from config.targets import Target
from gateway.memory import Memory

log = structlog.get_logger()


class Answer(BaseModel):
    """What the service answers."""

    model_config = ConfigDict(strict=True)

    available: bool
    reason: str = ""


class Availability:
    """`ivr.ports.Availability` for the configured targets and groups."""

    def __init__(
        self,
        settings: Settings,
        memory: Memory,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._now = now
        self._service: _Service | None = None
        if settings.availability is not None:
            self._service = _Service(settings.availability)

    async def unavailable(self, name: str, whom: Target | Group) -> str | None:
        """Why a target or group must not be dialled now; None: it may."""
        if (reason := self.closed(whom) or self._said_no(name)) is not None:
            return reason
        if self._service is None or name not in self._settings.targets:
            return None
        return await self._service.unavailable(name)

    def closed(self, whom: Target | Group) -> str | None:
        """Why it is outside office hours; None: it is not, or has none."""
        hours = self._settings.hours.get(whom.hours or "")
        return None if hours is None else hours.closed(self._now())

    async def close(self) -> None:
        """Let go of connections."""
        if self._service is not None:
            await self._service.client.aclose()

    def _said_no(self, name: str) -> str | None:
        said = self._memory.said(name)
        if said is None or said.available:
            return None
        return f"set to unavailable: {said.reason}" if said.reason else "set to unavailable"


class _Service:
    """The service of `availability.url`."""

    def __init__(self, settings: AvailabilityService) -> None:
        self._settings = settings
        headers = {}
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {secrets.resolve(settings.token)}"
        self.client = httpx.AsyncClient(
            headers=headers, timeout=settings.timeout, follow_redirects=False, trust_env=False
        )

    async def unavailable(self, name: str) -> str | None:
        try:
            # httpx limits each step of the exchange; the caller waits for the whole of it.
            async with asyncio.timeout(self._settings.timeout):
                response = await self.client.get(self._settings.url, params={"target": name})
            response.raise_for_status()
            answer = Answer.model_validate_json(response.content)
        except (httpx.HTTPError, TimeoutError, ValidationError) as error:
            problem = _problem(error, self._settings.timeout)
            assumed = self._settings.on_error
            log.warning("availability not known", target=name, reason=problem, assumed=assumed)
            if assumed == "available":
                return None
            return f"the availability service does not say: {problem}"
        if answer.available:
            return None
        return answer.reason or "the availability service says no"


def _problem(error: Exception, seconds: float) -> str:
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return f"no answer in {seconds:g} s"
        case httpx.HTTPStatusError(response=response):
            return f"it answered {response.status_code}"
        case ValidationError():
            return 'its answer is not `{"available": …}`'
        case _:
            return str(error) or type(error).__name__
