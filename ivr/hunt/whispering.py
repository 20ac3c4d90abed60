"""What the agent is told before the caller comes, made ready while it rings.

A recording, or words without placeholders, are there before the first call. Others are filled in
and spoken once for all who are rung, from the first INVITE on: nobody is dialled later for it.
"""

from __future__ import annotations

import asyncio

from config.context import Context
from config.flows import FilePrompt, Prompt, Prompts, TextPrompt
from config.graph import WHISPER
from config.templates import is_plain
from ivr.context import Filling
from ivr.flow_run import FlowRun
from ivr.prompts.errors import PromptError
from sip.audio import Pcm
from sip.order import Whisper
from sip.outcome import Method

TOLD_BY = frozenset({Method.INVITE, Method.ATTENDED})
"""Methods by which the agent's leg is ours."""


class Whispering:
    """The whisper of one hunt."""

    def __init__(
        self, prompts: Prompts | None, packet: Context, filling: Filling, run: FlowRun
    ) -> None:
        self._prompts = prompts
        self._packet = packet
        self._filling = filling
        self._run = run
        self._begun = False
        self._made: Whisper | None = None

    def for_a_try(self, method: Method) -> Whisper | None:
        """What a target that is reached by this method is told; None: nothing."""
        if method not in TOLD_BY or self._prompts is None:
            return None
        if not self._begun:
            self._begun = True
            self._made = self._begin(self._run.one_of(self._prompts))
        return self._made

    def _begin(self, prompt: Prompt) -> Whisper | None:
        match prompt:
            case FilePrompt():
                return self._run.audio(prompt)
            case TextPrompt(text=template, voice=voice):
                pass
            case template:
                voice = None
        if is_plain(template):
            return self._run.audio(prompt)
        words = self._filling.words(WHISPER, template, self._packet)
        if not words:
            return None
        spoken: asyncio.Future[Pcm | None] = asyncio.get_running_loop().create_future()
        filled = TextPrompt(text=words, voice=voice)
        self._run.spawn(self._speak(prompt, filled, spoken))
        return spoken

    async def _speak(
        self, written: Prompt, filled: TextPrompt, spoken: asyncio.Future[Pcm | None]
    ) -> None:
        audio: Pcm | None = None
        try:
            audio = await self._run.prompts.render(self._run.place.flow, filled)
        except PromptError as error:
            # Told by the words as written: what was gathered from the caller is not for the log.
            self._run.report_unplayable(written, error)
        finally:
            spoken.set_result(audio)
