"""What a bot session uses of the caller's leg: `sip.leg.Leg` and `sip.frame_pump.AudioPort` fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from config.media import Samples
from sip.audio import Pcm
from sip.context.received import Received
from sip.events import Event
from sip.frame_pump import PortCounters, Speech


class CallerAudio(Protocol):
    """The caller's audio at one rate, both ways."""

    samples: Samples
    """How they are written."""
    sink: Callable[[memoryview], None] | None
    """Takes one 20 ms frame of the caller; the memoryview is valid during the call only."""
    on_mark: Callable[[str, bool], None] | None
    """Told a mark's name, and whether the audio before it was played or dropped."""
    on_speech: Callable[[Speech], None] | None
    """Told in turns that the caller starts and stops to speak, once `listen` was called."""
    backlog_limit: float
    """Seconds of audio that may wait to be played."""

    @property
    def queued_seconds(self) -> float:
        """Of audio that has not been played yet."""

    @property
    def quiet_seconds(self) -> float:
        """Since the caller spoke or the bot was heard, or `listen` was called."""

    def listen(self, start_ms: int, stop_ms: int, threshold_db: float) -> None:
        """Tell `on_speech` from now on; once."""

    @property
    def counters(self) -> PortCounters:
        """Frames, losses and high-water marks so far."""

    def write(self, audio: bytes | memoryview) -> int:
        """Queue whole samples; returns how many bytes, the oldest, were dropped for it."""

    def mark(self, name: str) -> None:
        """Report through `on_mark` when what was written so far has been played."""

    def clear(self) -> None:
        """Drop what has not been played; its marks are reported as dropped."""

    def close(self) -> None:
        """Take the audio off the leg."""


class CallFacts(Protocol):
    """Who calls whom, for `start`."""

    @property
    def trunk(self) -> str:
        """Name of the trunk the call came over."""

    @property
    def from_uri(self) -> str:
        """URI of the caller's From."""

    @property
    def to_uri(self) -> str:
        """URI of the caller's To."""

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the caller's dialog."""

    @property
    def received(self) -> Received:
        """What the INVITE brought along."""


class CallerLeg(Protocol):
    """The caller's leg."""

    @property
    def id(self) -> str:
        """The call's id."""

    @property
    def label(self) -> str:
        """What the leg's own events carry as `leg`."""

    @property
    def info(self) -> CallFacts:
        """Who calls whom."""

    @property
    def held(self) -> bool:
        """Whether the caller has put us on hold."""

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Replay the leg's events so far into `listener`, then call it for each new one."""

    def open_audio(self, rate: int, samples: Samples) -> CallerAudio:
        """Take the caller's audio at 8000, 16000 or 24000 samples per second, G.711 at 8000."""

    async def play(self, audio: Pcm) -> None:
        """Play once, mixed with other audio; cancelling stops it. Raises `CallEnded`."""

    async def send_dtmf(self, digits: str) -> None:
        """Press digits towards the caller (RFC 4733). Raises `CallEnded`."""
