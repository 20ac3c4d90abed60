"""What the log is written to. Whoever logs never waits for it, and never fails by it.

A full disk, a reader that is gone, or one that stands still costs the log its lines. Calls and
their records go on, and the log says how many lines it lost as soon as it can.
"""

from __future__ import annotations

import json
import select
import threading
import time
from contextlib import suppress
from typing import TextIO

from gateway.timeline import iso


class LogStream:
    """A stream that takes every line at once, or loses it.

    Args:
        stream: a file, a terminal, or a pipe or socket to somebody else.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._lost = 0
        self._room: select.poll | None = None
        with suppress(OSError, ValueError):  # it lives in memory
            room = select.poll()
            room.register(stream.fileno(), select.POLLOUT)
            self._room = room

    def write(self, line: str) -> int:
        """Write a whole line."""
        with self._lock:
            told = _lost(self._lost) + line if self._lost else line
            try:
                if not self._has_room():
                    raise BlockingIOError
                self._stream.write(told)
                self._stream.flush()
            except (OSError, ValueError):  # ValueError: it has been closed
                self._lost += 1
            else:
                self._lost = 0
        return len(line)

    def flush(self) -> None:
        """Every line has been flushed."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def _has_room(self) -> bool:
        """Whether a line can be written without waiting; a file says yes always."""
        return self._room is None or bool(self._room.poll(0))


def _lost(lines: int) -> str:
    """A line of the log, made here: who writes one holds the logger's lock."""
    told = {"lines": lines, "event": "log lines lost", "level": "error"}
    return json.dumps({**told, "timestamp": iso(time.time())}) + "\n"
