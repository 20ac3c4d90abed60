"""Events get their place in the call, in order, and a call cannot fill the memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from gateway.timeline import FIRST_EVENTS, LAST_EVENTS, CallEvent, Timeline
from sip.events import DtmfReceived, LegEnded, MediaQuality, TransferEnded
from sip.outcome import Side
from tests.unit.gateway.scene import ATTEMPT, STARTED


@pytest.fixture
def seen() -> list[CallEvent]:
    return []


@pytest.fixture
def timeline(seen: list[CallEvent]) -> Timeline:
    clock: Iterator[float] = count(50.0, 0.25)
    return Timeline("c1", seen.append, monotonic=lambda: next(clock), wall=lambda: STARTED)


def digit(key: str) -> DtmfReceived:
    return DtmfReceived("caller", key, 100, "rtp")


def test_an_event_is_stamped_with_call_offset_and_wall_time(
    timeline: Timeline, seen: list[CallEvent]
) -> None:
    timeline.record(digit("1"))
    timeline.record(digit("2"))
    assert [(e.call_id, e.offset_ms, e.at) for e in seen] == [
        ("c1", 250, STARTED + 0.25),
        ("c1", 500, STARTED + 0.5),
    ]
    assert timeline.events == seen


def test_a_wall_clock_that_is_set_back_does_not_reorder_the_call() -> None:
    monotonic, wall = iter((1.0, 2.0, 3.0)), iter((STARTED, STARTED - 3600))
    timeline = Timeline(
        "c1", lambda _: None, monotonic=lambda: next(monotonic), wall=lambda: next(wall)
    )
    timeline.record(digit("1"))
    timeline.record(digit("2"))
    assert [event.at for event in timeline.events] == [STARTED + 1, STARTED + 2]


def test_as_dict_is_flat_and_plain(timeline: Timeline) -> None:
    timeline.record(LegEnded("caller", 200, "OK", Side.CALLER, MediaQuality(codec="PCMA/8000")))
    row = timeline.events[0].as_dict()
    media = row.pop("media")
    assert row == {
        "name": "leg.ended",
        "offset_ms": 250,
        "at": "2026-09-21T14:13:20.250Z",
        "leg": "caller",
        "code": 200,
        "reason": "OK",
        "by": "caller",
    }
    assert isinstance(media, dict)
    assert media["codec"] == "PCMA/8000"
    assert type(row["by"]) is str


def test_nested_evidence_is_plain_too(timeline: Timeline) -> None:
    timeline.record(TransferEnded(ATTEMPT))
    attempt = timeline.events[0].as_dict()["attempt"]
    assert isinstance(attempt, dict)
    assert attempt["outcome"] == "busy"
    assert attempt["steps"][1] == {"at_ms": 9, "what": "notify", "code": 486, "detail": ""}


def test_a_very_long_call_keeps_its_beginning_and_its_end() -> None:
    timeline = Timeline("c1", lambda _: None)
    for number in range(5000):
        timeline.record(digit(str(number)))
    kept = [event.event.digit for event in timeline.events if isinstance(event.event, DtmfReceived)]
    assert len(kept) == FIRST_EVENTS + LAST_EVENTS
    assert kept[:2] == ["0", "1"]
    assert kept[-1] == "4999"
    assert timeline.dropped == 4000


def test_a_call_of_exactly_the_limit_loses_nothing() -> None:
    timeline = Timeline("c1", lambda _: None)
    for number in range(FIRST_EVENTS + LAST_EVENTS):
        timeline.record(digit(str(number)))
    assert timeline.dropped == 0
