"""What the service itself adds to a call's events, and the bus that hands all of them around."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

import structlog

from config.call_recordings import Sides
from gateway.records import FinishedCall
from gateway.timeline import CallEvent
from sip.events import Event

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """An admitted INVITE has found its trunk and flow."""

    name: ClassVar[str] = "call.started"
    direction: str
    trunk: str
    flow: str
    caller: str
    number: str
    """What was dialled."""
    source: str
    """`address:port` the INVITE came from."""


@dataclass(frozen=True, slots=True)
class CallResumed(Event):
    """The INVITE brought a hand-back token: the call goes on where another one left its flow."""

    name: ClassVar[str] = "call.resumed"
    call: str
    """Id of that call."""
    flow: str
    node: str


@dataclass(frozen=True, slots=True)
class ResumeRefused(Event):
    """The INVITE brought a token that is not good; the call goes where its trunk's routes lead."""

    name: ClassVar[str] = "resume.refused"
    reason: str
    """Slug: `unknown`, `expired`, `used`, `foreign_trunk`, `place_gone`, `unavailable`."""
    call: str
    """Id of the call that left with it, where that is known."""


@dataclass(frozen=True, slots=True)
class CallFailed(Event):
    """An error of ours ended the call."""

    name: ClassVar[str] = "call.failed"
    message: str


@dataclass(frozen=True, slots=True)
class RecordingStarted(Event):
    """A leg of the call is being recorded from here on."""

    name: ClassVar[str] = "recording.started"
    file: str
    leg: str
    sides: Sides


@dataclass(frozen=True, slots=True)
class RecordingPaused(Event):
    """What is said from here on is left out."""

    name: ClassVar[str] = "recording.paused"
    file: str
    leg: str


@dataclass(frozen=True, slots=True)
class RecordingResumed(Event):
    """The recording goes on."""

    name: ClassVar[str] = "recording.resumed"
    file: str
    leg: str


@dataclass(frozen=True, slots=True)
class RecordingDamaged(Event):
    """The disk was too slow: silence stands for what was lost. Told once for a recording."""

    name: ClassVar[str] = "recording.damaged"
    file: str
    leg: str
    lost_ms: int
    """So far."""


@dataclass(frozen=True, slots=True)
class RecordingStopped(Event):
    """The file is complete."""

    name: ClassVar[str] = "recording.stopped"
    file: str
    leg: str
    duration_ms: int
    lost_ms: int


@dataclass(frozen=True, slots=True)
class RecordingFailed(Event):
    """The recording is over, and its file is not complete. The call goes on."""

    name: ClassVar[str] = "recording.failed"
    file: str
    leg: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallFinished(Event):
    """The call is over and this is what it leaves. Not part of its own timeline."""

    name: ClassVar[str] = "call.finished"
    call: FinishedCall


Listener = Callable[[CallEvent], None]


class EventBus:
    """Hands every event to who wants it, at once and in order, inside this process."""

    def __init__(self) -> None:
        self._listeners: list[tuple[Listener, Collection[str] | None]] = []
        self._by_name: dict[str, list[Listener]] = {}

    def subscribe(self, listener: Listener, names: Collection[str] | None = None) -> None:
        """Call `listener` for the events of these names from now on; None: for every event.

        It must not block.
        """
        self._listeners.append((listener, names))
        self._by_name.clear()

    def publish(self, event: CallEvent) -> None:
        """Hand an event on. A listener that fails is logged and costs nobody else."""
        name = event.event.name
        listeners = self._by_name.get(name)
        if listeners is None:
            listeners = self._by_name[name] = [
                listener for listener, names in self._listeners if names is None or name in names
            ]
        for listener in listeners:
            try:
                listener(event)
            except Exception:  # it must not end a call
                log.exception("listener failed", call_id=event.call_id, name=name)
