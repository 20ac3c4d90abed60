"""`/v1/targets`: who can be reached, and saying so."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from gateway.api import models
from gateway.api.keys import Gatekeeper
from gateway.api.problems import Problem, documented
from gateway.api.service import Service

_LOOK = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_CHANGE = documented(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)

_EXAMPLE: JsonDict = {
    "name": "billing",
    "available": False,
    "reason": "at lunch",
    "said_at": "2026-08-01T12:00:00Z",
    "closed": None,
}


class AvailabilityBody(models.Body):
    """Say whether a target or group can be reached."""

    available: bool
    reason: Annotated[str, Field(max_length=200)] = ""
    """It stands in the record of each call that is not put through."""


class TargetAvailability(BaseModel):
    """What is known of a target or group before it is dialled."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra={"examples": [_EXAMPLE]}
    )

    name: str
    available: bool
    """What was said last; true where nothing was."""
    reason: str
    said_at: datetime | None
    closed: str | None
    """Why it is outside office hours; null: it is not, or has none."""


def router(service: Service, gatekeeper: Gatekeeper) -> APIRouter:
    """The endpoints, for one gateway."""
    targets = APIRouter(prefix="/v1/targets", tags=["targets"])

    def state(name: str) -> TargetAvailability:
        settings = service.settings
        whom = settings.targets.get(name) or settings.groups.get(name)
        if whom is None:
            problem = f"there is no target or group {name!r}"
            raise Problem(HTTPStatus.NOT_FOUND, "unknown-target", problem)
        said = service.memory.said(name)
        return TargetAvailability(
            name=name,
            available=said is None or said.available,
            reason="" if said is None else said.reason,
            said_at=None if said is None else datetime.fromtimestamp(said.said_at, UTC),
            closed=service.availability.closed(whom),
        )

    @targets.get("/{name}/availability", dependencies=[Depends(gatekeeper.read)], responses=_LOOK)
    async def show(name: str) -> TargetAvailability:
        """Whether a target or group is dialled when a call is to go there."""
        return state(name)

    @targets.put(
        "/{name}/availability", dependencies=[Depends(gatekeeper.control)], responses=_CHANGE
    )
    async def say(
        name: str,
        body: Annotated[
            AvailabilityBody, Body(examples=[{"available": False, "reason": "at lunch"}])
        ],
    ) -> TargetAvailability:
        """Say whether it can be reached; that holds until something else is said."""
        state(name)
        service.memory.say(name, available=body.available, reason=body.reason)
        await service.memory.settled()
        return state(name)

    @targets.delete(
        "/{name}/availability", dependencies=[Depends(gatekeeper.control)], responses=_CHANGE
    )
    async def unsay(name: str) -> TargetAvailability:
        """Take back what was said."""
        state(name)
        service.memory.unsay(name)
        await service.memory.settled()
        return state(name)

    return targets
