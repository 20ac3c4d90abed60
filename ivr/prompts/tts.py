"""Speech engines. Another engine is one more file that satisfies `Synthesizer`."""

from __future__ import annotations

from typing import Protocol

from config.settings import Speech
from ivr.prompts.espeak import Espeak


class Synthesizer(Protocol):
    """Speaks words."""

    async def identity(self) -> str:
        """What tells this engine's speech from any other: engine, version, voice, speed.

        Speech is cached under it. Raises `PromptError` where the engine cannot speak at all.
        """

    async def speak(self, text: str, voice: str | None) -> bytes:
        """A WAV file of any rate. `voice`: another than the engine's usual one.

        Raises:
            PromptError: no such voice, or the engine failed.
        """


def synthesizer(speech: Speech) -> Synthesizer:
    """The engine that the settings name."""
    match speech.engine:
        case "espeak-ng":
            return Espeak(speech.voice, speech.words_per_minute)
