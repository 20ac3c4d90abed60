"""Recordings looked at in full, for config check: what cannot be played is found before a start."""

from __future__ import annotations

from pathlib import Path

from config.configuration import Configuration
from config.errors import Problem
from config.flows import FilePrompt
from ivr.prompts.errors import PromptError
from ivr.prompts.places import places_of_prompts, problems_at
from ivr.prompts.recording import decode, read
from ivr.prompts.store import RATE


def check_recordings(configuration: Configuration) -> list[Problem]:
    """The recordings that cannot be played. Blocking; writes nothing and speaks nothing."""
    problems: list[Problem] = []
    for prompt, places in places_of_prompts(configuration).items():
        if isinstance(prompt, FilePrompt) and (error := _error(prompt.file)):
            problems += problems_at(configuration, places, error)
    music = configuration.settings.waiting.music
    if music is not None and (error := _error(music)):
        problems.append(configuration.problem(("waiting", "music"), error.message, error.hint))
    return problems


def _error(file: Path) -> PromptError | None:
    try:
        decode(read(file), RATE)
    except PromptError as error:
        return PromptError(f"{file} {error.message}", error.hint)
    return None
