"""A caller's leg and its audio in memory: the test plays the clock and the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from config.media import Samples
from sip.audio import Pcm
from sip.context.received import Received
from sip.events import Event
from sip.frame_pump import PortCounters, Speech


@dataclass
class AudioTwin:
    """`sip.frame_pump.AudioPort` without a pump: `hear` and `play` move the audio."""

    rate: int
    samples: Samples = Samples.PCM16
    counters: PortCounters = field(default_factory=PortCounters)
    sink: Callable[[memoryview], None] | None = None
    on_mark: Callable[[str, bool], None] | None = None
    on_speech: Callable[[Speech], None] | None = None
    backlog_limit: float = 2.0
    queue: bytearray = field(default_factory=bytearray)
    marks: list[tuple[int, str]] = field(default_factory=list)
    written: int = 0
    """Bytes that the bot has ever queued."""
    clears: int = 0
    closed: bool = False
    listens: tuple[int, int, float] | None = None
    quiet_seconds: float = 0.0

    @property
    def queued_seconds(self) -> float:
        return len(self.queue) / (2 * self.rate)

    def listen(self, start_ms: int, stop_ms: int, threshold_db: float) -> None:
        assert self.listens is None, "once"
        self.listens = (start_ms, stop_ms, threshold_db)

    def write(self, pcm: bytes | memoryview) -> int:
        self.queue += pcm
        self.written += len(pcm)
        excess = max(0, len(self.queue) - int(self.backlog_limit * self.rate * 2))
        del self.queue[:excess]
        return excess

    def mark(self, name: str) -> None:
        self.marks.append((self.written, name))

    def clear(self) -> None:
        self.queue.clear()
        self.clears += 1
        self._reach(self.written, played=False)

    def close(self) -> None:
        self.closed = True

    def hear(self, frame: bytes) -> None:
        """The caller says something."""
        if self.sink is not None:
            self.sink(memoryview(frame))

    def play(self, count: int) -> None:
        """The clock takes `count` bytes."""
        del self.queue[:count]
        self._reach(self.written - len(self.queue), played=True)

    def _reach(self, position: int, *, played: bool) -> None:
        reached = [name for at, name in self.marks if at <= position]
        self.marks = [(at, name) for at, name in self.marks if at > position]
        for name in reached:
            if self.on_mark is not None:
                self.on_mark(name, played)


@dataclass(frozen=True)
class FactsTwin:
    trunk: str = "carrier"
    from_uri: str = "sip:alice@127.0.0.2"
    to_uri: str = "sip:100@127.0.0.1"
    sip_call_id: str = "abc@127.0.0.2"
    received: Received = field(default_factory=lambda: Received({"X-Tenant": "7"}))


class LegTwin:
    """The caller's leg: the test emits its events, and sees what was asked of it."""

    id = "00c0ffee00c0ffee"
    label = "caller"

    def __init__(self) -> None:
        self.info = FactsTwin()
        self.held = False
        self.audio: list[AudioTwin] = []
        self.playing: list[Pcm] = []
        """What the caller hears now, besides the bot."""
        self.played = asyncio.Event()
        """Set once anything has been played."""
        self.digits: list[str] = []
        self.digits_sent = asyncio.Event()
        self.digits_sent.set()
        self._past: list[Event] = []
        self._listeners: list[Callable[[Event], None]] = []

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        for event in self._past:
            listener(event)
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        self._past.append(event)
        for listener in self._listeners:
            listener(event)

    def open_audio(self, rate: int, samples: Samples) -> AudioTwin:
        self.audio.append(AudioTwin(rate, samples))
        return self.audio[-1]

    async def play(self, audio: Pcm) -> None:
        self.playing.append(audio)
        self.played.set()
        try:
            await asyncio.Event().wait()  # until it is cancelled
        finally:
            self.playing.remove(audio)

    async def send_dtmf(self, digits: str) -> None:
        self.digits.append(digits)
        await self.digits_sent.wait()
