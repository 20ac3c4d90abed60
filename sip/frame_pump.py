"""Caller audio to bots and back, all legs in one batch per 20 ms tick (sip/native/frame_pump.c).

Audio is mono, its samples as the bot's protocol has them. Between bridge and loop stands a native
ring of two seconds each way; what a bot sends ahead of playback beyond that waits here, up to its
backlog limit.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from config.media import Samples
from sip.errors import MediaError
from sip.pjsip import native

_RECORD = struct.Struct("=IHH")  # id, bytes, Speech: struct record in frame_pump.c

# 600 bot legs at 8 kHz fill 196 800 bytes a tick; a batch that does not fit is read in turns.
_BATCH_BYTES = 256 * 1024


_FRAMES_A_SECOND = 50
_FORMATS = {Samples.PCM16: 0, Samples.PCMU: 1, Samples.PCMA: 2}
"""enum sh_samples in native.h."""


class Speech(IntEnum):
    """What begins with a frame of the caller: enum sh_speech_event in speech.h."""

    STARTED = 1
    STOPPED = 2


@dataclass(frozen=True, slots=True)
class PortCounters:
    """What one bot leg's audio went through, in 20 ms frames; `tx_bytes` of bot audio."""

    rx_frames: int = 0
    rx_dropped: int = 0
    tx_underruns: int = 0
    tx_bytes: int = 0
    tx_dropped_bytes: int = 0
    rx_high_frames: int = 0
    """Most that ever waited to be sent to the bot at once; the ring has room for 100."""
    tx_high_bytes: int = 0
    """Most that ever waited to be played at once; the ring has room for two seconds."""

    def __add__(self, other: PortCounters) -> PortCounters:
        return PortCounters(
            self.rx_frames + other.rx_frames,
            self.rx_dropped + other.rx_dropped,
            self.tx_underruns + other.tx_underruns,
            self.tx_bytes + other.tx_bytes,
            self.tx_dropped_bytes + other.tx_dropped_bytes,
            max(self.rx_high_frames, other.rx_high_frames),
            max(self.tx_high_bytes, other.tx_high_bytes),
        )


class AudioPort:
    """One leg's audio as a bot session sees it. Made by `Leg.open_audio`."""

    def __init__(self, pump: FramePump, rate: int, samples: Samples) -> None:
        self._pump = pump
        self.rate = rate
        self.samples = samples
        self._width = samples.width
        self.frame_bytes = rate // _FRAMES_A_SECOND * self._width
        self.sink: Callable[[memoryview], None] | None = None
        """Called with each 20 ms frame of the caller; the view is valid during the call only."""
        self.on_mark: Callable[[str, bool], None] | None = None
        """Called with a mark's name: True when its audio was played, False when it was cleared."""
        self.on_speech: Callable[[Speech], None] | None = None
        """Called when the caller starts and stops to speak, in turns, once `listen` was called."""
        self.backlog_limit = 30.0
        """Seconds of bot audio that may wait for playback."""
        self.on_close: Callable[[], None] | None = None
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._dropped = 0
        self._marks: deque[tuple[int, str]] = deque()
        """(bytes played at which the mark is reached, name), in order."""
        self._last = PortCounters()
        self.id, self.slot = native.pump_open(rate, _FORMATS[samples])
        self._open = True

    @property
    def queued_seconds(self) -> float:
        """Bot audio that has not been played yet."""
        written, played, *_ = self._state()
        return (self._backlog_bytes + written - played) / (self._width * self.rate)

    @property
    def counters(self) -> PortCounters:
        """Frames and losses so far; after `close`, the last known."""
        if self._open:
            written, _, heard, dropped, underruns, rx_high, tx_high = self._state()
            self._last = PortCounters(
                heard, dropped, underruns, written, self._dropped, rx_high, tx_high
            )
        return self._last

    def listen(self, start_ms: int, stop_ms: int, threshold_db: float) -> None:
        """Tell `on_speech` from now on. Once for each port.

        Args:
            start_ms: of voice until it counts as speech.
            stop_ms: without voice until speech counts as over.
            threshold_db: by how much a voice must stand out of the line's noise.
        """
        if self._open:
            native.pump_listen(self.id, start_ms, stop_ms, threshold_db)

    @property
    def quiet_seconds(self) -> float:
        """Since the caller spoke or the bot was heard, or `listen` was called."""
        return native.pump_quiet(self.id) / _FRAMES_A_SECOND if self._open else 0.0

    def write(self, audio: bytes | memoryview) -> int:
        """Queue whole samples for the caller.

        Returns:
            Bytes of older audio that were dropped because the backlog limit was passed.

        Raises:
            ValueError: an odd number of bytes.
        """
        if len(audio) % self._width:
            raise ValueError(f"{len(audio)} bytes are not whole PCM16 samples")
        if not self._open:
            return 0
        if not self._backlog:
            taken = native.pump_write(self.id, audio)
            if taken == len(audio):
                return 0
            audio = audio[taken:]
        self._backlog.append(bytes(audio))
        self._backlog_bytes += len(audio)
        self._pump.wake(self)
        return self._drop_beyond_limit()

    def mark(self, name: str) -> None:
        """Call `on_mark` when all that was written so far has been played."""
        written, *_ = self._state()
        self._marks.append((written + self._backlog_bytes, name))
        self._pump.wake(self)

    def clear(self) -> None:
        """Drop what has not been played; marks that wait for it are reported as cleared."""
        if not self._open:
            return
        native.pump_clear(self.id)
        self._backlog.clear()
        self._backlog_bytes = 0
        marks, self._marks = self._marks, deque()
        for _, name in marks:
            self._report(name, played=False)

    def close(self) -> None:
        """Leave the bridge. Marks that still wait are reported as cleared."""
        if not self._open:
            return
        self.clear()
        self._last = self.counters
        self._open = False
        self._pump.forget(self)
        native.pump_close(self.id)
        if self.on_close:
            self.on_close()
            self.on_close = None

    def feed(self) -> bool:
        """Refill the ring and report marks that were reached; whether anything still waits."""
        while self._backlog:
            block = self._backlog[0]
            taken = native.pump_write(self.id, block)
            self._backlog_bytes -= taken
            if taken < len(block):
                self._backlog[0] = block[taken:]
                break
            self._backlog.popleft()
        _, played, *_ = self._state()
        while self._marks and self._marks[0][0] <= played:
            self._report(self._marks.popleft()[1], played=True)
        return self._open and bool(self._backlog or self._marks)

    def _drop_beyond_limit(self) -> int:
        limit = int(self.backlog_limit * self.rate) * self._width
        dropped = 0
        while self._backlog_bytes > limit:
            block = self._backlog.popleft()
            self._backlog_bytes -= len(block)
            dropped += len(block)
        if dropped:
            self._dropped += dropped
            ring_end, *_ = self._state()
            self._marks = deque(
                (max(ring_end, at - dropped) if at > ring_end else at, name)
                for at, name in self._marks
            )
        return dropped

    def _report(self, name: str, *, played: bool) -> None:
        if self.on_mark:
            self.on_mark(name, played)

    def _state(self) -> tuple[int, int, int, int, int, int, int]:
        return native.pump_state(self.id) or (0, 0, 0, 0, 0, 0, 0)


class FramePump:
    """All audio ports, moved once per tick of the media clock."""

    def __init__(self) -> None:
        self._ports: dict[int, AudioPort] = {}
        self._waiting: set[AudioPort] = set()
        self._batch = bytearray(_BATCH_BYTES)
        self._view = memoryview(self._batch)
        self._closed = PortCounters()

    def open(self, rate: int, samples: Samples = Samples.PCM16) -> AudioPort:
        """A new port on the bridge at 8000, 16000 or 24000 Hz, G.711 at 8000.

        Raises:
            MediaError: none is left.
        """
        try:
            port = AudioPort(self, rate, samples)
        except OSError as error:
            raise MediaError(str(error)) from error
        self._ports[port.id] = port
        return port

    def forget(self, port: AudioPort) -> None:
        """The port is closing: keep its counters in the sum."""
        self._waiting.discard(port)
        if self._ports.pop(port.id, None) is not None:
            self._closed += port.counters

    def wake(self, port: AudioPort) -> None:
        """This port has a backlog or a mark to look after at each tick."""
        self._waiting.add(port)

    @property
    def open_ports(self) -> int:
        """Ports on the bridge now."""
        return len(self._ports)

    @property
    def counters(self) -> PortCounters:
        """The sum over all ports that ever were."""
        return sum((port.counters for port in self._ports.values()), self._closed)

    def tick(self) -> None:
        """Hand every frame the callers spoke to its sink; move what the bots said on."""
        while filled := native.pump_read(self._batch):
            self._deliver(filled)
            if filled < _BATCH_BYTES - 2048:
                break
        for port in list(self._waiting):
            if not port.feed():
                self._waiting.discard(port)

    def _deliver(self, filled: int) -> None:
        at, view, ports = 0, self._view, self._ports
        while at < filled:
            port_id, size, speech = _RECORD.unpack_from(view, at)
            at += _RECORD.size
            port = ports.get(port_id)
            if speech and port is not None and port.on_speech is not None:
                port.on_speech(Speech(speech))
            if port is not None and port.sink is not None:
                port.sink(view[at : at + size])
            at += size
