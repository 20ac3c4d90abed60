"""How the trunks stand now: registration, and which of their proxies answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from config.trunks import Trunk
from gateway.agent import Hop, Registration


class TrunkRegistration(BaseModel):
    """How a trunk stands with its provider."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    registered: bool
    code: int | None
    """SIP status of the last answer; null: none yet."""
    reason: str


class TrunkHop(BaseModel):
    """A proxy or registrar that calls over a trunk are sent to."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    uri: str
    up: bool | None
    """Whether it answers OPTIONS; null: it is not asked (`ping`), or was not yet."""
    code: int | None = None
    """SIP status of the last answer; null: none came."""
    reason: str = ""


class TrunkState(BaseModel):
    """A trunk."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    trunk: str
    registration: TrunkRegistration | None
    """Null: it does not register."""
    hops: list[TrunkHop]
    """In the order in which calls try them."""


_EXAMPLE: JsonDict = {
    "trunks": [
        {
            "trunk": "carrier",
            "registration": None,
            "hops": [
                {"uri": "sip:192.0.2.1", "up": True, "code": 200, "reason": "OK"},
                {"uri": "sip:192.0.2.2", "up": False, "code": None, "reason": "no answer in 4 s"},
            ],
        }
    ]
}


class TrunkList(BaseModel):
    """All trunks, in the order of the settings."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    trunks: list[TrunkState]


def trunk_list(
    trunks: Mapping[str, Trunk], registrations: Sequence[Registration], asked: Sequence[Hop]
) -> TrunkList:
    """How they stand."""
    registered = {
        each.trunk: TrunkRegistration(
            registered=each.expires > 0, code=each.code or None, reason=each.reason
        )
        for each in registrations
    }
    known = {
        (each.trunk, each.uri): TrunkHop(
            uri=each.uri, up=each.up, code=each.code or None, reason=each.reason
        )
        for each in asked
    }
    return TrunkList(
        trunks=[
            TrunkState(
                trunk=name,
                registration=registered.get(name),
                hops=[known.get((name, uri), TrunkHop(uri=uri, up=None)) for uri in trunk.hops],
            )
            for name, trunk in trunks.items()
        ]
    )
