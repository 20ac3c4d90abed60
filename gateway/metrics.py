"""What Prometheus scrapes. Every label comes from a closed list: no numbers, hosts or call ids.

docs/operations.md lists the metrics for operators.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from gateway.events import CallFinished, CallStarted
from gateway.store import CallStore
from gateway.timeline import CallEvent
from sip.events import Event, LegAnswered, TransferEnded

CALLER_LEG = "caller"

SETUP_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 180)
"""Seconds from INVITE to 2xx: the gateway answers in 20 ms, a person in 20 s; Timer C is 180 s."""
VERDICT_BUCKETS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
"""Seconds from the start of a transfer to its outcome."""
LAG_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1)
"""Seconds the loop was late. 5 ms is the product's own limit, 20 ms is a frame of audio."""
LAG_INTERVAL = 0.1
"""Seconds between two measurements of the loop: ten wake-ups a second cost nothing one can see."""


class Metrics:
    """The gateway's metrics, in a registry of its own."""

    def __init__(self, counters: Callable[[], object], store: CallStore) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        ProcessCollector(registry=registry)
        self._calls = Counter(
            "switchhook_calls",
            "Finished calls",
            ("direction", "disposition"),
            registry=registry,
        )
        self._active = Gauge("switchhook_calls_active", "Calls in progress", registry=registry)
        self._transfers = Counter(
            "switchhook_transfers",
            "Finished transfer attempts",
            ("method", "outcome"),
            registry=registry,
        )
        self._setup = Histogram(
            "switchhook_setup_seconds",
            "From INVITE to 2xx, by the direction of the leg",
            ("direction",),
            buckets=SETUP_BUCKETS,
            registry=registry,
        )
        self._verdict = Histogram(
            "switchhook_transfer_verdict_seconds",
            "From the start of a transfer attempt to its outcome",
            ("method",),
            buckets=VERDICT_BUCKETS,
            registry=registry,
        )
        self._lag = Histogram(
            "switchhook_loop_lag_seconds",
            "How late the event loop ran a timer",
            buckets=LAG_BUCKETS,
            registry=registry,
        )

        self._counters: dict[type[Event], Callable[[Any], None]] = {
            CallStarted: lambda _: self._active.inc(),
            CallFinished: self._call_finished,
            LegAnswered: self._leg_answered,
            TransferEnded: self._transfer_ended,
        }

    def __call__(self, stamped: CallEvent) -> None:
        """Count one event: a listener of the event bus."""
        count = self._counters.get(type(stamped.event))
        if count is not None:
            count(stamped.event)

    def _call_finished(self, event: CallFinished) -> None:
        self._active.dec()
        record = event.call.record
        self._calls.labels(record.direction, record.disposition.value).inc()

    def _leg_answered(self, event: LegAnswered) -> None:
        direction = "inbound" if event.leg == CALLER_LEG else "outbound"
        self._setup.labels(direction).observe(event.setup_ms / 1000)

    def _transfer_ended(self, event: TransferEnded) -> None:
        method = event.attempt.method.value
        self._transfers.labels(method, event.attempt.outcome.value).inc()
        self._verdict.labels(method).observe(event.attempt.verdict_ms / 1000)

    def expose(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)

    async def watch_loop(self) -> None:
        """Measure the loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL
            await asyncio.sleep(LAG_INTERVAL)
            self._lag.observe(max(0.0, loop.time() - due))
