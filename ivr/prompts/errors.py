"""Why a prompt cannot become audio."""

from __future__ import annotations


class PromptError(Exception):
    """A prompt cannot be played.

    Args:
        message: what is wrong with it.
        hint: what to do about it, a sentence.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}. {hint}" if hint else message)
        self.message = message
        self.hint = hint
