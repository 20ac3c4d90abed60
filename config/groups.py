"""Groups of targets: who is rung together, who after whom, and for how long."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from config.errors import InvalidValue
from config.strict import Name, Seconds, Strict

MAX_MEMBERS = 40
"""In one group. A caller who has heard more telephones ring has long hung up."""


class Strategy(StrEnum):
    """In which order a group's members are rung."""

    SEQUENTIAL = "sequential"
    """One after the other."""
    PARALLEL = "parallel"
    """All at once; the first who answers has the caller."""
    MIXED = "mixed"
    """Wave by wave; those of a wave at once."""


class Member(Strict):
    """A target as one of a group. Its name alone means the same."""

    target: Name
    """A named target."""
    timeout: Seconds | None = Field(default=None, gt=0)
    """How long it may ring here; default: the target's own timeout."""
    weight: int | None = Field(default=None, ge=1, le=1000)
    """`sequential`: how likely it is to come earlier than others, which then need one too."""


def _named(member: object) -> object:
    return {"target": member} if isinstance(member, str) else member


Members = Annotated[
    list[Annotated[Member, BeforeValidator(_named)]], Field(min_length=1, max_length=MAX_MEMBERS)
]


class Group(Strict):
    """Several targets under one name: who answers first has the caller."""

    strategy: Strategy = Strategy.SEQUENTIAL
    """`sequential`: one after the other; `parallel`: all at once; `mixed`: wave by wave."""
    members: Members | None = None
    """Who belongs to it, by target name, in order. With weights, the order is drawn each time."""
    waves: Annotated[list[Members], Field(min_length=1, max_length=MAX_MEMBERS)] | None = None
    """`mixed`: lists of members; those of a list are rung at once, the lists one by one."""
    timeout: Seconds | None = Field(default=None, ge=1)
    """How long the group may ring altogether; default: as long as its members do."""
    hours: Name | None = None
    """When it can be reached, by the name of `hours`; beside the hours of its members."""

    @property
    def rung(self) -> list[list[Member]]:
        """The members in waves, as written."""
        if self.waves is not None:
            return self.waves
        members = self.members or []
        return [members] if self.strategy is Strategy.PARALLEL else [[each] for each in members]

    @property
    def weighted(self) -> bool:
        """Whether the order is drawn by weights each time."""
        return any(member.weight is not None for member in self.members or [])

    @model_validator(mode="after")
    def _members_fit_the_strategy(self) -> Self:
        mixed = self.strategy is Strategy.MIXED
        wanted, other = ("waves", "members") if mixed else ("members", "waves")
        if getattr(self, wanted) is None:
            raise InvalidValue(f"a {self.strategy} group needs `{wanted}`", f"Add `{wanted}`")
        if getattr(self, other) is not None:
            raise InvalidValue(
                f"a {self.strategy} group has no `{other}`", f"Write `{wanted}` alone", at=other
            )
        weights = [member.weight is not None for wave in self.rung for member in wave]
        if any(weights) and self.strategy is not Strategy.SEQUENTIAL:
            raise InvalidValue(
                "has weights, but those who are rung at once have no order",
                "Leave `weight` out, or make the group `sequential`",
                at=wanted,
            )
        if any(weights) and not all(weights):
            raise InvalidValue(
                "has members with and without `weight`", "Give all of them one", at=wanted
            )
        return self
