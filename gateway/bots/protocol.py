"""`switchhook.v1` without I/O: what a bot's frame means, and the frames it is answered with.

A conversation is OPENING until `start` is sent, STARTED until `stop`, then STOPPED:

    OPENING ──start──▶ STARTED ──stop──▶ STOPPED
              transfer │    ▲ handover      ▲
                       ▼    │               │
                      WAITING ─────stop─────┘     only where the bot stays

The port feeds received frames and the time in and obeys the command that comes out; an `Error` goes
back to the bot as it is. Nothing a bot sends raises: an untrusted peer gets answers, and the call
goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from gateway.bots.messages import (
    CancelTransfer,
    Error,
    ErrorCode,
    FromBot,
    Log,
    Mark,
    MarkReached,
    Set,
)

MAX_TEXT = 128 * 1024
"""Bytes of a text message: the largest legal `transfer` takes about 125 KB, all of it escaped."""

MAX_AUDIO = 1024 * 1024
"""Bytes of a binary message: 21 s at 24 kHz, where one sentence takes a few seconds."""

TEXT_RATE = 100.0
"""Text messages per second that a bot may send for long: two marks for every 20 ms frame."""

TEXT_BURST = 200.0
"""Text messages at once, from a bot that has been quiet."""

MAX_MARKS = 256
"""Marks not yet played: five seconds of one mark for each 20 ms frame."""

ERROR_INTERVAL = 1.0
"""Seconds between two errors of one code that audio or a flood causes."""

_ADAPTER: TypeAdapter[FromBot] = TypeAdapter(Annotated[FromBot, Field(discriminator="type")])
_TYPES = "mark, clear, transfer, cancel_transfer, hangup, goto, send_dtmf, set, log"


class State(Enum):
    """How far a connection has come."""

    OPENING = auto()
    STARTED = auto()
    WAITING = auto()
    """Its transfer is under way, and its audio off the leg."""
    STOPPED = auto()


_WHILE_WAITING = (CancelTransfer, Set, Log)
"""What a bot may send then: nothing of it reaches the caller, or leads the call elsewhere."""


@dataclass(slots=True)
class Counters:
    """What one connection has carried and lost."""

    text_frames: int = 0
    audio_bytes: int = 0
    errors: int = 0
    """Frames that were not obeyed, whether the bot was told of each or not."""
    dropped_bytes: int = 0
    """Bot audio beyond the backlog."""


@dataclass(slots=True)
class Protocol:
    """One connection's side of `switchhook.v1`.

    `now` is monotonic seconds throughout.
    """

    sample_bytes: int = 2
    """Of each sample of audio."""
    state: State = State.OPENING
    counters: Counters = field(default_factory=Counters)
    _marks: int = 0
    _tokens: float = TEXT_BURST
    _refilled: float | None = None
    _told: dict[ErrorCode, float] = field(default_factory=dict)

    def receive_text(self, payload: bytes, now: float) -> FromBot | Error | None:
        """The command in a text frame, the error to answer with, or None: ignored."""
        if self.state is State.STOPPED:
            return None
        self.counters.text_frames += 1
        if not self._take_token(now):
            return self._sparing(
                ErrorCode.RATE_LIMITED,
                f"more than {TEXT_RATE:.0f} text messages a second: some were ignored",
                now,
            )
        if self.state is State.OPENING:
            return self._error(ErrorCode.BEFORE_START, "wait for `start` before sending")
        if len(payload) > MAX_TEXT:
            return self._error(
                ErrorCode.TOO_LARGE, f"a text message of {len(payload)} bytes, at most {MAX_TEXT}"
            )
        try:
            command = _ADAPTER.validate_json(payload)
        except ValidationError as invalid:
            return self._invalid(invalid)
        if self.state is State.WAITING and not isinstance(command, _WHILE_WAITING):
            return self._error(
                ErrorCode.REFUSED,
                "a transfer is under way: only cancel_transfer, set and log are obeyed",
                "type",
            )
        if self.state is State.STARTED and isinstance(command, CancelTransfer):
            return self._error(ErrorCode.REFUSED, "no transfer is under way", "type")
        if isinstance(command, Mark):
            if self._marks >= MAX_MARKS:
                return self._error(
                    ErrorCode.TOO_MANY_MARKS,
                    f"{MAX_MARKS} marks are waiting to be played; this one was ignored",
                    "name",
                )
            self._marks += 1
        return command

    def takes_audio(self, size: int) -> bool:
        """Whether a binary message of `size` bytes may be played; `refuse_audio` says why not."""
        if self.state is not State.STARTED or size > MAX_AUDIO or size % self.sample_bytes:
            return False
        self.counters.audio_bytes += size
        return True

    def refuse_audio(self, size: int, now: float) -> Error | None:
        """The answer to audio that is not played, at most one a second for each reason."""
        if self.state is State.STOPPED:
            return None
        if self.state is State.OPENING:
            code, message = ErrorCode.BEFORE_START, "wait for `start` before sending audio"
        elif self.state is State.WAITING:
            code = ErrorCode.REFUSED
            message = "a transfer is under way: audio is not played"
        elif size > MAX_AUDIO:
            code = ErrorCode.TOO_LARGE
            message = f"a binary message of {size} bytes, at most {MAX_AUDIO}; it was not played"
        else:
            code = ErrorCode.ODD_LENGTH
            message = (
                f"a binary message of {size} bytes: PCM16 has two bytes a sample; it was not played"
            )
        return self._sparing(code, message, now)

    def audio_dropped(self, size: int, now: float) -> Error | None:
        """Count bot audio that had no room; the error to send, at most once a second."""
        self.counters.dropped_bytes += size
        return self._sparing(
            ErrorCode.SLOW_DOWN,
            "audio arrived faster than it plays and the oldest was dropped;"
            " pace it, or wait for marks",
            now,
        )

    def mark_reached(self, name: str, played: bool) -> MarkReached:
        """The frame that reports a mark."""
        self._marks -= 1
        return MarkReached(name=name, played=played)

    def refuse(self, code: ErrorCode, message: str, at: str | None = None) -> Error:
        """The answer to a command that was understood and cannot be obeyed."""
        return self._error(code, message, at)

    def _error(self, code: ErrorCode, message: str, at: str | None = None) -> Error:
        self.counters.errors += 1
        return Error(code=code, message=message, field=at)

    def _sparing(self, code: ErrorCode, message: str, now: float) -> Error | None:
        error = self._error(code, message)
        if now - self._told.get(code, float("-inf")) < ERROR_INTERVAL:
            return None
        self._told[code] = now
        return error

    def _take_token(self, now: float) -> bool:
        if self._refilled is not None:
            earned = (now - self._refilled) * TEXT_RATE
            self._tokens = min(TEXT_BURST, self._tokens + earned)
        self._refilled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _invalid(self, invalid: ValidationError) -> Error:
        """One error for the first thing wrong: the one that a bot's author mends first."""
        first = invalid.errors(include_url=False)[0]
        match first["type"]:
            case "json_invalid":
                return self._error(ErrorCode.INVALID_JSON, first["msg"])
            case "dict_type" if not first["loc"]:
                return self._error(ErrorCode.INVALID_JSON, "a message is a JSON object")
            case "union_tag_not_found":
                return self._error(
                    ErrorCode.UNKNOWN_TYPE, f"`type` is missing; it is one of {_TYPES}", "type"
                )
            case "union_tag_invalid":
                return self._error(
                    ErrorCode.UNKNOWN_TYPE, f"unknown `type`; it is one of {_TYPES}", "type"
                )
            case "extra_forbidden":
                message = f"`{first['loc'][0]}` has no such field"
            case "missing":
                message = f"`{first['loc'][0]}` needs this field"
            case _:
                message = first["msg"].removeprefix("Value error, ")
        path = [str(part) for part in first["loc"][1:] if part != "[key]"]
        return self._error(ErrorCode.INVALID_FIELD, message, ".".join(path)[:256])
