"""Every prompt of a configuration as audio, ready before the first call."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import structlog

from config.configuration import Configuration
from config.errors import ConfigError, Problem
from config.flows import FilePrompt, Prompt, TextPrompt, Waiting
from ivr.prompts.cache import PromptCache
from ivr.prompts.errors import PromptError
from ivr.prompts.music import music
from ivr.prompts.places import places_of_prompts, problems_at
from ivr.prompts.recording import decode, read
from ivr.prompts.ringback import ringback
from ivr.prompts.tts import Synthesizer, synthesizer
from sip.audio import Pcm

log = structlog.get_logger()

RATE = 8000
"""Samples per second: what G.711, and so nearly every trunk, carries."""

MAX_CHARACTERS = 2000
"""Of words that an operator has spoken into a call: two minutes of speech."""


class PromptStore:
    """`ivr.ports.PromptSource` by the recordings and the speech engine of a configuration.

    Recordings are converted, and words spoken, once: `prepare` does it before the first call, keeps
    the audio in memory, where all calls share it, and in `data/prompts` for the next start.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        speech: Synthesizer | None = None,
        rate: int = RATE,
    ) -> None:
        """A store with nothing in it yet.

        Args:
            configuration: whose flows' prompts these are.
            speech: the engine; default: the one that the settings name.
            rate: samples per second of all audio.
        """
        self._configuration = configuration
        self._settings = configuration.settings
        self._speech = speech or synthesizer(self._settings.speech)
        self._rate = rate
        self._cache = PromptCache(self._settings.data / "prompts", rate)
        self._used: set[str] = set()
        """Keys of the cache's entries that this configuration uses."""
        self._prepared: dict[Prompt, Pcm] = {}
        self._waiting: dict[Waiting, Pcm] = {}
        self._turn = asyncio.Semaphore(len(os.sched_getaffinity(0)))
        """Converting and speaking keep a core busy: as many at once as there are cores."""

    # What flows use

    def prepared(self, prompt: Prompt) -> Pcm:
        """A prompt of a flow."""
        try:
            return self._prepared[prompt]
        except KeyError:
            raise PromptError(f"{prompt!r} was not prepared") from None

    def waiting(self, kind: Waiting) -> Pcm:
        """The sound of this kind, made to be looped."""
        return self._waiting[kind]

    def refusal(self, flow: str, prompt: Prompt) -> str | None:
        """Why an operator may not have this prompt played: a file must lie in the flow's folder."""
        match prompt:
            case FilePrompt(file=file):
                folder = self._folder(flow)
                path = (folder / file).resolve()
                if not path.is_relative_to(folder):
                    return f"{file} is not within the folder of the flow {flow!r}"
                try:
                    return None if path.is_file() else f"there is no file {file}"
                except OSError as error:
                    return f"{file}: {error.strerror}"
            case TextPrompt(text=words) | str(words):
                if len(words) > MAX_CHARACTERS:
                    return f"the text is longer than {MAX_CHARACTERS} characters"
                return None

    async def render(self, flow: str, prompt: Prompt) -> Pcm:
        """Any prompt, spoken or converted now unless it is at hand. Nothing of it is kept."""
        if (refusal := self.refusal(flow, prompt)) is not None:
            raise PromptError(refusal)
        if prompt in self._prepared:
            return self._prepared[prompt]
        async with self._turn:
            if isinstance(prompt, FilePrompt):
                data = await asyncio.to_thread(read, self._folder(flow) / prompt.file)
            else:
                data = await self._speech.speak(*_words(prompt))
            return await asyncio.to_thread(decode, data, self._rate)

    # Before the first call

    async def prepare(self) -> None:
        """Make every prompt and waiting sound ready.

        Raises:
            ConfigError: prompts that cannot be made, each with the place where it is written.
        """
        try:
            await asyncio.to_thread(self._cache.open)
        except PromptError as error:
            problem = self._configuration.problem(("data",), error.message, error.hint)
            raise ConfigError([problem]) from None
        problems: list[Problem] = []
        places = places_of_prompts(self._configuration)
        spoken = [prompt for prompt in places if not isinstance(prompt, FilePrompt)]
        engine = ""
        if spoken:
            try:
                engine = await self._speech.identity()
            except PromptError as error:
                problems.append(self._configuration.problem(("speech",), error.message, error.hint))
                places = {prompt: places[prompt] for prompt in places if prompt not in spoken}
        made = await asyncio.gather(*(self._try(prompt, engine) for prompt in places))
        for (prompt, where), audio in zip(places.items(), made, strict=True):
            if isinstance(audio, Pcm):
                self._prepared[prompt] = audio
            else:
                problems += problems_at(self._configuration, where, audio)
        problems += await self._prepare_waiting()
        if problems:
            raise ConfigError(problems)
        await asyncio.to_thread(self._cache.keep_only, self._used)
        log.info("prompts ready", recorded=len(places) - len(spoken), spoken=len(spoken))

    async def _prepare_waiting(self) -> list[Problem]:
        country, file = self._settings.waiting.ringback_country, self._settings.waiting.music
        tone = await asyncio.to_thread(ringback, country, self._rate)
        self._waiting[Waiting.RINGBACK] = self._waiting[Waiting.EARLY_MEDIA] = tone
        if file is None:
            self._waiting[Waiting.MUSIC] = await asyncio.to_thread(music, self._rate)
            return []
        audio = await self._try(FilePrompt(file=file), "")
        if isinstance(audio, PromptError):
            return [self._configuration.problem(("waiting", "music"), audio.message, audio.hint)]
        self._waiting[Waiting.MUSIC] = audio
        return []

    async def _try(self, prompt: Prompt, engine: str) -> Pcm | PromptError:
        async with self._turn:
            try:
                if isinstance(prompt, FilePrompt):
                    return await asyncio.to_thread(self._recorded, prompt.file)
                return await self._spoken(*_words(prompt), engine)
            except PromptError as error:
                return error

    def _recorded(self, file: Path) -> Pcm:
        """A recording from the cache, or converted into it. Blocking."""
        try:
            data = read(file)
            key = self._cache.key("recording", data)
            self._used.add(key)
            return self._cache.get(key) or self._kept(key, data)
        except PromptError as error:
            raise PromptError(f"{file} {error.message}", error.hint) from None

    async def _spoken(self, words: str, voice: str | None, engine: str) -> Pcm:
        """Words from the cache, or spoken into it."""
        parts = (engine, voice or "", words)
        key = self._cache.key("speech", *(part.encode() for part in parts))
        self._used.add(key)
        if audio := await asyncio.to_thread(self._cache.get, key):
            return audio
        data = await self._speech.speak(words, voice)
        return await asyncio.to_thread(self._kept, key, data)

    def _kept(self, key: str, data: bytes) -> Pcm:
        audio = decode(data, self._rate)
        self._cache.put(key, audio)
        return audio

    def _folder(self, flow: str) -> Path:
        return self._configuration.flow_paths[flow].parent.resolve()


def _words(prompt: str | TextPrompt) -> tuple[str, str | None]:
    """What is said, and the voice asked for."""
    return (prompt, None) if isinstance(prompt, str) else (prompt.text, prompt.voice)
