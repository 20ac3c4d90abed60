"""The bus hands each event to whom it concerns, and no listener can hurt a call."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from gateway.events import EventBus
from gateway.timeline import CallEvent, Timeline
from sip.events import DtmfReceived, Event, LegAnswered

DIGIT = DtmfReceived("caller", "1", 100, "rtp")
ANSWER = LegAnswered("caller", 5)


class Heard:
    """A listener that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, stamped: CallEvent) -> None:
        self.events.append(stamped.event)


@pytest.fixture
def bus() -> EventBus:
    return EventBus()


@pytest.fixture
def timeline(bus: EventBus) -> Timeline:
    return Timeline("c1", bus.publish)


@pytest.mark.parametrize("first", ["all", "some"])
def test_a_listener_hears_the_names_it_asked_for(
    bus: EventBus, timeline: Timeline, first: str
) -> None:
    everything, answers = Heard(), Heard()
    if first == "all":
        bus.subscribe(everything)
    bus.subscribe(answers, [LegAnswered.name])
    if first == "some":
        bus.subscribe(everything)
    timeline.record(DIGIT)
    timeline.record(ANSWER)
    assert everything.events == [DIGIT, ANSWER]
    assert answers.events == [ANSWER]


def test_a_listener_that_fails_is_logged_and_costs_nobody_else(
    bus: EventBus, timeline: Timeline
) -> None:
    def broken(_: CallEvent) -> None:
        raise RuntimeError("metrics are down")

    heard = Heard()
    bus.subscribe(broken)
    bus.subscribe(heard)
    with capture_logs() as logged:
        timeline.record(DIGIT)
    assert heard.events == [DIGIT]
    assert timeline.events[0].event == DIGIT
    [line] = logged
    assert (line["event"], line["call_id"]) == ("listener failed", "c1")
    assert line["exc_info"]
