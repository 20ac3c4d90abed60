"""What happened in one call, in order: each event with its offset since the INVITE."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import to_jsonable_python

from sip.events import Event

FIRST_EVENTS = 800
LAST_EVENTS = 200
"""A usual call has 15 to 60 events. A call that loops, or that a peer floods with re-INVITEs, keeps
its beginning and its end; at 8 KB a message (the gate's limit) that is 8 MB at most."""


class CallEvent(NamedTuple):
    """An event with its place in a call."""

    call_id: str
    offset_ms: int
    """Milliseconds since the call began, by the monotonic clock."""
    at: float
    """POSIX seconds: when the call began, plus the offset; so it never goes back."""
    event: Event

    def as_dict(self) -> dict[str, object]:
        """Flat, for JSON: `name`, `offset_ms`, `at` (ISO 8601, UTC), and the event's fields."""
        return flat(self.event.name, self.offset_ms, self.at, to_jsonable_python(self.event))


def flat(name: str, offset_ms: int, at: float, fields: dict[str, object]) -> dict[str, object]:
    """One row of a timeline, as the API and the command line show it."""
    return {"name": name, "offset_ms": offset_ms, "at": iso(at), **fields}


def iso(at: float) -> str:
    """POSIX seconds as ISO 8601 in UTC with milliseconds."""
    seconds, milliseconds = divmod(int(at * 1000), 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=64)  # what happens in one second is written with many times of that second
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().removesuffix("+00:00")


class Timeline:
    """Stamps the events of one call, keeps them, and passes them on."""

    def __init__(
        self,
        call_id: str,
        publish: Callable[[CallEvent], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.call_id = call_id
        self.started_at = wall()
        self._publish = publish
        self._monotonic = monotonic
        self._start = monotonic()
        self._first: list[CallEvent] = []
        self._last: deque[CallEvent] = deque(maxlen=LAST_EVENTS)
        self.dropped = 0
        """How many events from the middle of the call were not kept."""

    def stamp(self, event: Event) -> CallEvent:
        """Give an event its place in the call, without keeping it."""
        offset = self._monotonic() - self._start
        return CallEvent(self.call_id, round(offset * 1000), self.started_at + offset, event)

    def record(self, event: Event) -> None:
        """Stamp an event, keep it, and publish it."""
        stamped = self.stamp(event)
        if len(self._first) < FIRST_EVENTS:
            self._first.append(stamped)
        else:
            self.dropped += len(self._last) == LAST_EVENTS
            self._last.append(stamped)
        self._publish(stamped)

    @property
    def events(self) -> list[CallEvent]:
        """What was kept, in order."""
        return [*self._first, *self._last]

    def now(self) -> float:
        """POSIX seconds on the call's own clock."""
        return self.started_at + self._monotonic() - self._start
