"""What a softphone can be told: one JSON object a line, with `do` naming the command.

Times are seconds. A call is known by the name that `dial` gave it; calls that come in are named
`in-1`, `in-2` …, one that the phone dials because it was referred, `NAME-referred`, and one that
takes another's place, `NAME-replaced`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from config.strict import Seconds, Strict

Headers = dict[str, str]
FinalCode = Annotated[int, Field(ge=200, le=699)]
Hertz = Annotated[int, Field(ge=50, le=3900)]


class Talk(Strict):
    """How the phone behaves in a call."""

    tone: Hertz | None = None
    """A sine wave sent from the moment audio flows."""
    play: Path | None = None
    """A WAV file sent once, instead of the tone."""
    record: Path | None = None
    """WAV file of what is heard; a call dialled on REFER records to NAME-referred.wav beside it.
    Needed for `heard` reports."""
    hang_up_after: Seconds | None = None
    """From the moment the call is up."""
    hang_up_headers: Headers = Field(default_factory=dict)
    """Sent with that BYE."""
    refer: FinalCode = 202
    """The answer to a REFER; below 300 the phone dials its Refer-To and reports by NOTIFY."""


class Policy(Talk):
    """How calls to a user part are taken from now on. `*` stands for every user without its own."""

    do: Literal["policy"] = "policy"
    user: str = "*"
    provisional: Literal[180, 183] | None = 180
    """Sent at once; 183 brings early media: the tone is heard before the answer."""
    ring: Seconds = 0
    """Between the provisional and the final response."""
    answer: FinalCode | None = 200
    """None: it rings until `answer` or the caller's CANCEL."""
    reason: str = ""
    headers: Headers = Field(default_factory=dict)
    """Sent with the final response, e.g. Retry-After."""


class Dial(Talk):
    """Call somebody."""

    do: Literal["dial"] = "dial"
    call: str
    to: str
    """A SIP URI; `;transport=tcp` for a phone that runs on TCP."""
    caller: str | None = None
    """User part of From; default: the phone's name."""
    headers: Headers = Field(default_factory=dict)


class Answer(Strict):
    """Answer a ringing call by hand."""

    do: Literal["answer"] = "answer"
    call: str
    code: FinalCode = 200
    reason: str = ""
    headers: Headers = Field(default_factory=dict)


class HangUp(Strict):
    """End a call: CANCEL, BYE, or 603 to one that still rings here."""

    do: Literal["hangup"] = "hangup"
    call: str
    headers: Headers = Field(default_factory=dict)


class Tone(Strict):
    """Send another tone; none for silence."""

    do: Literal["tone"] = "tone"
    call: str
    hertz: Hertz | None = None


class Play(Strict):
    """Send a WAV file once; `played` reports its end."""

    do: Literal["play"] = "play"
    call: str
    file: Path


class Dtmf(Strict):
    """Press keys."""

    do: Literal["dtmf"] = "dtmf"
    call: str
    digits: str = Field(pattern=r"^[0-9*#A-D]+$")
    via: Literal["rfc4733", "info"] = "rfc4733"
    duration: Seconds = 0.16


class Hold(Strict):
    """Put the peer on hold: a re-INVITE with `sendonly`."""

    do: Literal["hold"] = "hold"
    call: str


class Resume(Strict):
    """Take the peer off hold."""

    do: Literal["resume"] = "resume"
    call: str


class Join(Strict):
    """Attended transfer: have the peers of two of our calls joined, by REFER with Replaces in the
    first one (RFC 5589 section 7)."""

    do: Literal["join"] = "join"
    call: str
    other: str
    """The call that the peer of `call` shall take over from us."""


class Statistics(Strict):
    """Tell by a `statistics` report how each call that is up fares."""

    do: Literal["statistics"] = "statistics"


class Quit(Strict):
    """Hang up everything and end the process."""

    do: Literal["quit"] = "quit"


Command = (
    Policy | Dial | Answer | HangUp | Tone | Play | Dtmf | Hold | Resume | Join | Statistics | Quit
)

_COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="do")])


def parse(line: str | bytes) -> Command:
    """Read one line.

    Raises:
        pydantic.ValidationError: it is no command; the message names the field.
    """
    return _COMMAND.validate_json(line)


def render(command: Command) -> str:
    """The line that `parse` reads back."""
    return command.model_dump_json()
