"""Short calls from SIPp: the caller hangs up as soon as it is answered, or talks for a while."""

from __future__ import annotations

from pathlib import Path

from bench.sampling import Sample
from tests.e2e.process import Api
from tests.e2e.world import CARRIER
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.sipp import Sipp

NUMBER = "400"
"""Answers with a prompt; the caller does not wait for its end."""

STORED_LIMIT = 20.0
"""Seconds until the last record must be in the database."""

WRITTEN = "switchhook_records_written_total"
"""The gateway's counter of records in the database."""


def at_once(rate: int, talk: float) -> int:
    """How many calls there are at once, and ample room."""
    return round(rate * (talk + 2)) + 200


def per_call(before: Sample, after: Sample, calls: int) -> float:
    """Milliseconds of CPU that a call took."""
    return (after.cpu - before.cpu) / calls * 1000


async def place(
    calls: int, rate: int, address: tuple[str, int], folder: Path, talk: float = 0
) -> Sipp:
    """Place so many calls."""
    script = Caller("loads").dials().is_answered(timed=True)
    if talk:
        script.talks(talk)
    sipp = await Sipp.start(
        script.hangs_up(),
        folder,
        address=CARRIER,
        gateway=address,
        number=NUMBER,
        calls=calls,
        rate=rate,
        measure=True,
        run_limit=calls / rate + talk + 40,
    )
    try:
        await sipp.ends()
    finally:
        await sipp.stop()
    return sipp


async def stored(api: Api, calls: int) -> None:
    """Wait until the gateway has written the records of so many."""

    async def all_written() -> bool:
        return (await api.metrics()).get(WRITTEN, 0) >= calls

    await network.until(all_written, f"{calls} records are written", STORED_LIMIT)
