"""How much a peer may do at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.strict import Strict

PerSecond = Annotated[float, Field(gt=0, le=1000)]


class Rate(Strict):
    """How fast calls may begin. More are refused with 503 and Retry-After."""

    calls_per_second: PerSecond
    """On average."""
    burst: int = Field(default=10, ge=1, le=10_000)
    """Calls that may begin at once after a quiet time."""


class TrunkLimits(Strict):
    """How much one trunk may do at once."""

    calls: int | None = Field(default=None, ge=1, le=4000)
    """Legs in progress, both ways together; more are refused."""
    rate: Rate | None = None
    """How fast calls may begin, each way by itself."""
