"""What Prometheus reads: counted by closed lists, nothing invented, nothing unbounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.database import default_url
from gateway.events import CallFinished, CallStarted
from gateway.metrics import SIP_COUNTERS, Metrics
from gateway.store import CallStore
from gateway.timeline import Timeline
from ivr.disposition import Disposition
from sip.counters import Counters
from sip.events import LegAnswered, TransferEnded
from sip.outcome import Method, Outcome
from sip.pings import HopState
from tests.unit.gateway.scene import ATTEMPT, DEADLINE, finished_call

HOPS = [
    HopState("carrier", "sip:10.0.0.1", up=True, code=200, reason="OK"),
    HopState("carrier", "sip:10.0.0.2", up=False, reason="no answer in 4 s"),
    HopState("carrier", "sip:10.0.0.3"),
]

DOCUMENT = Path(__file__).parents[3] / "docs" / "operations.md"


@pytest.fixture
async def metrics(tmp_path: Path) -> AsyncIterator[Metrics]:
    store = CallStore(default_url(tmp_path))
    counters = Counters(*range(1, len(fields(Counters)) + 1))
    yield Metrics(lambda: counters, lambda: HOPS, store, tags={"refund"})
    await store.close()


@pytest.fixture
def timeline(metrics: Metrics) -> Timeline:
    return Timeline("c1", metrics)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def started() -> CallStarted:
    return CallStarted("inbound", "carrier", "main", "+4930123", "1000", "192.0.2.5:5060")


def test_hops_are_up_or_down_once_they_were_asked(metrics: Metrics) -> None:
    found = [
        value(metrics, "switchhook_hop_up", trunk="carrier", hop=f"sip:10.0.0.{at}")
        for at in (1, 2, 3)
    ]
    assert found == [1, 0, None]


def test_calls_are_counted_by_direction_and_disposition(
    metrics: Metrics, timeline: Timeline
) -> None:
    timeline.record(started())
    timeline.record(started())
    assert value(metrics, "switchhook_calls_active") == 2
    metrics(timeline.stamp(CallFinished(finished_call(disposition=Disposition.CONTAINED))))
    assert value(metrics, "switchhook_calls_active") == 1
    assert (
        value(metrics, "switchhook_calls_total", direction="inbound", disposition="contained") == 1
    )


def test_calls_are_counted_by_the_tags_that_flows_name(
    metrics: Metrics, timeline: Timeline
) -> None:
    """Whatever a bot or a caller comes up with is one label, `other`."""
    for tags in (("refund", "from-a-bot"), ("another", "third")):
        metrics(timeline.stamp(CallFinished(finished_call(tags=tags))))
    for tag, count in (("refund", 1), ("other", 2)):
        labels = {"tag": tag, "disposition": "failed"}
        assert value(metrics, "switchhook_tagged_calls_total", **labels) == count
    assert (
        value(metrics, "switchhook_tagged_calls_total", tag="third", disposition="failed") is None
    )


def test_transfers_are_counted_by_method_and_outcome_with_their_time(
    metrics: Metrics, timeline: Timeline
) -> None:
    timeline.record(TransferEnded(ATTEMPT))
    timeline.record(
        TransferEnded(replace(ATTEMPT, method=Method.INVITE, outcome=Outcome.CONNECTED))
    )
    assert value(metrics, "switchhook_transfers_total", method="refer", outcome="busy") == 1
    assert value(metrics, "switchhook_transfers_total", method="invite", outcome="connected") == 1
    total = value(metrics, "switchhook_transfer_verdict_seconds_sum", method="refer")
    assert total == pytest.approx(1.234)


def test_setup_time_is_kept_by_the_direction_of_the_leg(
    metrics: Metrics, timeline: Timeline
) -> None:
    timeline.record(LegAnswered("caller", 12))
    timeline.record(LegAnswered("agent-1", 5000))
    for direction, seconds in {"inbound": 0.012, "outbound": 5.0}.items():
        total = value(metrics, "switchhook_setup_seconds_sum", direction=direction)
        assert total == pytest.approx(seconds)


def test_every_counter_of_the_sip_side_is_exposed(metrics: Metrics) -> None:
    names = [field.name for field in fields(Counters)]
    assert set(SIP_COUNTERS) == set(names)
    counted = {name: place for place, name in enumerate(names, start=1)}
    assert value(metrics, "switchhook_legs_active") == counted["legs_active"]
    assert value(metrics, "switchhook_gate_admitted_total") == counted["gate_admitted"]
    refused = value(metrics, "switchhook_gate_refused_total", reason="source")
    assert refused == counted["gate_refused_source"]
    assert value(metrics, "switchhook_pump_rx_frames_total") == counted["pump_rx_frames"]


def test_records_are_exposed(metrics: Metrics) -> None:
    for name in ("written_total", "lost_total", "waiting"):
        assert value(metrics, f"switchhook_records_{name}") == 0


async def test_the_loops_lag_is_measured(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(metrics._lag, "observe", measured.set_result)
    watch = asyncio.create_task(metrics.watch_loop())
    async with asyncio.timeout(DEADLINE):
        assert await measured >= 0
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


def test_the_exposition_can_be_parsed_and_is_documented(
    metrics: Metrics, timeline: Timeline
) -> None:
    timeline.record(TransferEnded(ATTEMPT))
    timeline.record(LegAnswered("caller", 12))
    metrics(timeline.stamp(CallFinished(finished_call())))
    families = list(text_string_to_metric_families(metrics.expose().decode()))
    names = {family.name for family in families if family.name.startswith("switchhook_")}
    document = DOCUMENT.read_text()
    missing = {name for name in names if f"`{name}" not in document}
    assert len(names) > 20
    assert not missing


def test_no_label_has_more_values_than_its_enum(metrics: Metrics, timeline: Timeline) -> None:
    for outcome in Outcome:
        for method in Method:
            timeline.record(TransferEnded(replace(ATTEMPT, method=method, outcome=outcome)))
    for disposition in Disposition:
        metrics(timeline.stamp(CallFinished(finished_call(disposition=disposition))))
    series = [sample for family in metrics.registry.collect() for sample in family.samples]
    named = {frozenset(sample.labels.items()) for sample in series}
    allowed = {"direction", "disposition", "method", "outcome", "reason", "le", "trunk", "hop"}
    assert {name for labels in named for name, _ in labels} <= allowed
    assert len(series) < 300
