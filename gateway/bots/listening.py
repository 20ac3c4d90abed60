"""What a bot is told of the caller's voice: speech, its end, and dead air; and barge-in.

The engine judges each frame (sip/native/speech.c); what follows from it is decided here, on the
loop. Nothing runs for a bot without `speech` in its settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from config.settings import SpeechActivity
from gateway.bots import messages
from gateway.bots.caller import CallerAudio
from gateway.bots.messages import ToBot
from ivr.events import DeadAir, SpeechStarted, SpeechStopped
from sip.events import Event
from sip.frame_pump import Speech

SHORTEST_WAIT = 0.05
"""Seconds between two looks at the silence, where the media clock is behind the loop's."""


@dataclass(slots=True)
class Silence:
    """When dead air is told: after `after` seconds, and again after each so many more."""

    after: float
    _told: float = 0.0

    def look(self, quiet: float) -> tuple[float | None, float]:
        """Judge `quiet` seconds of silence: the seconds to tell, or None, and when to look again.

        The next look must not be later than it says: sound in between would be missed.
        """
        if quiet < self._told:
            self._told = 0.0  # there was sound meanwhile
        if quiet < self._told + self.after:
            return None, self._told + self.after - quiet
        self._told += self.after
        return self._told, max(0.0, self._told + self.after - quiet)


class Listening:
    """One connection's view of who speaks.

    Args:
        bot: its name.
        audio: the caller's; it has been told to listen, as that of each later `begin`.
        speech: the bot's settings.
        send: takes frames for the bot.
        emit: takes events for the timeline.
    """

    def __init__(
        self,
        bot: str,
        audio: CallerAudio,
        speech: SpeechActivity,
        send: Callable[[ToBot], None],
        emit: Callable[[Event], object],
    ) -> None:
        self._bot = bot
        self._audio = audio
        self._speech = speech
        self._send = send
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._began: float | None = None
        """When the caller, who speaks, began to; by the loop's clock."""
        self._since = 0.0
        """When silence began to count."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, audio: CallerAudio, *, held: bool) -> None:
        """Caller and bot hear each other. Silence counts from here, or from the end of the hold."""
        self._audio, self._began = audio, None
        audio.on_speech = self._heard
        if not held:
            self.resume()

    def hold(self) -> None:
        """The caller hears music elsewhere: that is no dead air."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def resume(self) -> None:
        """The caller is back."""
        self.hold()
        if self._speech.dead_air is not None:
            self._since = self._loop.time()
            self._look(Silence(self._speech.dead_air))

    def stop(self) -> None:
        """The bot is told nothing any more."""
        self._audio.on_speech = None
        self.hold()

    def _heard(self, speech: Speech) -> None:
        now = self._loop.time()
        if speech is Speech.STARTED:
            self._began = now - self._speech.start_ms / 1000
            clears = self._speech.barge_in == "clear" and self._audio.queued_seconds > 0
            self._send(messages.SpeechStarted(cleared=clears))
            self._emit(SpeechStarted(self._bot, clears))
            if clears:
                self._audio.clear()
        elif self._began is not None:  # else it began before the bot was connected
            spoken = max(0.0, now - self._speech.stop_ms / 1000 - self._began)
            self._began = None
            self._send(messages.SpeechStopped(duration_ms=round(spoken * 1000)))
            self._emit(SpeechStopped(self._bot, round(spoken * 1000)))

    def _look(self, silence: Silence) -> None:
        quiet = min(self._audio.quiet_seconds, self._loop.time() - self._since)
        seconds, wait = silence.look(quiet)
        self._timer = self._loop.call_later(max(wait, SHORTEST_WAIT), self._look, silence)
        if seconds is not None:
            self._send(messages.Silence(seconds=seconds))
            self._emit(DeadAir(self._bot, seconds))
