"""Converted prompts on disk, so that a start converts only what is new.

Entries are named by what they were made from: the content of a recording, or words, voice and
engine; and by the rate. They are WAV files, to be listened to. Blocking: called in worker threads.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import wave
from pathlib import Path

from ivr.prompts.errors import PromptError
from sip.audio import Pcm

FORMAT = 1
"""Raised when the same source would be converted to other audio than before."""

_ENTRY = re.compile(r"[0-9a-f]{64}\.wav")


class PromptCache:
    """A folder of converted prompts."""

    def __init__(self, folder: Path, rate: int) -> None:
        self._folder = folder
        self._rate = rate

    def open(self) -> None:
        """Make sure that the folder is there and can be written to.

        Raises:
            PromptError: it cannot be.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PromptError(f"{self._folder} cannot be made: {error.strerror}") from None
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PromptError(f"{self._folder} cannot be written to", "Check its permissions")

    def key(self, kind: str, *parts: bytes) -> str:
        """The name of what these parts determine. Lengths are hashed too: no two lists collide."""
        digest = hashlib.sha256(f"{FORMAT} {self._rate} {kind}".encode())
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.hexdigest()

    def get(self, key: str) -> Pcm | None:
        """The audio stored under a key; None: there is none, or it is damaged."""
        try:
            with wave.open(str(self._path(key))) as file:
                shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
                frames = file.getnframes()
                samples = file.readframes(frames)
        except (OSError, EOFError, wave.Error):
            return None
        if shape != (1, 2, self._rate) or not frames or len(samples) != frames * 2:
            return None
        return Pcm(samples, self._rate)

    def put(self, key: str, audio: Pcm) -> None:
        """Store audio; whoever reads meanwhile finds all of it or nothing.

        Raises:
            PromptError: it cannot be written, for want of space for example.
        """
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                try:
                    with wave.open(file, "wb") as written:
                        written.setnchannels(1)
                        written.setsampwidth(2)
                        written.setframerate(audio.rate)
                        written.writeframes(audio.samples)
                    Path(file.name).replace(self._path(key))
                except BaseException:
                    Path(file.name).unlink()
                    raise
        except OSError as error:
            raise PromptError(f"cannot be kept in {self._folder}: {error.strerror}") from None

    def keep_only(self, keys: set[str]) -> None:
        """Remove every other entry. Files that are no entries stay."""
        for path in self._folder.iterdir():
            if _ENTRY.fullmatch(path.name) and path.stem not in keys:
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.wav"
