"""Who is rung in a hunt: the members of a group in their waves, or one target alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from config.groups import Group, Member
from config.targets import Target
from sip.outcome import Method


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target of a hunt."""

    name: str
    """As an attempt names it."""
    target: Target
    ladder: tuple[Method, ...]
    """How it is reached: the next step only where the peer does not know the one before."""
    timeout: float
    """Seconds that it may ring."""
    ask: bool = True
    """Whether it is asked for before it is dialled; False: that has been done."""

    @property
    def destination(self) -> str:
        """What must not be rung twice at once."""
        return self.target.destination


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom a hunt is for, in which order."""

    candidates: tuple[Candidate, ...]
    waves: tuple[tuple[int, ...], ...]
    """Places in `candidates`: those of a wave are rung at once, the waves one by one."""
    limit: float | None = None
    """Seconds from the first INVITE; None: as long as the waves take."""
    delay: float = 0
    """Seconds to wait before anything happens."""


def plan_for_one(
    name: str, target: Target, method: Method, timeout: float, *, refer: bool, ask: bool
) -> Plan:
    """A hunt for one target alone.

    Args:
        name: as attempts name it.
        target: whom.
        method: how; `auto` becomes a ladder.
        timeout: seconds that it may ring.
        refer: whether a ladder begins with REFER.
        ask: whether it is still to be asked for.
    """
    one = Candidate(name, target, ladder(method, refer=refer), timeout, ask)
    return Plan((one,), ((0,),))


def plan_for_group(
    group: Group,
    targets: Mapping[str, Target],
    rng: Random,
    *,
    timeout: float | None,
    refer: bool,
) -> Plan:
    """A hunt for a group; with weights, its order is drawn.

    Args:
        group: whom. Members that are no targets, which config check refuses, are left out.
        targets: the named targets.
        rng: chooses the order.
        timeout: seconds for all of it; None: the group's own.
        refer: whether ladders begin with REFER, which nobody is rung by beside others.
    """
    candidates: list[Candidate] = []
    waves: list[tuple[int, ...]] = []
    rung: Sequence[Sequence[Member]] = group.rung
    if group.weighted:
        rung = [[member] for member in drawn([wave[0] for wave in rung], rng)]
    for members in rung:
        known = [member for member in members if member.target in targets]
        alone = len(known) == 1
        first = len(candidates)
        for member in known:
            target = targets[member.target]
            steps = ladder(Method(target.usual_method), refer=refer and alone)
            candidates.append(
                Candidate(member.target, target, steps, member.timeout or target.timeout)
            )
        if known:
            waves.append(tuple(range(first, len(candidates))))
    return Plan(tuple(candidates), tuple(waves), timeout or group.timeout)


def ladder(method: Method, *, refer: bool) -> tuple[Method, ...]:
    """The methods to try: one, or for `auto` REFER, then INVITE where the trunk refuses it."""
    if method is not Method.AUTO:
        return (method,)
    return (Method.REFER, Method.INVITE) if refer else (Method.INVITE,)


def drawn(members: Sequence[Member], rng: Random) -> list[Member]:
    """An order in which each next one is drawn by weight from those that are left."""
    left, order = list(members), []
    while left:
        (chosen,) = rng.choices(left, [member.weight or 1 for member in left])
        left.remove(chosen)
        order.append(chosen)
    return order
