"""Signalling: INVITE in, flow started, answered, ended, record stored, at a fixed rate.

SIPp is the trunk. The caller hangs up as soon as it is answered (or after `talk` seconds), so that
this measures signalling, the flow and the record rather than media. The same calls at the same rate
go to a bare pjsua2 answerer afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.gateway import Gateway, running, world
from bench.measurement import Figure, percentile
from bench.sampling import share
from bench.short_calls import WRITTEN, at_once, per_call, place, stored
from bench.yardstick import BARE_THEN, bare_answerer
from tests.e2e.process import Api

BUDGET = 0.9
"""Milliseconds of CPU that a call may take where an answerer takes `BARE_THEN`."""

LAG = "switchhook_loop_lag_seconds_bucket"


@dataclass(frozen=True)
class Signalling:
    """Short calls."""

    title: ClassVar[str] = "Signalling"
    rate: int = 400
    """Calls begun in a second."""
    seconds: int = 30
    warm_up: int = 35
    """Seconds of the same load before the measurement. PJSIP keeps a transaction for 64*T1 = 32 s
    (RFC 3261 section 17.2), so only then do as many go as come."""
    talk: float = 0.0
    """Seconds between answer and BYE."""

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"{self.rate} calls/s for {self.seconds} s"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Load the gateway, then the bare answerer."""
        async with running(world(folder, at_once(self.rate, self.talk))) as gateway:
            figures = await self._load_gateway(gateway, folder)
        bare = await bare_answerer(
            folder, self.rate, warm_up=self.warm_up, seconds=self.seconds, talk=self.talk
        )
        cost, *rest = figures
        return [
            cost,
            Figure("CPU per call of a bare pjsua2 answerer, just after", bare, "ms"),
            Figure("times the bare answerer", cost.value / bare, "", BUDGET / BARE_THEN),
            *rest,
        ]

    async def _load_gateway(self, gateway: Gateway, folder: Path) -> list[Figure]:
        earlier, calls = self.rate * self.warm_up, self.rate * self.seconds
        await place(earlier, self.rate, gateway.address, folder, self.talk)
        await stored(gateway.api, earlier)
        before, lag_before = gateway.sample(), await lag(gateway.api)
        sipp = await place(calls, self.rate, gateway.address, folder, self.talk)
        await stored(gateway.api, earlier + calls)
        after, lag_after = gateway.sample(), await lag(gateway.api)
        metrics = await gateway.api.metrics()
        answered = sipp.response_times()
        lags = [count - lag_before.get(bound, 0) for bound, count in lag_after.items()]
        return [
            Figure("CPU per call", per_call(before, after, calls), "ms", BUDGET),
            Figure("of one core", share(before, after) * 100, "%"),
            Figure("calls failed", sipp.failed_calls(), "", 0),
            Figure("records missing", earlier + calls - metrics[WRITTEN], "", 0),
            Figure("answer, p50", percentile(answered, 50), "ms"),
            Figure("answer, p99", percentile(answered, 99), "ms", 50),
            Figure("loop lag, p99 (bucket)", bucket(list(lag_after), lags, 0.99) * 1000, "ms"),
            Figure("open files left", after.open_files - before.open_files),
        ]


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
