"""The messages of `switchhook.v1`, the gateway's own bot protocol: every field and every limit.

Text frames are JSON objects with a `type`; binary frames are audio. The classes here are what
docs/bots.md describes. What a bot sends is strict: an unknown field or a wrong type is an error
that names the field. Durations are milliseconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from config.context import Context, Tags
from config.headers import check_name, check_value
from config.media import Samples
from config.strict import Name
from sip.outcome import HandoverErrorReason, HandoverStatus, Method, Outcome

SUBPROTOCOL: Final = "switchhook.v1"
"""Offered and required as the WebSocket subprotocol (RFC 6455 section 1.9), and `start.version`."""

FRAME_MS = 20
"""The caller's audio comes in frames of this length; a bot may send any length."""

MAX_NAME = 128
"""Characters of a mark's or node's name. Names are echoed and logged, so they stay short."""

MAX_LOG = 2_000
"""Characters of a bot's log line."""

MAX_DIGITS = 32
"""Digits of one `send_dtmf`: the queue that PJSIP keeps for a stream."""

MAX_VARIABLES = 64
MAX_VARIABLE = 1_000
"""Characters of a variable's value; with MAX_VARIABLES a call remembers at most 64 KB for bots."""

MAX_HEADERS = 16
MAX_HEADER_VALUE = 512
"""With MAX_HEADERS a bot can add at most 8 KB to a message, below what SIP peers refuse."""


class ErrorCode(StrEnum):
    """Why a bot's frame was not obeyed."""

    INVALID_JSON = "invalid_json"
    """Not a JSON object in UTF-8."""
    UNKNOWN_TYPE = "unknown_type"
    INVALID_FIELD = "invalid_field"
    """A field is missing, unknown, of the wrong type or out of range."""
    BEFORE_START = "before_start"
    """Sent before the bot had `start`."""
    TOO_LARGE = "too_large"
    ODD_LENGTH = "odd_length"
    """Audio of an odd number of bytes: PCM16 samples are two bytes each."""
    RATE_LIMITED = "rate_limited"
    """Too many text messages; at most one such error a second."""
    SLOW_DOWN = "slow_down"
    """Audio beyond the backlog was dropped; at most one such error a second."""
    TOO_MANY_MARKS = "too_many_marks"
    REFUSED = "refused"
    """The flow does not allow it, or not now; the message says why."""
    BUSY = "busy"
    """The same request is still being carried out."""


class StopReason(StrEnum):
    """Why the gateway ends a conversation."""

    CALLER_HANGUP = "caller_hangup"
    HANGUP = "hangup"
    """The bot's own `hangup`."""
    TRANSFER = "transfer"
    """The bot's own `transfer`; a later `start` may bring its result as `handover`. A bot that
    stays gets it once the caller has somebody to talk to."""
    FLOW = "flow"
    """The call goes on elsewhere: the bot's `goto`, or a decision of an operator."""


class _ToBot(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class UserToUser(_ToBot):
    """`start.sip.user_to_user`: a value of User-to-User (RFC 7433)."""

    text: str | None
    """Decoded; null where it is no text."""
    value: str
    purpose: str


class SipFacts(_ToBot):
    """`start.sip`: the caller's Call-ID and what the trunk lets through of the headers received."""

    call_id: str
    headers: dict[str, str]
    user_to_user: list[UserToUser]


class AudioFormat(_ToBot):
    """`start.audio`: the same format both ways, mono."""

    encoding: Samples
    sample_rate: int
    frame_ms: int = FRAME_MS


class FlowPosition(_ToBot):
    """`start.flow`: where in which flow the bot stands."""

    name: str
    node: str


class HandoverError(_ToBot):
    """`start.handover.error`."""

    reason: HandoverErrorReason


class HandoverFacts(_ToBot):
    """What became of the call's last transfer: `start.handover`, and the frame `handover`."""

    status: HandoverStatus
    outcome: Outcome | None
    sip_code: int | None
    target: str
    message: str
    error: HandoverError | None


class Start(_ToBot):
    """The first frame of a connection."""

    type: Literal["start"] = "start"
    version: Literal["switchhook.v1"] = SUBPROTOCOL
    call_id: str
    from_: str = Field(serialization_alias="from")
    to: str
    direction: Literal["inbound"] = "inbound"
    trunk: str
    sip: SipFacts
    audio: AudioFormat
    flow: FlowPosition
    variables: dict[str, str]
    handover: HandoverFacts | None
    reconnected: bool
    """True on the second connection of a conversation: the first one failed."""


class Dtmf(_ToBot):
    """The caller pressed a digit: `0`-`9`, `*`, `#`, `A`-`D`."""

    type: Literal["dtmf"] = "dtmf"
    digit: str
    duration_ms: int


class MarkReached(_ToBot):
    """The audio before a mark has been played, or was dropped by `clear` (`played` false)."""

    type: Literal["mark"] = "mark"
    name: str
    played: bool


class Hold(_ToBot):
    """The caller put the call on hold."""

    type: Literal["hold"] = "hold"


class Resume(_ToBot):
    """The caller came back from hold."""

    type: Literal["resume"] = "resume"


class TransferProgress(_ToBot):
    """How far the transfer has come that a bot asked for which stays."""

    type: Literal["transfer"] = "transfer"
    attempt: str | None
    """Null: it was ordered, and nothing has been dialled yet."""
    target: str
    status: HandoverStatus
    outcome: Outcome | None
    sip_code: int | None


class HandedOver(HandoverFacts):
    """What has become of that transfer, told once: the caller is back, or with somebody."""

    type: Literal["handover"] = "handover"


class SpeechStarted(_ToBot):
    """The caller begins to speak. `cleared`: the bot's audio that still waited was dropped."""

    type: Literal["speech_started"] = "speech_started"
    cleared: bool


class SpeechStopped(_ToBot):
    """The caller has stopped, after so long."""

    type: Literal["speech_stopped"] = "speech_stopped"
    duration_ms: int


class Silence(_ToBot):
    """Neither side has been heard for so long."""

    type: Literal["silence"] = "silence"
    seconds: float


class Stop(_ToBot):
    """The last frame of a connection; the gateway closes it next."""

    type: Literal["stop"] = "stop"
    reason: StopReason


class Error(_ToBot):
    """A frame of the bot was not obeyed. The call goes on."""

    type: Literal["error"] = "error"
    code: ErrorCode
    message: str
    field: str | None = None
    """Dotted path of the field at fault, e.g. `headers.X-Case`."""


ToBot = (
    Start
    | Dtmf
    | MarkReached
    | Hold
    | Resume
    | SpeechStarted
    | SpeechStopped
    | Silence
    | TransferProgress
    | HandedOver
    | Stop
    | Error
)


class _FromBot(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]
Headers = Annotated[
    dict[
        Annotated[str, AfterValidator(check_name)],
        Annotated[str, StringConstraints(max_length=MAX_HEADER_VALUE), AfterValidator(check_value)],
    ],
    Field(max_length=MAX_HEADERS),
]
"""For the INVITE, REFER or BYE; config/headers.py has the names that the gateway writes itself."""


class Mark(_FromBot):
    """Report when the audio sent so far has been played."""

    type: Literal["mark"]
    name: Text


class Clear(_FromBot):
    """Drop the audio that has not been played yet."""

    type: Literal["clear"]


class Transfer(_FromBot):
    """Hand the caller to a person."""

    type: Literal["transfer"]
    target: Annotated[str, StringConstraints(max_length=256)] = ""
    """A target of the configuration, or a destination that its rules allow; empty: the flow's."""
    method: Method | None = None
    headers: Headers = Field(default_factory=dict)
    context: Context = Context()
    """What the one who takes the call is told."""


class CancelTransfer(_FromBot):
    """Take the transfer back that is under way."""

    type: Literal["cancel_transfer"]


class Hangup(_FromBot):
    """End the call."""

    type: Literal["hangup"]
    headers: Headers = Field(default_factory=dict)
    tags: Tags = Field(default_factory=list)
    """What the call is filed under."""


class Goto(_FromBot):
    """Leave the bot and go on at another node of the flow."""

    type: Literal["goto"]
    node: Text


class SendDtmf(_FromBot):
    """Press digits towards the caller (RFC 4733)."""

    type: Literal["send_dtmf"]
    digits: Annotated[str, StringConstraints(pattern=rf"^[0-9*#A-D]{{1,{MAX_DIGITS}}}$")]


class Log(_FromBot):
    """A line for the gateway's log, beside the call's own."""

    type: Literal["log"]
    level: Literal["debug", "info", "warning", "error"] = "info"
    message: Annotated[str, StringConstraints(min_length=1, max_length=MAX_LOG)]


class Set(_FromBot):
    """Set variables of the call: every later `start` of this call carries them."""

    type: Literal["set"]
    variables: Annotated[
        dict[Name, Annotated[str, StringConstraints(max_length=MAX_VARIABLE)]],
        Field(max_length=MAX_VARIABLES),
    ]


FromBot = Mark | Clear | Transfer | CancelTransfer | Hangup | Goto | SendDtmf | Set | Log
