"""A call by its id, in progress or finished, and its timeline."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from gateway.api.models import CallDetail, ended_call, live_call, timeline_events
from gateway.api.problems import Problem
from gateway.api.service import Service
from gateway.call import CallSession
from gateway.records import FinishedCall
from gateway.store import AmbiguousId


async def find(service: Service, call_id: str) -> CallSession | FinishedCall:
    """The call with this id. Raises `Problem` 404."""
    if session := service.calls.get(call_id):
        return session
    try:
        finished = await service.store.fetch(call_id)
    except AmbiguousId:  # it is the beginning of several
        finished = None
    if finished is None or finished.record.id != call_id:
        raise Problem(HTTPStatus.NOT_FOUND, "unknown-call", f"no call has the id {call_id!r}")
    return finished


def detail(call: CallSession | FinishedCall) -> Callable[[], CallDetail]:
    """The call as it stands now, to be put together in another thread: a thousand events take
    20 ms."""
    facts = ended_call(call.record) if isinstance(call, FinishedCall) else live_call(call)
    timeline = rows(call)
    return lambda: CallDetail(call=facts, timeline=timeline_events(timeline()))


def rows(call: CallSession | FinishedCall) -> Callable[[], list[dict[str, object]]]:
    """The call's timeline up to now, to be made ready for JSON in another thread."""
    if isinstance(call, FinishedCall):
        return call.timeline
    events = call.timeline.events
    return lambda: [stamped.as_dict() for stamped in events]
