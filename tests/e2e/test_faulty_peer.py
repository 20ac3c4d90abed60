"""A running gateway meets every failure at once: each call comes to its own end, and nothing of
them is left (tests/e2e/conftest.py looks at legs, ports, files and threads afterwards).

The peer is `sip.faulty`, as the called agent and as the caller's trunk. Each case names the RFC's
section that it breaks or exercises (sip/faulty/cases.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sip.faulty.bye_cases import BYE
from sip.faulty.case import Case
from sip.faulty.invite_cases import INVITE
from sip.faulty.peer import FaultyPeer
from sip.faulty.refer_cases import REFER
from sip.faulty.steps import Behaviour, Reply
from sip.message import Message, user_part
from sip.outcome import Outcome
from tests.e2e.process import Api
from tests.e2e.world import HASTY, PBX, World
from tests.peers import network

LIMIT = 60.0
"""Seconds for a call: the longest waits for a ring timer, and hears a prompt."""


async def play(
    world: World, api: Api, number: str, behaviours: list[Behaviour]
) -> list[dict[str, Any]]:
    """A call to `number` for each behaviour, all at once; their records, in this order."""
    callers = {f"+49305{at:05}": behaviour for at, behaviour in enumerate(behaviours)}

    def chosen(invite: Message) -> Behaviour:
        return callers[user_part(invite.header("From"))]

    earlier = {call["id"] for call in await api.ended()}
    async with FaultyPeer(PBX, world.pbx_port, chosen), FaultyPeer(HASTY) as carrier:
        calls = [
            await carrier.call(world.number(number), behaviour, caller=caller)
            for caller, behaviour in callers.items()
        ]
        await asyncio.gather(*(call.finished(LIMIT) for call in calls))
    found: dict[str, dict[str, Any]] = {}

    async def recorded() -> bool:
        records = [call for call in await api.ended() if call["id"] not in earlier]
        found.update({record["caller"]: record for record in records})
        return set(found) == set(callers)

    await network.until(recorded, "every call has its record")
    return [found[caller] for caller in callers]


@pytest.mark.parametrize(
    ("number", "table"),
    [("200", INVITE), ("300", REFER), ("400", BYE)],
    ids=["invite", "refer", "bye"],
)
async def test_every_failure_comes_to_its_own_outcome(
    number: str, table: dict[str, Case], world: World, api: Api
) -> None:
    played = [*table.values()]
    records = await play(world, api, number, [case.behaviour for case in played])
    for case, record in zip(played, records, strict=True):
        (attempt,) = record["attempts"]
        assert attempt["outcome"] in case.outcomes, (case.name, attempt)
        if case.code is not None:
            assert attempt["code"] == case.code, (case.name, attempt)
        gone = attempt["method"] == "bye" or attempt["bye_by"] == "caller"
        if not Outcome(attempt["outcome"]).succeeded and not gone:
            assert record["end"] == "fallback", (case.name, record)


async def test_the_record_holds_what_the_peer_says_as_to_why(world: World, api: Api) -> None:
    """RFC 3326 section 2, RFC 3261 sections 20.33 and 20.43."""
    headers = (
        'Reason: Q.850;cause=42;text="Congestion, again"',
        'Warning: 399 sbc "all circuits are busy"',
        "Retry-After: 7",
    )
    behaviour = Behaviour(invite=(Reply(503, headers=headers, contact=False),))
    [record] = await play(world, api, "200", [behaviour])
    (attempt,) = record["attempts"]
    assert attempt["causes"] == [
        "Q.850 42 Congestion, again",
        'Warning 399 sbc "all circuits are busy"',
    ]
    assert attempt["retry_after"] == 7
    why = (await api.get(f"/v1/calls/{record['id']}/why")).json()
    assert "(Q.850 42 Congestion, again; Warning 399" in why["sentences"][0]
    assert "The fallback row `503`" in why["sentences"][1]
    picture = await api.get(f"/v1/calls/{record['id']}/ladder.svg")
    assert "503 INVITE (Q.850 42 Congest" in picture.text
