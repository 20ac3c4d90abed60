"""One recording between the native ring and its file, and the thread that moves all of them.

One thread serves every recording: all of them go to one folder, and a disk that stands still for
one stands still for all. The loop never waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

import structlog

from config.call_recordings import Sides
from gateway.recording.file import RecordingFile

log = structlog.get_logger()

INTERVAL = 0.2
"""Seconds between two turns: the native ring holds 25 times as much."""

CLOSE_LIMIT = 5.0
"""Seconds that the gateway's stop waits for the last files."""

BUFFER_BYTES = 64 * 1024
"""Two seconds of stereo audio at 8 kHz; a file that is behind takes several in one turn."""


class Source(Protocol):
    """What a tape reads: `sip.recorder.Recorder`."""

    @property
    def lost(self) -> int:
        """Frames of 20 ms that were lost because nobody read in time."""

    def read(self, buffer: bytearray | memoryview) -> int:
        """Take stereo samples. Returns the bytes filled in."""


class Tape:
    """One recording. The loop makes it and asks it to end; the rest is the thread's.

    Args:
        source: read until `end`.
        path: of the file, which must not be there.
        format_: `wav` or `opus`.
        sides: what of the leg the file keeps.
        damaged: told once, on the loop, that audio was lost.
        over: told once, on the loop, that the file is complete, or why it is not: empty, or words.
    """

    def __init__(
        self,
        source: Source,
        path: Path,
        format_: str,
        sides: Sides,
        *,
        damaged: Callable[[], None],
        over: Callable[[str], None],
    ) -> None:
        self._source = source
        self._path = path
        self._format = format_
        self._sides = sides
        self._damaged = damaged
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._file: RecordingFile | None = None
        self._told = False
        self._ending = threading.Event()

    def end(self) -> None:
        """Write what is left, and complete the file. Nothing more may come from the source."""
        self._ending.set()

    def turn(self, buffer: bytearray) -> bool:
        """Write what has come. Returns whether the tape goes on. May block; on the thread."""
        ending = self._ending.is_set()  # before the source is emptied: what comes later is nothing
        try:
            if self._file is None:
                self._file = RecordingFile(self._path, self._format, self._sides)
            with memoryview(buffer) as view:
                while filled := self._source.read(buffer):
                    self._file.write(view[:filled])
            if self._source.lost and not self._told:
                self._told = True
                self._tell(self._damaged)
            if not ending:
                return True
            self._file.close()
        except OSError as error:
            self._let_go()
            self._tell(self._over, error.strerror or str(error))
            return False
        except Exception as error:  # it must not end the other recordings
            self._let_go()
            log.exception("recording failed", file=str(self._path))
            self._tell(self._over, f"{type(error).__name__}: {error}")
            return False
        self._tell(self._over, "")
        return False

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.abandon()

    def _tell(self, listener: Callable[..., None], *said: str) -> None:
        try:
            self._loop.call_soon_threadsafe(listener, *said)
        except RuntimeError:  # the loop has been closed: nobody listens any more
            log.warning("recording ended late", file=str(self._path))


class TapeWriter:
    """The thread that writes all tapes. It starts with the first one."""

    def __init__(self) -> None:
        self._new: SimpleQueue[Tape] = SimpleQueue()
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, tape: Tape) -> None:
        """Write this one as well, until it has ended."""
        self._new.put(tape)
        self._news.set()
        if self._thread is None:
            # A disk that never answers must not keep the gateway from ending.
            self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """Wait until the tapes that have been asked to end are complete, for a while."""
        if self._thread is None:
            return
        self._closing.set()
        self._news.set()
        await asyncio.to_thread(self._thread.join, CLOSE_LIMIT)
        if self._thread.is_alive():
            log.error("recordings left behind", seconds=CLOSE_LIMIT)

    def _run(self) -> None:
        tapes: list[Tape] = []
        buffer = bytearray(BUFFER_BYTES)
        while tapes or not self._closing.is_set():
            self._news.wait(INTERVAL if tapes else None)
            self._news.clear()
            while True:
                try:
                    tapes.append(self._new.get_nowait())
                except Empty:
                    break
            tapes = [tape for tape in tapes if tape.turn(buffer)]
