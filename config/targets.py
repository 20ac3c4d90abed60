"""Where a call can be transferred to, and by which method."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from config.strict import Name, Seconds, Strict

MethodName = Literal["invite", "refer", "bye"]


class Reach(StrEnum):
    """Whether the target stands inside the contact centre or PBX, or outside it."""

    INTERNAL = "internal"
    EXTERNAL = "external"


class Target(Strict):
    """A person, group or system that a call can be handed to."""

    kind: Reach
    destination: str
    """A SIP URI (`sip:billing@10.0.0.8`), or an E.164 number (`+493012345`) over `trunk`."""
    trunk: Name | None = None
    """The trunk that dials a number, and whose credentials and headers are used for a URI."""
    method: MethodName | None = None
    """Default: `invite` for internal targets, `refer` for external ones."""
    timeout: Seconds = Field(default=30, gt=0)
    """How long the target may ring."""
