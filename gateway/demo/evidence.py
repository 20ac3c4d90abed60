"""Checks a promise by a recording: words, tones and the absence of silence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from config.flows import AgentTransfer, Hangup, Play, Prompt, Prompts
from gateway.api.models import TimelineEvent
from gateway.demo import bot
from gateway.demo.hearing import RATE, longest_silence, seconds_of_tone, share_heard
from gateway.demo.promises import Promises
from gateway.demo.stage import Stage
from sip.audio import Pcm

WORDS_HEARD = 0.75
"""Share of the pieces of the words that must be found in the recording (gateway.demo.hearing)."""

TALK_HEARD = 0.8
"""Share of the talk in which the other's tone must be heard: jitter buffers fill at its start."""

FLOW = "reception"
"""The example's flow."""

LONGEST_SILENCE = 1.0
"""Seconds: between two sentences of the speech engine there are up to 0.7."""


class Evidence:
    """What one party's recording proves.

    Args:
        recording: WAV of what the party heard, from the moment its call was up.
        party: how the party is called in the promises.
    """

    def __init__(
        self, promises: Promises, stage: Stage, recording: Path, party: str = "the caller"
    ) -> None:
        self._promises = promises
        self._stage = stage
        self._recording = recording
        self._party = party

    def heard_prompt(self, what: str, node: str, fallback: str | None = None) -> None:
        """The words of a node of the example's flow, or of a row of its `fallback`."""
        self._heard(what, self._stage.prompts.prepared(self._words_of(node, fallback)))

    async def heard_bot(self, what: str, text: str, within: float | None = None) -> None:
        """What the bot said; `within` so many seconds, where the caller cut it off."""
        spoken = await bot.speak(text, RATE)
        if within is not None:
            # The connection's first frames, and the time a digit takes, are not counted on.
            spoken = spoken[: round((within - 0.4) * RATE) * 2]
        self._heard(what, Pcm(spoken, RATE))

    def heard_tone(self, whom: str, hertz: int, talked: float) -> None:
        """The other party's tone for nearly as long as they talked."""
        seconds = seconds_of_tone(hertz, self._recording)
        self._promises.check(
            f"{self._party} heard {whom}",
            kept=seconds >= TALK_HEARD * talked,
            seen=f"{hertz} Hz for {seconds:.1f} s",
        )

    def never_silent(
        self,
        when: str,
        timeline: Sequence[TimelineEvent],
        begin: TimelineEvent,
        end: TimelineEvent,
    ) -> None:
        """No long silence between two events of the gateway's timeline."""
        up = next(row for row in timeline if row.name == "leg.answered").offset_ms
        silence = longest_silence(
            self._recording, (begin.offset_ms - up) / 1000, (end.offset_ms - up) / 1000
        )
        self._promises.check(
            f"{self._party} was never left in silence {when}",
            kept=silence <= LONGEST_SILENCE,
            seen=f"longest {silence:.2f} s",
        )

    def _heard(self, what: str, words: Pcm) -> None:
        share = share_heard(words, self._recording)
        self._promises.check(
            f"{self._party} heard {what}",
            kept=share >= WORDS_HEARD,
            seen=f"{share:.0%} of {words.seconds:.1f} s recognised",
        )

    def _words_of(self, node: str, fallback: str | None) -> Prompt:
        found = self._stage.configuration.flows[FLOW].nodes[node]
        said: Prompts | None = None
        if isinstance(found, Play | Hangup):
            said = found.prompt
        elif isinstance(found, AgentTransfer):
            said = found.accepted_message if fallback is None else found.fallback[fallback].prompt
        if said is None:
            raise ValueError(f"node {node} of the example says nothing")
        return said[0] if isinstance(said, list) else said
