"""A recording on the disk: its name, and what is written into it."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import soundfile

from config.call_recordings import Sides
from sip.recorder import RATE

_CHANNEL = {Sides.SAID: 0, Sides.HEARD: 1}
"""Which one of the recorder's two a mono file has."""

LONGEST_PAGE = 27 + 255 + 255 * 255
"""Bytes of a page of Ogg (RFC 3533 section 6)."""

_FORMATS = {"wav": ("WAV", "PCM_16"), "opus": ("OGG", "OPUS")}


def file_name(call_id: str, number: int, at: float, format_: str) -> PurePosixPath:
    """The place of a call's recording in the folder: `2026-08-01/9f3c0a7be21d4458-1.wav`.

    Nothing of it comes from a peer: the id is the gateway's own.

    Args:
        call_id: hexadecimal.
        number: which recording of the call, from 1.
        at: POSIX seconds when it begins; the day is that of UTC.
        format_: `wav` or `opus`.
    """
    if not call_id.isalnum():
        raise ValueError(f"no id of a call: {call_id!r}")
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    return PurePosixPath(day, f"{call_id}-{number}.{format_}")


class RecordingFile:
    """A file being written, at 8000 Hz. Every method may block, and raises OSError."""

    def __init__(self, path: Path, format_: str, sides: Sides) -> None:
        """Create the file. One that is there already, or a link, is never written to."""
        # What callers say is nobody else's business.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        kind, subtype = _FORMATS[format_]
        self._path = path
        self._is_whole = _wav_is_whole if format_ == "wav" else _ogg_is_whole
        self._created = os.fstat(descriptor)
        self._channel = _CHANNEL.get(sides)
        self._written = 0
        try:
            self._file = soundfile.SoundFile(
                descriptor,
                "w",
                RATE,
                2 if self._channel is None else 1,
                subtype,
                format=kind,
                closefd=True,
            )
        except soundfile.SoundFileError as error:
            raise OSError(f"{path}: {error}") from error

    def write(self, pcm: memoryview) -> None:
        """Append what the file keeps of whole stereo samples, PCM16."""
        kept = pcm if self._channel is None else pcm.cast("h")[self._channel :: 2].tobytes()
        try:
            self._file.buffer_write(kept, "int16")
        except (soundfile.SoundFileError, AssertionError) as error:  # fewer were taken: it asserts
            raise OSError(self._why(error)) from error
        self._written += len(kept)

    def close(self) -> None:
        """Complete the file."""
        try:
            self._file.close()
        except soundfile.SoundFileError as error:
            raise OSError(self._why(error)) from error
        # libsndfile keeps silent about what the disk refuses while a file is closed.
        try:
            is_there = os.path.samestat(self._path.stat(), self._created)
        except FileNotFoundError:
            is_there = False
        if not is_there:
            raise OSError("the file was taken away while it was written")
        if not self._is_whole(self._path, self._written):
            raise OSError(self._why("the file is shorter than what was written"))

    def abandon(self) -> None:
        """Let go of the file as it is, so that the disk gets back what it has of a removed one."""
        with suppress(soundfile.SoundFileError):
            self._file.close()

    def _why(self, error: object) -> str:
        place = os.statvfs(self._path.parent)
        if place.f_bavail == 0:
            return f"no space left on the disk ({error})"
        return f"the file cannot be written ({error or 'fewer samples were taken'})"


def _wav_is_whole(path: Path, written: int) -> bool:
    return path.stat().st_size >= written


def _ogg_is_whole(path: Path, written: int) -> bool:
    """Whether the last page is all there, and says that it is the last (RFC 3533 section 6)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LONGEST_PAGE))
        end = file.read()
    page = end[end.rfind(b"OggS") :]
    if len(page) < 27:
        return False
    segments = page[27 : 27 + page[26]]
    last = bool(page[5] & 4) or not written  # without audio, the page of the headers is
    return last and len(page) == 27 + page[26] + sum(segments)
