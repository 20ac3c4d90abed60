"""One recording of one leg, from its start to the one end that it has.

running ◀── pause, resume ──▶ paused
   └──────── stop, a failure ───┴──▶ over, once the file is complete or given up
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from config.call_recordings import Sides
from gateway.events import (
    RecordingDamaged,
    RecordingFailed,
    RecordingPaused,
    RecordingResumed,
    RecordingStarted,
    RecordingStopped,
)
from gateway.recording.tape import Source, Tape, TapeWriter
from gateway.records import Pause, Recording
from sip.events import Event

FRAME_MS = 20


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


class LegRecording:
    """Records one leg.

    Args:
        leg: its label.
        sides: what of it is kept.
        recorder: what hears it.
        place: where the file goes, and who writes it.
        file: its name there.
        emit: takes the events.
        offset_ms: milliseconds since the call began.
        over: told once that the file is complete, or that it was given up.
    """

    def __init__(
        self,
        leg: str,
        sides: Sides,
        recorder: Recorder,
        *,
        place: Place,
        file: PurePosixPath,
        emit: Callable[[Event], None],
        offset_ms: Callable[[], int],
        over: Callable[[LegRecording], None],
    ) -> None:
        self.leg = leg
        self.made: Recording | None = None
        """What became of it; None: it is not over."""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sides = sides
        self._recorder = recorder
        self._file = file
        self._format = place.format
        self._emit = emit
        self._offset_ms = offset_ms
        self._tell_over = over
        self._began_ms = offset_ms()
        self._paused_at: tuple[int, int] | None = None
        """(milliseconds in the call, milliseconds in the file)."""
        self._pauses: list[Pause] = []
        self._stopped = False
        self._tape = Tape(
            recorder,
            place.folder / file,
            place.format,
            sides,
            damaged=self._damaged,
            over=self._let_go,
        )
        emit(RecordingStarted(str(file), leg, sides))
        place.writer.add(self._tape)

    @property
    def running(self) -> bool:
        """Whether it can still be paused, resumed or stopped."""
        return not self._stopped

    def pause(self) -> None:
        """Keep nothing from now on. Without effect where it is paused."""
        if self._paused_at is None:
            self._recorder.pause()
            self._paused_at = self._offset_ms(), self._recorder.frames * FRAME_MS
            self._emit(RecordingPaused(str(self._file), self.leg))

    def resume(self) -> None:
        """Go on. Without effect where it is not paused."""
        if self._paused_at is not None:
            self._recorder.resume()
            self._end_pause()
            self._emit(RecordingResumed(str(self._file), self.leg))

    def stop(self) -> None:
        """Complete the file; `over` is done when that has happened."""
        if not self._stopped:
            self._stopped = True
            self._end_pause()
            self._recorder.leave()
            self._tape.end()

    def give_up(self, why: str) -> None:
        """Wait for the file no longer."""
        if self.made is None:
            self._conclude(why)

    def _damaged(self) -> None:
        if self.made is None:
            lost_ms = self._recorder.lost * FRAME_MS
            self._emit(RecordingDamaged(str(self._file), self.leg, lost_ms))

    def _let_go(self, failed: str) -> None:
        """The thread that writes has let go of the recorder."""
        if self.made is None:
            self._conclude(failed)
        self._recorder.close()

    def _conclude(self, failed: str) -> None:
        self.stop()  # a failure comes while the call goes on
        made = self.made = Recording(
            file=str(self._file),
            format=self._format,
            leg=self.leg,
            sides=self._sides,
            began_ms=self._began_ms,
            duration_ms=self._recorder.frames * FRAME_MS,
            pauses=tuple(self._pauses),
            lost_ms=self._recorder.lost * FRAME_MS,
            failed=failed,
        )
        if failed:
            self._emit(RecordingFailed(made.file, self.leg, failed))
        else:
            self._emit(RecordingStopped(made.file, self.leg, made.duration_ms, made.lost_ms))
        self._tell_over(self)
        self.over.set_result(None)

    def _end_pause(self) -> None:
        if self._paused_at is not None:
            (begin, at), self._paused_at = self._paused_at, None
            self._pauses.append(Pause(begin, self._offset_ms(), at))
