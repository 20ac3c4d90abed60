"""Where a call can be transferred to, and by which method."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.errors import InvalidValue
from config.strict import Name, Seconds, Strict
from config.uri import check_destination, is_number

MethodName = Literal["invite", "refer", "bye", "attended", "auto"]

Destination = Annotated[str, AfterValidator(check_destination)]
"""A SIP URI without headers, or an E.164 number."""


class Reach(StrEnum):
    """Whether the target stands inside the contact centre or PBX, or outside it."""

    INTERNAL = "internal"
    EXTERNAL = "external"


class Target(Strict):
    """A person, group or system that a call can be handed to."""

    kind: Reach
    """`internal`: in the same contact centre or PBX; `external`: anywhere else."""
    destination: Destination
    """A SIP URI (`sip:billing@10.0.0.8`), or an E.164 number (`+493012345`) over `trunk`."""
    trunk: Name | None = None
    """The trunk that dials a number, and whose credentials and headers are used for a URI."""
    method: MethodName | None = None
    """Default: `invite` for internal targets, which take that and `attended` only; `auto` for
    external ones."""
    complete: Literal["replaces", "join"] | None = None
    """How `attended` ends: `replaces` asks the caller's trunk by REFER to take the agent's call
    over (RFC 3891), and joins the two here where it does not; `join` joins them here at once.
    Default: `join` for internal targets, `replaces` for external ones."""
    timeout: Seconds = Field(default=30, gt=0)
    """How long the target may ring."""
    from_trunks: list[Name] | None = None
    """Only calls that came in over these trunks are transferred to it; default: all."""
    max_calls: int | None = Field(default=None, ge=1, le=4000)
    """Legs to it at once that the gateway has dialled; with more, a transfer is `blocked`."""
    hours: Name | None = None
    """When it can be reached, by the name of `hours`; default: always."""

    @property
    def usual_method(self) -> MethodName:
        """The method, unless a node or a bot asks for another."""
        return self.method or ("invite" if self.kind is Reach.INTERNAL else "auto")

    @property
    def completed_by_replaces(self) -> bool:
        """Whether an attended transfer leaves caller and agent to the caller's trunk."""
        usual = "join" if self.kind is Reach.INTERNAL else "replaces"
        return (self.complete or usual) == "replaces"

    def method_refused(self, method: MethodName) -> InvalidValue | None:
        """Why this target cannot be reached by `method`; None: it can."""
        if self.kind is Reach.INTERNAL and method not in ("invite", "attended"):
            return InvalidValue(
                f"an internal target is not reached by `{method}`",
                "Leave `method` out, or make the target `external`",
                at="method",
            )
        return None

    @model_validator(mode="after")
    def _dialable(self) -> Self:
        if is_number(self.destination) and self.trunk is None:
            raise InvalidValue(
                "a number needs a trunk to be dialled over", "Add `trunk`", at="destination"
            )
        if refused := self.method_refused(self.usual_method):
            raise refused
        return self
