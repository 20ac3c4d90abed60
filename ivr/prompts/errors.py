"""Why a prompt cannot become audio."""

from __future__ import annotations


class PromptError(Exception):
    """A prompt cannot be played. The message says why and, where one can tell, what to do."""
