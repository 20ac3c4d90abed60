"""The recordings of one call: ordered by its flow or an operator, one at a time, each with its end.

    idle ── start ──▶ running ◀── pause, resume ──▶ paused
      ▲                  │ stop, the end of the call, a failure
      └──────────────────┘

Whatever happens to a recording, the call goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from config.call_recordings import RecordAction
from gateway.events import (
    RecordingDamaged,
    RecordingFailed,
    RecordingPaused,
    RecordingResumed,
    RecordingStarted,
    RecordingStopped,
)
from gateway.recording.file import file_name
from gateway.recording.tape import Source, Tape, TapeWriter
from gateway.records import Pause, Recording
from sip.errors import CallEnded, MediaError
from sip.events import Event

FRAME_MS = 20

FINISH_LIMIT = 1.5
"""Seconds that the end of a call waits for its files. A disk that takes longer is told of as a
failure in the record; the file may still be completed later."""


class Recorder(Source, Protocol):
    """What a leg is recorded by: `sip.recorder.Recorder`."""

    @property
    def frames(self) -> int:
        """Frames of 20 ms recorded so far, without those of pauses."""

    def pause(self) -> None:
        """Keep nothing."""

    def resume(self) -> None:
        """Keep again."""

    def leave(self) -> None:
        """Hear no more; what was kept can still be read."""

    def close(self) -> None:
        """Forget what was kept."""


@dataclass(slots=True)
class Place:
    """Where recordings go, and who writes them."""

    folder: Path
    format: str
    """`wav` or `opus`."""
    writer: TapeWriter = field(default_factory=TapeWriter)


@dataclass(slots=True)
class _Running:
    recorder: Recorder
    tape: Tape
    file: PurePosixPath
    format: str
    began_ms: int
    over: asyncio.Future[None]
    paused_at: tuple[int, int] | None = None
    """(milliseconds in the call, milliseconds in the file)."""
    pauses: list[Pause] = field(default_factory=list)
    stopping: bool = False


class CallRecordings:
    """Records one call; satisfies `ivr.ports.Recording`.

    Args:
        call_id: names the files.
        record: begins to record the caller's leg. Raises `CallEnded`, `MediaError`.
        place: None: nothing is recorded, whoever asks.
        emit: takes the events.
        now: POSIX seconds on the call's clock.
    """

    def __init__(
        self,
        call_id: str,
        record: Callable[[], Recorder],
        place: Place | None,
        emit: Callable[[Event], None],
        now: Callable[[], float],
    ) -> None:
        self._call_id = call_id
        self._record = record
        self._place = place
        self._emit = emit
        self._now = now
        self._began = now()
        self._running: _Running | None = None
        self._unfinished: list[_Running] = []
        self._made = 0
        self.finished: list[Recording] = []
        """What became of those that are over."""

    @property
    def active(self) -> bool:
        """Whether a recording runs, paused or not."""
        return self._running is not None

    def act(self, action: RecordAction) -> str | None:
        """Do it at once. Returns why that cannot be, if it cannot; then nothing has changed."""
        running = self._running
        if action is RecordAction.START:
            return "a recording is running" if running else self._start()
        if running is None:
            return "nothing is being recorded"
        match action:
            case RecordAction.PAUSE if running.paused_at is None:
                running.recorder.pause()
                running.paused_at = self._offset_ms(), running.recorder.frames * FRAME_MS
                self._emit(RecordingPaused(str(running.file)))
            case RecordAction.RESUME if running.paused_at is not None:
                running.recorder.resume()
                self._end_pause(running)
                self._emit(RecordingResumed(str(running.file)))
            case RecordAction.STOP:
                self._stop(running)
        return None

    async def finish(self) -> None:
        """The call is over: end what runs, and wait for the files, for a while."""
        if self._running is not None:
            self._stop(self._running)
        try:
            if self._unfinished:
                ends = [running.over for running in self._unfinished]
                await asyncio.wait(ends, timeout=FINISH_LIMIT)
        finally:
            for running in list(self._unfinished):
                self._conclude(running, f"the disk did not take it within {FINISH_LIMIT} s")

    def _start(self) -> str | None:
        place = self._place
        if place is None:
            return "recordings are not made here"
        try:
            recorder = self._record()
        except (CallEnded, MediaError) as error:
            return str(error)
        self._made += 1
        file = file_name(self._call_id, self._made, self._now(), place.format)
        tape = Tape(
            recorder,
            place.folder / file,
            place.format,
            damaged=lambda: self._damaged(running),
            over=lambda failed: self._over(running, failed),
        )
        over = asyncio.get_running_loop().create_future()
        running = _Running(recorder, tape, file, place.format, self._offset_ms(), over)
        self._running = running
        self._unfinished.append(running)
        self._emit(RecordingStarted(str(file)))
        place.writer.add(tape)
        return None

    def _stop(self, running: _Running) -> None:
        self._running = None
        self._end_pause(running)
        running.recorder.leave()
        running.tape.end()

    def _damaged(self, running: _Running) -> None:
        if running in self._unfinished:
            self._emit(RecordingDamaged(str(running.file), running.recorder.lost * FRAME_MS))

    def _over(self, running: _Running, failed: str) -> None:
        """The thread has let go of the recorder."""
        if running in self._unfinished:
            self._conclude(running, failed)
        running.recorder.close()

    def _conclude(self, running: _Running, failed: str) -> None:
        """The one end that each recording has."""
        if self._running is running:  # failed while the call goes on
            self._stop(running)
        self._unfinished.remove(running)
        recording = Recording(
            file=str(running.file),
            format=running.format,
            began_ms=running.began_ms,
            duration_ms=running.recorder.frames * FRAME_MS,
            pauses=tuple(running.pauses),
            lost_ms=running.recorder.lost * FRAME_MS,
            failed=failed,
        )
        self.finished.append(recording)
        if failed:
            self._emit(RecordingFailed(recording.file, failed))
        else:
            self._emit(RecordingStopped(recording.file, recording.duration_ms, recording.lost_ms))
        running.over.set_result(None)

    def _end_pause(self, running: _Running) -> None:
        if running.paused_at is None:
            return
        (begin, at), running.paused_at = running.paused_at, None
        running.pauses.append(Pause(begin, self._offset_ms(), at))

    def _offset_ms(self) -> int:
        return round((self._now() - self._began) * 1000)
