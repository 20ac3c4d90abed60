"""Five hundred transfers by REFER, each against a trunk that picks its behaviour at random.

Whatever it does: exactly one terminal outcome for each transfer, the one that the behaviour must
come to where it is a named one, and nothing left behind. Runs with short timers.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from sip.faulty.case import Case
from sip.faulty.peer import FaultyPeer
from sip.faulty.refer_cases import REFER, random_refer
from tests.e2e.process import GatewayProcess
from tests.e2e.world import HASTY, MAX_CALLS, World
from tests.peers import network

TRANSFERS = 500
AT_ONCE = MAX_CALLS // 4
SEED = 3515

NAMED = 0.75
"""Part of the trunks that follow a named case; the others do anything at all."""

CALL_LIMIT = 90.0
"""Seconds for one call; the longest waits three times for a 491, then hears its prompt."""


@dataclass(frozen=True)
class Played:
    """A call that was made."""

    call_id: str
    case: Case | None
    behaviour: str


async def test_five_hundred_transfers_come_to_one_outcome_each(
    gateway: GatewayProcess, world: World
) -> None:
    rng = Random(SEED)
    offset = gateway.log.stat().st_size
    room = asyncio.Semaphore(AT_ONCE)
    async with FaultyPeer(HASTY) as trunk:
        calls = [play(trunk, world, room, rng.random()) for _ in range(TRANSFERS)]
        played = await asyncio.gather(*calls)

    def finished() -> bool:
        return len(said(gateway, offset, "call.finished")) == TRANSFERS

    await network.until(finished, f"{TRANSFERS} calls are recorded")
    ended = Counter(line["call_id"] for line in said(gateway, offset, "transfer.ended"))
    records = {line["sip_call_id"]: line for line in said(gateway, offset, "call.finished")}
    wrong = [told for call in played if (told := fault(call, records[call.call_id], ended))]
    assert not wrong, "\n".join(wrong)
    outcomes = {record["transfers"][0]["outcome"] for record in records.values()}
    assert len(outcomes) > 8, outcomes


async def play(trunk: FaultyPeer, world: World, room: asyncio.Semaphore, chance: float) -> Played:
    """One call, referred to its end."""
    own = Random(chance)
    case = own.choice([*REFER.values()]) if own.random() < NAMED else None
    behaviour = case.behaviour if case else random_refer(own)
    async with room:
        call = await trunk.call(world.number("300"), behaviour)
        await call.finished(CALL_LIMIT)
    return Played(call.sent("INVITE")[0].header("Call-ID"), case, str(behaviour.refer))


def fault(call: Played, record: dict[str, Any], ended: Counter[str]) -> str:
    """What is wrong with a call, in the log's words; empty where nothing is."""
    transfers = record.get("transfers", [])
    name = call.case.name if call.case else call.behaviour
    if len(transfers) != 1 or ended[record["call_id"]] != 1:
        return f"{name}: {ended[record['call_id']]} outcomes: {record}"
    (attempt,) = transfers
    if call.case is None:
        return ""
    if attempt["outcome"] not in call.case.outcomes:
        return f"{name}: {attempt['outcome']}, not {call.case.outcomes}"
    if call.case.code is not None and attempt["code"] != call.case.code:
        return f"{name}: {attempt['code']}, not {call.case.code}"
    return ""


def said(gateway: GatewayProcess, offset: int, event: str) -> list[dict[str, Any]]:
    """The gateway's log lines of an event."""
    lines = (json.loads(line) for line in gateway.log_since(offset) if f'"{event}"' in line)
    return [line for line in lines if line["event"] == event]
