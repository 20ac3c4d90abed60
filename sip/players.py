"""Prompts and waiting sounds: Python's side of the native players (sip/native/player.c)."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from sip.audio import Pcm
from sip.errors import CallEnded, MediaError
from sip.pjsip import native


class Players:
    """All running plays, by number, and the sounds that are loaded into shared memory."""

    def __init__(self) -> None:
        self._sounds: WeakKeyDictionary[Pcm, object] = WeakKeyDictionary()
        self._ends: dict[int, asyncio.Future[None]] = {}

    def sound(self, audio: Pcm) -> object:
        """The native copy of a recording; made once, kept as long as the recording is."""
        if (sound := self._sounds.get(audio)) is None:
            sound = self._sounds[audio] = native.sound_load(audio.samples)
        return sound

    def end_of(self, play: int) -> asyncio.Future[None]:
        """A future that is done when the last sample of this play has gone to the bridge."""
        end = self._ends[play] = asyncio.get_running_loop().create_future()
        end.add_done_callback(lambda _: self._ends.pop(play, None))
        return end

    def tick(self) -> None:
        """Complete what ended in the last tick of the media clock."""
        for _, play in native.player_finished():
            end = self._ends.get(play)
            if end is not None and not end.done():
                end.set_result(None)


class Player:
    """One native player port of a leg. Raises MediaError where the bridge has no place left."""

    def __init__(self, players: Players, rate: int) -> None:
        self._players = players
        self._rate = rate
        try:
            self._id, self.slot = native.player_open(rate)
        except OSError as error:
            raise MediaError(str(error)) from error
        self._end: asyncio.Future[None] | None = None

    def play(self, audio: Pcm) -> asyncio.Future[None]:
        """Play once, instead of what is playing.

        Returns:
            A future that is done at the end, or when something else is played instead. It raises
            CallEnded if the player is closed before.
        """
        play = self._start(audio, loop=False)
        self._cut()
        self._end = self._players.end_of(play)
        return self._end

    def loop(self, audio: Pcm) -> None:
        """Play again and again until `stop`."""
        self._start(audio, loop=True)

    def stop(self) -> None:
        """Fall silent at the next tick."""
        native.player_stop(self._id)
        self._cut()

    def close(self) -> None:
        """Leave the bridge."""
        native.player_close(self._id)
        if self._end is not None and not self._end.done():
            self._end.set_exception(CallEnded("the call ended while audio was played"))
        self._end = None  # the exception's traceback leads back here

    def _cut(self) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_result(None)

    def _start(self, audio: Pcm, *, loop: bool) -> int:
        if audio.rate != self._rate:
            raise ValueError(f"audio is at {audio.rate} Hz, the player at {self._rate} Hz")
        return native.player_play(self._id, self._players.sound(audio), loop)
