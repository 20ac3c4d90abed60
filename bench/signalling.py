"""Signalling: INVITE in, flow started, answered, ended, record stored, at a fixed rate.

SIPp is the trunk, in its own process; the gateway runs as `switchhook run` with a configuration
made for this. The caller hangs up as soon as it is answered (or after `--talk` seconds), so that
this measures signalling, the flow and the record rather than media.

    python -m bench.signalling [--rate 400] [--seconds 30] [--warm-up 35] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

import httpx

from bench.sampling import Sample, sample, share
from bench.table import Figure, percentile, report
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.world import CARRIER, World
from tests.peers import network
from tests.peers.script import Caller
from tests.peers.sipp import Sipp

WARM_UP = 35
"""Seconds of the same load before the measurement. PJSIP keeps a transaction for 64*T1 = 32 s
(RFC 3261 section 17.2), so only then do as many go as come. The pools of PJSIP and malloc find
their size later still: at 400 calls/s memory grew until 64 000 calls and was level for the 112 000
after them. `--warm-up 160 --seconds 125` shows that slope."""

NUMBER = "400"
"""Answers with a prompt; the caller does not wait for its end."""

STORED_LIMIT = 20.0
"""Seconds until the last record must be in the database."""


async def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=400, help="calls begun in a second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--warm-up", type=int, default=WARM_UP, help="seconds before that")
    parser.add_argument("--talk", type=float, default=0, help="seconds between answer and BYE")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="switchhook-bench-") as folder:
        legs = round(given.rate * (given.talk + 2)) + 200
        world = World(
            Path(folder) / "gateway",
            settings={"sip": {"max_calls": legs}},
            rtp=network.free_udp_range("127.0.0.1", 2 * legs + 2),
        )
        world.write()
        gateway = GatewayProcess(world)
        gateway.start()
        try:
            figures = await measure(gateway, Path(folder), given)
        finally:
            gateway.stop()
    title = f"Signalling: {given.rate} calls/s for {given.seconds} s"
    report(title, figures, given.json)


async def measure(gateway: GatewayProcess, folder: Path, given: argparse.Namespace) -> list[Figure]:
    """Load the gateway and compare it before and after."""
    rate, talk = given.rate, given.talk
    earlier, calls = rate * given.warm_up, rate * given.seconds
    async with httpx.AsyncClient(base_url=gateway.world.api, timeout=30) as client:
        api = Api(client)
        await load(gateway, folder, earlier, rate, talk)
        await stored(api, earlier)
        before, lag_before = sample(gateway.pid), await lag(api)
        sipp = await load(gateway, folder, calls, rate, talk)
        await stored(api, earlier + calls)
        after, lag_after = sample(gateway.pid), await lag(api)
        metrics = await api.metrics()
    answered = sipp.response_times()
    lags = [count - lag_before.get(bound, 0) for bound, count in lag_after.items()]
    return [
        *figures_of(before, after, calls),
        Figure("calls failed", sipp.failed_calls(), "", 0),
        Figure("records missing", earlier + calls - metrics[WRITTEN], "", 0),
        Figure("answer, p50", percentile(answered, 50), "ms"),
        Figure("answer, p99", percentile(answered, 99), "ms", 50),
        Figure("loop lag, p99 (bucket)", bucket(list(lag_after), lags, 0.99) * 1000, "ms"),
        Figure("open files left", after.open_files - before.open_files),
    ]


def figures_of(before: Sample, after: Sample, calls: int) -> list[Figure]:
    """CPU and memory."""
    return [
        Figure("CPU per call", (after.cpu - before.cpu) / calls * 1000, "ms", 0.9),
        Figure("of one core", share(before, after) * 100, "%"),
        Figure("memory before", before.memory / 1e6, "MB"),
        Figure("memory after", after.memory / 1e6, "MB"),
        Figure("memory growth per call", (after.memory - before.memory) / calls, "B"),
    ]


WRITTEN = "switchhook_records_written_total"
LAG = "switchhook_loop_lag_seconds_bucket"


async def load(gateway: GatewayProcess, folder: Path, calls: int, rate: int, talk: float) -> Sipp:
    """Place so many calls."""
    script = Caller("loads").dials().is_answered(timed=True)
    if talk:
        script.talks(talk)
    sipp = await Sipp.start(
        script.hangs_up(),
        folder,
        address=CARRIER,
        gateway=gateway.world.address,
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
    """Wait until all records are written."""

    async def all_written() -> bool:
        return (await api.metrics()).get(WRITTEN, 0) >= calls

    await network.until(all_written, f"{calls} records are written", STORED_LIMIT)


async def lag(api: Api) -> dict[float, float]:
    """Cumulative counts of the loop lag, by upper bound in seconds."""
    samples = await api.metrics()
    return {
        float(name.partition('le="')[2].rstrip('"}')): count
        for name, count in samples.items()
        if name.startswith(LAG)
    }


def bucket(bounds: list[float], counts: list[float], part: float) -> float:
    """The bound below which this part of the counts lies."""
    wanted = counts[-1] * part
    return next(bound for bound, count in zip(bounds, counts, strict=True) if count >= wanted)


if __name__ == "__main__":
    asyncio.run(main())
