"""`/v1/trunks`: how the trunks stand, and what the peers behind them have shown of themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from gateway.api.keys import Gatekeeper
from gateway.api.problems import Problem, documented
from gateway.api.service import Service
from gateway.api.trunk_state import TrunkList, trunk_list

_LOOK = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_CHANGE = documented(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)

_EXAMPLE: JsonDict = {
    "trunk": "carrier",
    "refer": {
        "support": "learn",
        "takes": False,
        "code": 405,
        "learned_at": "2026-08-01T09:30:00Z",
    },
}


class ReferCapability(BaseModel):
    """Whether the peer takes REFER."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    support: Literal["learn", "yes", "no"]
    """What the settings say; `learn`: what follows was learned."""
    takes: bool | None
    """What `auto` goes by; null: not known yet, so that the next one tries."""
    code: int | None
    """What the REFER was answered with that taught it."""
    learned_at: datetime | None


class Capabilities(BaseModel):
    """What a trunk's peer can do."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra={"examples": [_EXAMPLE]}
    )

    trunk: str
    refer: ReferCapability


def router(service: Service, gatekeeper: Gatekeeper) -> APIRouter:
    """The endpoints, for one gateway."""
    trunks = APIRouter(prefix="/v1/trunks", tags=["trunks"])

    def capabilities(name: str) -> Capabilities:
        trunk = service.settings.trunks.get(name)
        if trunk is None:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown-trunk", f"there is no trunk {name!r}")
        support = trunk.refer.support
        known = service.memory.capability(name) if support == "learn" else None
        takes = support == "yes" if support != "learn" else None
        if known is not None:
            takes = known.supported
        learned = None if known is None else datetime.fromtimestamp(known.learned_at, UTC)
        code = None if known is None else known.code
        return Capabilities(
            trunk=name,
            refer=ReferCapability(support=support, takes=takes, code=code, learned_at=learned),
        )

    @trunks.get("", dependencies=[Depends(gatekeeper.read)], responses=_LOOK)
    async def states() -> TrunkList:
        """How every trunk stands: its registration, and which of its proxies answer."""
        return trunk_list(service.settings.trunks, service.registrations(), service.hops())

    @trunks.get("/{name}/capabilities", dependencies=[Depends(gatekeeper.read)], responses=_LOOK)
    async def show(name: str) -> Capabilities:
        """What is configured or was learned of a trunk's peer."""
        return capabilities(name)

    @trunks.delete(
        "/{name}/capabilities", dependencies=[Depends(gatekeeper.control)], responses=_CHANGE
    )
    async def forget(name: str) -> Capabilities:
        """Forget what was learned: the next `auto` transfer tries REFER again."""
        capabilities(name)
        service.memory.forget(name)
        await service.memory.settled()
        return capabilities(name)

    return trunks
