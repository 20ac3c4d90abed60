"""What Prometheus scrapes. Every label comes from a closed list: no numbers, hosts or call ids.

docs/operations.md lists the metrics for operators.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.agent import Hop
from gateway.events import (
    CallFinished,
    CallResumed,
    CallStarted,
    RecordingFailed,
    RecordingStarted,
    RecordingStopped,
    ResumeRefused,
)
from gateway.store import CallStore
from gateway.timeline import CallEvent
from sip.events import LegAnswered, TransferEnded

CALLER_LEG = "caller"
"""The label of the leg that came in; every other one we dialled."""

OTHER_TAG = "other"
"""Stands for every tag that comes from a bot, the API or a caller: a label is never theirs."""

SETUP_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 180)
"""Seconds from INVITE to 2xx: the gateway answers in 20 ms, a person in 20 s; Timer C is 180 s."""
VERDICT_BUCKETS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
"""Seconds from the start of a transfer to its outcome."""
LAG_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1)
"""Seconds the loop was late. 5 ms is the product's own limit, 20 ms is a frame of audio."""
SIP_COUNTERS: Mapping[str, str] = {
    "legs_active": "Legs in progress, agents' legs included",
    "bot_ports_active": "Bots that hear a caller",
    "refers_active": "REFERs of ours that wait for their verdict",
    "gate_admitted": "INVITEs that the gate let in",
    "gate_challenged": "INVITEs asked for digest credentials",
    "gate_refused_source": "Requests from outside every trunk",
    "gate_refused_transport": "Requests over a transport that their trunk does not use",
    "gate_refused_scanner": "Requests of scanners, dropped",
    "gate_refused_credentials": "INVITEs with wrong digest credentials",
    "gate_refused_rate": "Requests that came faster than a limit allows",
    "gate_refused_trunk_limit": "INVITEs refused because a trunk's limit was reached",
    "gate_refused_unencrypted": "INVITEs without SRTP where the trunk requires it",
    "gate_refused_shape": "Messages too large, too deep or malformed",
    "gate_refused_method": "Requests of methods that are not served",
    "gate_refused_draining": "INVITEs refused while draining",
    "gate_refused_limit": "INVITEs refused because max_calls was reached",
    "gate_refused_transfer": "REFERs refused",
    "gate_refused_call_id": "INVITEs with the Call-ID of a call in progress",
    "wire_events_dropped": "SIP events lost because the loop did not keep up",
    "wire_malformed": "Packets that could not be read as SIP, dropped",
    "pjsip_lines": "Lines that PJSIP wrote into its own log, those that were held back included",
    "clock_ticks": "Ticks of the media clock, 20 ms each",
    "clock_late_ticks": "Ticks of the media clock that came over 100 ms late",
    "rtp_strangers": "RTP and RTCP packets dropped because nobody vouches for their source",
    "rtp_moved": "Legs whose audio came from another address than their SDP says",
    "rtp_malformed": "Packets to RTP and RTCP ports that are neither, dropped",
    "rtp_unauthenticated": "SRTP and SRTCP packets that fail authentication, dropped",
    "rtp_replayed": "SRTP and SRTCP packets that came before, dropped",
    "rtp_keys_refused": "Keys of one leg beyond 30 a second, not told",
    "rtp_keys_lost": "Keys of one leg that the other one was not sent: too many waited",
    "pump_rx_frames": "Frames of callers' audio for bots",
    "pump_rx_dropped": "Frames of callers' audio lost because the loop did not keep up",
    "pump_tx_bytes": "Bytes of bots' audio for callers",
    "pump_tx_dropped_bytes": "Bytes of bots' audio beyond their backlog",
    "pump_tx_underruns": "Frames a bot had begun but not finished when they were due",
    "pump_rx_high_frames": "Most frames of one caller that ever waited for the loop, of 100",
    "pump_tx_high_bytes": "Most bytes of one bot's audio that ever waited in its ring of 2 s",
}
"""Fields of `sip.counters.Counters`, and what each of them counts."""
_REFUSED = "gate_refused_"
_GAUGES = ("_active", "_high_frames", "_high_bytes")
"""How the names of those end that may fall, or are no sums."""

LAG_INTERVAL = 0.1
"""Seconds between two measurements of the loop: ten wake-ups a second cost nothing one can see."""


class SipCounters(Collector):
    """The counters of the SIP side, read when Prometheus asks."""

    def __init__(self, read: Callable[[], object]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Gauges for what is active, counters for the rest; refusals by reason."""
        counters = self._read()
        refused = CounterMetricFamily(
            "switchhook_gate_refused", "Requests the gate refused", labels=("reason",)
        )
        for name, text in SIP_COUNTERS.items():
            value = getattr(counters, name)
            if name.startswith(_REFUSED):
                refused.add_metric((name.removeprefix(_REFUSED),), value)
            elif name.endswith(_GAUGES):
                yield GaugeMetricFamily(f"switchhook_{name}", text, value)
            else:
                yield CounterMetricFamily(f"switchhook_{name}", text, value)
        yield refused

    def describe(self) -> Iterator[Metric]:
        """Nothing: the SIP side may not have started when the collector is registered."""
        return iter(())


class HopGauges(Collector):
    """Which next hops of the trunks answer OPTIONS."""

    def __init__(self, read: Callable[[], Sequence[Hop]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Those that were asked."""
        up = GaugeMetricFamily(
            "switchhook_hop_up",
            "Whether a trunk's proxy answers OPTIONS, where the trunk has `ping`",
            labels=("trunk", "hop"),
        )
        for hop in self._read():
            if hop.up is not None:
                up.add_metric((hop.trunk, hop.uri), hop.up)
        yield up

    def describe(self) -> Iterator[Metric]:
        """Nothing: the SIP side may not have started when the collector is registered."""
        return iter(())


class RecordCounters(Collector):
    """How the database keeps up."""

    def __init__(self, store: CallStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Records written, lost and waiting."""
        yield CounterMetricFamily(
            "switchhook_records_written", "Call records written", self._store.written
        )
        yield CounterMetricFamily(
            "switchhook_records_lost", "Call records given up; the log has them", self._store.lost
        )
        yield GaugeMetricFamily(
            "switchhook_records_waiting", "Call records not yet written", self._store.waiting
        )


class Metrics:
    """The gateway's metrics, in a registry of its own."""

    def __init__(
        self,
        counters: Callable[[], object],
        hops: Callable[[], Sequence[Hop]],
        store: CallStore,
        tags: Collection[str] = (),
    ) -> None:
        """
        Args:
            counters: reads those of the SIP side.
            hops: reads which next hops answer.
            store: whose records are counted.
            tags: that the flows name themselves; calls with others are counted as `other`.
        """
        # A timestamp beside every series, which nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        registry = self.registry
        ProcessCollector(registry=registry)
        registry.register(SipCounters(counters))
        registry.register(HopGauges(hops))
        registry.register(RecordCounters(store))
        calls = Counter(
            "switchhook_calls",
            "Finished calls",
            ("direction", "disposition"),
            registry=registry,
        )
        self._calls = cache(calls.labels)
        self._tags = frozenset(tags)
        self._tagged = Counter(
            "switchhook_tagged_calls",
            "Finished calls by the tags that they were handed over or ended with",
            ("tag", "disposition"),
            registry=registry,
        )
        self._active = 0
        Gauge("switchhook_calls_active", "Calls in progress", registry=registry).set_function(
            lambda: self._active
        )
        self._transfers = Counter(
            "switchhook_transfers",
            "Finished transfer attempts",
            ("method", "outcome"),
            registry=registry,
        )
        self._resumes = Counter(
            "switchhook_resumes",
            "INVITEs with a hand-back token: `resumed`, or why they were not",
            ("result",),
            registry=registry,
        )
        self._recording = Gauge(
            "switchhook_recordings_active", "Recordings being written", registry=registry
        )
        self._recordings = Counter(
            "switchhook_recordings",
            "Recordings that are over: `written`, `damaged` (audio was lost) or `failed`",
            ("result",),
            registry=registry,
        )
        setup = Histogram(
            "switchhook_setup_seconds",
            "From INVITE to 2xx, by the direction of the leg",
            ("direction",),
            buckets=SETUP_BUCKETS,
            registry=registry,
        )
        self._setup_inbound = setup.labels("inbound")
        self._setup_outbound = setup.labels("outbound")
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

        self._counters: dict[str, Callable[[Any], None]] = {
            CallStarted.name: self._call_started,
            CallFinished.name: self._call_finished,
            LegAnswered.name: self._leg_answered,
            TransferEnded.name: self._transfer_ended,
            CallResumed.name: lambda _: self._resumes.labels("resumed").inc(),
            RecordingStarted.name: lambda _: self._recording.inc(),
            RecordingStopped.name: lambda event: self._recording_over(
                "damaged" if event.lost_ms else "written"
            ),
            RecordingFailed.name: lambda _: self._recording_over("failed"),
            ResumeRefused.name: lambda event: self._resumes.labels(event.reason).inc(),
        }

    @property
    def counted(self) -> Collection[str]:
        """Names of the events that are counted."""
        return self._counters.keys()

    def __call__(self, stamped: CallEvent) -> None:
        """Count one of these events: a listener of the event bus."""
        self._counters[stamped.event.name](stamped.event)

    def _call_started(self, _: CallStarted) -> None:
        self._active += 1

    def _call_finished(self, event: CallFinished) -> None:
        self._active -= 1
        record = event.call.record
        self._calls(record.direction, record.disposition.value).inc()
        if record.attempts:
            for tag in {each if each in self._tags else OTHER_TAG for each in record.tags}:
                self._tagged.labels(tag, record.disposition.value).inc()

    def _recording_over(self, result: str) -> None:
        self._recording.dec()
        self._recordings.labels(result).inc()

    def _leg_answered(self, event: LegAnswered) -> None:
        setup = self._setup_inbound if event.leg == CALLER_LEG else self._setup_outbound
        setup.observe(event.setup_ms / 1000)

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
