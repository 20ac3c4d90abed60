"""Every failure that can be rehearsed, against a running gateway: its outcome, and its fallback.

The peer is `sip.faulty`, as the called agent or as the caller's trunk. Each case names the RFC's
section that it breaks or exercises (sip/faulty/cases.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from sip.faulty import cases
from sip.faulty.cases import Case, random_refer
from sip.faulty.peer import FaultyCall, FaultyPeer
from sip.faulty.steps import Behaviour
from tests.e2e.process import Api
from tests.e2e.world import CARRIER, PBX, World

LIMIT = 20.0
"""Seconds for a whole call: the longest waits for a ring timer, and hears a prompt."""

SUCCESSES = {"connected", "presumed_connected"}


def every(table: dict[str, Case]) -> Iterable[Any]:
    """A parameter for each case, named like it."""
    return [pytest.param(case, id=name) for name, case in table.items()]


async def called(
    world: World, carrier: FaultyPeer, number: str, behaviour: Behaviour | None = None
) -> FaultyCall:
    """A call to `number`, from its INVITE to its end."""
    call = await carrier.call(world.number(number), behaviour)
    await call.finished(LIMIT)
    return call


async def attempt_of(api: Api, case: Case) -> dict[str, Any]:
    """The one attempt; that it came to what the case says, and to a fallback if it failed."""
    record = await api.record(LIMIT)
    (attempt,) = record["attempts"]
    assert attempt["outcome"] in case.outcomes, attempt
    if case.code is not None:
        assert attempt["code"] == case.code, attempt
    if attempt["outcome"] not in SUCCESSES:
        taken = [row for row in record["timeline"] if row["name"] == "fallback.taken"]
        assert [row["attempt"] for row in taken] == ["t1"]
        assert record["end"] == "fallback"
    return {**attempt, "record": record}


class TestTheTargetIsDialled:
    """RFC 3261 sections 8 to 17: what an INVITE can meet."""

    @pytest.mark.parametrize("case", every(cases.INVITE))
    async def test_it_comes_to_its_outcome_and_its_fallback(
        self, case: Case, world: World, api: Api
    ) -> None:
        async with (
            FaultyPeer(PBX, world.pbx_port, case.behaviour) as pbx,
            FaultyPeer(CARRIER) as carrier,
        ):
            await called(world, carrier, "200")
            assert pbx.received("INVITE")
        await attempt_of(api, case)


class TestTheTrunkIsAskedToRefer:
    """RFC 3515: what a REFER can meet."""

    @pytest.mark.parametrize("case", every(cases.REFER))
    async def test_it_comes_to_its_outcome_and_its_fallback(
        self, case: Case, world: World, api: Api
    ) -> None:
        async with FaultyPeer(CARRIER) as carrier:
            call = await called(world, carrier, "300", case.behaviour)
            assert call.received("REFER")
        await attempt_of(api, case)


class TestTheCallIsHandedBack:
    """RFC 3261 section 15: what a BYE can meet. The call is gone, whatever the answer."""

    @pytest.mark.parametrize("case", every(cases.BYE))
    async def test_it_comes_to_its_outcome(self, case: Case, world: World, api: Api) -> None:
        async with FaultyPeer(CARRIER) as carrier:
            await called(world, carrier, "400", case.behaviour)
        record = await api.record(LIMIT)
        (attempt,) = record["attempts"]
        assert attempt["outcome"] in case.outcomes, attempt


@pytest.mark.parametrize("seed", range(3))
async def test_however_a_trunk_answers_there_is_one_verdict(
    seed: int, world: World, api: Api
) -> None:
    async with FaultyPeer(CARRIER) as carrier:
        await called(world, carrier, "300", random_refer(Random(seed)))
    record = await api.record(LIMIT)
    assert [row["name"] for row in record["timeline"]].count("transfer.ended") == 1
    assert len(record["attempts"]) == 1
