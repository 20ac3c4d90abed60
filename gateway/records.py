"""The record that a finished call leaves behind, and the form its timeline is stored in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from config.call_recordings import Consent, Sides
from gateway.encoding import encode
from gateway.timeline import CallEvent, flat
from ivr.disposition import Disposition
from ivr.result import EndReason
from sip.events import MediaQuality
from sip.outcome import Attempt


@dataclass(frozen=True, slots=True)
class Pause:
    """Time that a recording leaves out."""

    from_ms: int
    """In the call, since its INVITE."""
    until_ms: int
    file_ms: int
    """Where in the file the time is missing."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of a call."""

    file: str
    """In the folder of the recordings: `2026-08-01/9f3c0a7be21d4458-1.wav`."""
    format: str
    """`wav` or `opus`."""
    leg: str
    """Whose: `caller`, `agent-1` …"""
    sides: Sides
    """What of it: `both` is stereo, left what the party said, right what it heard; `said` and
    `heard` are mono."""
    began_ms: int
    """In the call, since its INVITE."""
    duration_ms: int
    """Without the pauses."""
    pauses: tuple[Pause, ...] = ()
    lost_ms: int = 0
    """Silence in it that stands for audio which the disk did not take in time."""
    failed: str = ""
    """Why the file is not complete; empty: it is."""
    consent: Consent = Consent.UNKNOWN
    """What the caller had said to it by the end of the call."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Who called, what happened, and how it ended. Times are POSIX seconds."""

    id: str
    direction: str
    """`inbound`: the call came from a trunk."""
    trunk: str
    caller: str
    """User part of From."""
    number: str
    """What was dialled: user part of the request URI."""
    sip_call_id: str
    started_at: float
    answered_at: float | None
    """None: the call ended unanswered."""
    ended_at: float
    flow: str
    path: tuple[str, ...]
    """Names of the nodes, in the order they were entered."""
    disposition: Disposition
    end: EndReason
    message: str
    """What went wrong, where something did."""
    attempts: tuple[Attempt, ...]
    media: Mapping[str, MediaQuality]
    """What the RTP of each leg was like, by leg: `caller`, `agent-1` …"""
    events_dropped: int = 0
    """Events in the middle of a very long timeline that were not kept."""
    resumed_from: str = ""
    """Id of the call whose hand-back token this one brought back; empty: none."""
    tags: tuple[str, ...] = ()
    """What the call was filed under by those who handed it over, or ended it, each once."""
    recordings: tuple[Recording, ...] = ()
    """Those that were begun, in order."""

    @property
    def duration(self) -> float:
        """Seconds from INVITE to the end."""
        return self.ended_at - self.started_at


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """A record together with its timeline."""

    record: CallRecord
    events: bytes
    """JSON: `[[name, offset_ms, {fields}], …]`."""

    def timeline(self) -> list[dict[str, object]]:
        """The events as `CallEvent.as_dict` gives them."""
        start = self.record.started_at
        return [
            flat(name, offset_ms, start + offset_ms / 1000, fields)
            for name, offset_ms, fields in orjson.loads(self.events)
        ]


def encode_events(events: Sequence[CallEvent]) -> bytes:
    """A timeline as `FinishedCall.events` holds it."""
    return encode([(stamped.event.name, stamped.offset_ms, stamped.event) for stamped in events])
