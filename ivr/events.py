"""What a flow adds to the events of a call (sip/events.py has the model)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from config.call_recordings import RecordAction
from ivr.result import EndReason
from sip.events import Event
from sip.outcome import Outcome


@dataclass(frozen=True, slots=True)
class FlowStarted(Event):
    """The call's flow begins."""

    name: ClassVar[str] = "flow.started"
    flow: str


@dataclass(frozen=True, slots=True)
class FlowEnded(Event):
    """The call's flow is over; the last event of every flow."""

    name: ClassVar[str] = "flow.ended"
    end: EndReason
    message: str = ""


@dataclass(frozen=True, slots=True)
class NodeEntered(Event):
    """A node begins its work."""

    name: ClassVar[str] = "node.entered"
    flow: str
    node: str
    type: str


@dataclass(frozen=True, slots=True)
class NodeLeft(Event):
    """A node is done, or was interrupted."""

    name: ClassVar[str] = "node.left"
    flow: str
    node: str
    to: str
    """The next node (`flow/node` in another flow); empty: the flow ends."""
    end: EndReason | None = None


class Playback(StrEnum):
    """How far a prompt came."""

    PLAYED = "played"
    STOPPED = "stopped"
    """The caller or a decision cut it off."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PromptStarted(Event):
    """The caller begins to hear a prompt."""

    name: ClassVar[str] = "prompt.started"
    prompt: str
    """Its words, or its file."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class PromptEnded(Event):
    """A prompt is over. One that never started has only this event, with the reason."""

    name: ClassVar[str] = "prompt.ended"
    prompt: str
    playback: Playback
    message: str = ""


@dataclass(frozen=True, slots=True)
class BotConnected(Event):
    """A bot has taken the conversation."""

    name: ClassVar[str] = "bot.connected"
    bot: str
    setup_ms: int
    """From the attempt to connect until the bot was told `start`."""


@dataclass(frozen=True, slots=True)
class BotDisconnected(Event):
    """The conversation is over."""

    name: ClassVar[str] = "bot.disconnected"
    bot: str
    reason: str
    """Slug: what ended it."""
    message: str = ""
    frames_dropped: int = 0
    """20 ms frames of the caller that the bot did not read in time."""
    dropped_ms: int = 0
    """Audio of the bot that had no room in its backlog."""
    overruns: int = 0
    """20 ms frames of the caller that were lost because the gateway did not keep up."""
    underruns: int = 0
    """20 ms frames that the bot had begun and not finished when they were due."""
    frames_waited: int = 0
    """High-water mark: frames of the caller that waited for the gateway at once."""
    waited_ms: int = 0
    """High-water mark: audio of the bot that waited to be played, of at most two seconds."""


@dataclass(frozen=True, slots=True)
class SpeechStarted(Event):
    """The caller begins to speak to a bot that listens for it."""

    name: ClassVar[str] = "speech.started"
    bot: str
    cleared: bool
    """Barge-in: audio of the bot still waited, and was dropped."""


@dataclass(frozen=True, slots=True)
class SpeechStopped(Event):
    """The caller has stopped to speak."""

    name: ClassVar[str] = "speech.stopped"
    bot: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DeadAir(Event):
    """Neither caller nor bot has been heard for so long."""

    name: ClassVar[str] = "speech.dead_air"
    bot: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BotCommandRefused(Event):
    """The flow cannot do what the bot asked for; the conversation goes on."""

    name: ClassVar[str] = "bot.command_refused"
    bot: str
    command: str
    message: str


@dataclass(frozen=True, slots=True)
class FallbackTaken(Event):
    """A transfer failed, and this row of the node's `fallback` says what follows."""

    name: ClassVar[str] = "fallback.taken"
    attempt: str
    outcome: Outcome
    code: int | None
    key: str
    """The row's key: the most exact one that fits."""
    to: str
    """The node the call goes to; empty: it ends once the prompt is played."""


@dataclass(frozen=True, slots=True)
class ResumeOffered(Event):
    """The call is about to leave with a hand-back token."""

    name: ClassVar[str] = "resume.offered"
    trunk: str
    """The one that can bring it back."""
    node: str
    """Where it goes on then."""


@dataclass(frozen=True, slots=True)
class RecordingRefused(Event):
    """The flow asks for something that cannot be done with the recording; the call goes on."""

    name: ClassVar[str] = "recording.refused"
    action: RecordAction
    reason: str


@dataclass(frozen=True, slots=True)
class ValueDropped(Event):
    """A value could not be sent on the BYE, or the refusal, that ends the call: it could not be
    filled in, or had no room. Those of a transfer are in its attempt."""

    name: ClassVar[str] = "value.dropped"
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class TransferRetried(Event):
    """A transfer failed, and the row of the node's `fallback` says to try again."""

    name: ClassVar[str] = "transfer.retried"
    attempt: str
    """The one that failed."""
    key: str
    """The row's key."""
    target: str
    """Who is tried next."""
    delay_ms: int
    """Until then."""


@dataclass(frozen=True, slots=True)
class DecisionTaken(Event):
    """An operator decided for the call."""

    name: ClassVar[str] = "decision.taken"
    action: str
    """`transfer`, `cancel_transfer`, `hangup`, `play`, `goto`, `continue_at` or `recording`."""
    detail: str = ""
    """The target, the prompt, the node or what is done with the recording."""
