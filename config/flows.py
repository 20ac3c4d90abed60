"""A flow as its author writes it: named nodes, their prompts, and where each exit leads."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from config.call_recordings import Consent, Party, RecordAction, RecordedLeg, Sides
from config.context import MAX_ENTRIES, FlowContext
from config.errors import InvalidValue
from config.outcomes import check_fallback_key
from config.strict import FilePath, Name, Seconds, Strict, Words
from config.targets import MethodName, Target
from config.templates import HeaderTemplates, TemplateText


class TextPrompt(Strict):
    """Words, spoken by the configured speech engine. A plain string means the same."""

    text: Words
    voice: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9+/_-]*$")
    """Another voice than that of `speech.voice`."""


class FilePrompt(Strict):
    """A recording in a WAV file."""

    file: FilePath
    """Relative to the flow file's folder."""


# The tags of a union become part of an error's place. A tag is spelled like a class, so that
# config.explain tells it from a key of the file.


def _prompt_tag(prompt: Any) -> str | None:
    match prompt:
        case str():
            return "Words"
        case {"file": _} | FilePrompt():
            return "FilePrompt"
        case dict() | TextPrompt():
            return "TextPrompt"
        case _:
            return None


def _prompts_tag(prompts: Any) -> str:
    return "Several" if isinstance(prompts, list) else "One"


def _target_tag(target: Any) -> str | None:
    match target:
        case str():
            return "Name"
        case dict() | Target():
            return "Target"
        case _:
            return None


Prompt = Annotated[
    Annotated[Words, Tag("Words")]
    | Annotated[TextPrompt, Tag("TextPrompt")]
    | Annotated[FilePrompt, Tag("FilePrompt")],
    Discriminator(
        _prompt_tag,
        custom_error_type="prompt",
        custom_error_message="expected a prompt: text, or `text: …`, or `file: …`",
    ),
]

Prompts = Annotated[
    Annotated[Prompt, Tag("One")] | Annotated[list[Prompt], Field(min_length=1), Tag("Several")],
    Discriminator(_prompts_tag),
]
"""One prompt, or several of which one is chosen at random each time."""


class Waiting(StrEnum):
    """What the caller hears while a target is being reached."""

    RINGBACK = "ringback"
    MUSIC = "music"
    EARLY_MEDIA = "early_media"
    """What the target sends before it answers; ringback while it sends nothing."""


class Accept(Strict):
    """The agent is asked to take the call by pressing a key."""

    prompt: Prompts
    """What the agent hears once it has answered."""
    digits: str = Field(default="1", pattern=r"^[0-9*#A-D]+$")
    """Any one of these takes the call; every other key declines it."""
    timeout: Seconds = Field(default=5, gt=0)
    """How long to wait for a key after the prompt has been played."""
    times: int = Field(default=2, ge=1, le=10)
    """How often the prompt is played before silence counts as a refusal."""


class Retry(Strict):
    """Try again, before words are said. Never where the last try may still be ringing."""

    times: int = Field(default=1, ge=1, le=10)
    """How often at most, in one visit of the node."""
    delay: Annotated[float, Field(ge=0, le=60)] = 0
    """Seconds in between; longer where the peer's Retry-After says so."""
    next_target: Name | None = None
    """Who is tried instead: a named target or a group; default: the same."""


class Fallback(Strict):
    """What happens after one kind of failure: words first, then a node or the end of the call."""

    retry: Retry | None = None
    """Try again first; what follows is for when that fails as well."""
    prompt: Prompts | None = None
    """Played out before the call goes on."""
    node: Name | None = None
    """Where the flow goes on."""
    end: Literal[True] | None = None
    """`end: true`: the prompt is played out, then the call ends with BYE."""

    @model_validator(mode="after")
    def _one_way_on(self) -> Self:
        if (self.node is None) == (self.end is None):
            both = "has both `node` and `end`" if self.end else "says not where the call goes"
            raise InvalidValue(both, "Write `node: NAME`, or `end: true`")
        return self


FallbackKey = Annotated[str, AfterValidator(check_fallback_key)]
"""A SIP code (`"486"`), an outcome (`busy`), a class (`4xx`, `5xx`, `6xx`), or `default`."""


class Play(Strict):
    """Play a prompt to its end."""

    type: Literal["play"]
    prompt: Prompts
    """What is said."""
    next: Name
    """The node after it."""


class Bot(Strict):
    """Connect the caller to a bot until the bot decides."""

    type: Literal["bot"]
    bot: Name
    """A bot of the settings."""
    transfer: dict[Name, Name] = Field(default_factory=dict)
    """Which `agent_transfer` node serves which target the bot asks for; `default`: the rest."""
    stays: bool = False
    """The bot stays connected, without audio, while the target it asked for is reached: it is told
    how that goes and may take it back. `false`: its session ends with its `transfer`."""
    done: Name | None = None
    """Where the flow goes when the bot closes its session; absent: the call ends."""
    error: Name
    """Where the flow goes when the bot cannot be reached or breaks off."""


class AgentTransfer(Strict):
    """Hand the caller to a person."""

    type: Literal["agent_transfer"]
    target: (
        Annotated[
            Annotated[Name, Tag("Name")] | Annotated[Target, Tag("Target")],
            Discriminator(
                _target_tag,
                custom_error_type="target",
                custom_error_message="expected a target's name, or a target written here",
            ),
        ]
        | None
    ) = None
    """A named target or group, a target written here, or absent: whom the bot or the API names."""
    method: MethodName | None = None
    """Default: what the bot asked for, else the target's method."""
    timeout: Seconds | None = Field(default=None, gt=0)
    """How long the target, or the group altogether, may ring; default: its own timeout."""
    accepted_message: Prompts | None = None
    """Said before anything is dialled."""
    repeat_message: Seconds | None = Field(default=None, ge=5)
    """Seconds after which it is said again, as often as it takes; default: it is said once."""
    cancel_digit: Annotated[str, Field(pattern=r"^[0-9*#A-D]$")] | None = None
    """The digit by which the caller takes the transfer back, until caller and target talk."""
    waiting: Waiting = Waiting.RINGBACK
    """What the caller hears until the target answers or fails."""
    answer_on_bridge: bool = False
    """The caller is not answered before the target is (by `invite` only): until then it hears the
    waiting sound as early media, or, with `ringback`, its own telephone's ringing."""
    accept: Accept | None = None
    """The agent must press a key to take the call (by `invite` only)."""
    whisper: Prompts | None = None
    """Said to the agent alone, before caller and agent hear each other (by `invite` only). A text
    may have placeholders, `{{ context.summary }}` among them."""
    max_talk: Seconds | None = Field(default=None, gt=0)
    """How long caller and agent may talk; then the flow goes on at `next` (by `invite` only)."""
    max_talk_prompt: Prompts | None = None
    """Said to both when that time is over."""
    flow_continuation: Literal["below", "entry_point"] = "entry_point"
    """Where the flow goes on after the agent has left: `entry_point`, at the node that the API has
    set meanwhile by `continue_at`, else at `next`; `below`, at `next`, whatever was set."""
    headers: HeaderTemplates = Field(default_factory=dict)
    """Sent on the INVITE, REFER or BYE; values may have placeholders."""
    context: FlowContext = FlowContext()
    """What the one who takes the call is told, in the way that the trunk asks for."""
    fallback: dict[FallbackKey, Fallback]
    """What happens when the transfer fails. The most exact key wins; `default` must be there."""
    next: Name | None = None
    """Where the flow goes on after the agent has left; absent: the call ends."""
    resume: Name | None = None
    """Where the flow goes on when the call comes back with its hand-back token; for `bye`, absent:
    `next`. Without either no token is sent."""


class Lookup(Strict):
    """Branch on the result of the last transfer."""

    type: Literal["lookup"]
    on: Literal["handover.status", "handover.outcome", "handover.error.reason", "handover.sip_code"]
    """What is looked at."""
    cases: dict[str, Name] = Field(min_length=1)
    """The node for each value."""
    default: Name
    """The node for every other value, and when there was no transfer yet."""


class Goto(Strict):
    """Go on at another node, in this flow or at the start of another."""

    type: Literal["goto"]
    node: Name | None = None
    """A node of this flow."""
    flow: Name | None = None
    """Another flow; it begins at its `start`."""

    @model_validator(mode="after")
    def _one_way_on(self) -> Self:
        if (self.node is None) == (self.flow is None):
            both = "has both `node` and `flow`" if self.node else "says not where to go"
            raise InvalidValue(both, "Write `node: NAME`, or `flow: NAME`")
        return self


class Hangup(Strict):
    """Say goodbye and end the call with BYE."""

    type: Literal["hangup"]
    prompt: Prompts | None = None
    """Played out first."""
    headers: HeaderTemplates = Field(default_factory=dict)
    """Sent on the BYE; values may have placeholders."""
    tags: list[TemplateText] = Field(default_factory=list, max_length=MAX_ENTRIES)
    """Words that the call is filed under; one that fills in as `a, b` is two."""


class Record(Strict):
    """Start, pause, resume or stop recordings of the call, or note the caller's consent."""

    type: Literal["record"]
    action: RecordAction | None = None
    """What is done; where it cannot be done, the call goes on all the same."""
    leg: Party | None = None
    """Whose leg is meant; `agent`: each agent's, those that answer later included. Without it,
    `start` is for the caller's leg, and everything else for all recordings of the call."""
    sides: Sides | None = None
    """Of `start`: `both` (the default) is stereo, left what the party says, right what it hears;
    `said` or `heard` is that side alone, mono."""
    consent: Literal[Consent.GRANTED, Consent.DECLINED] | None = None
    """What the caller has said; after `declined` no recording starts. Kept in the call's variable
    `consent`, which a bot can set as well."""
    next: Name
    """The node after it."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.action is None and self.consent is None:
            raise InvalidValue("does nothing", "Write `action: start`, or `consent: granted`")
        if self.leg is not None and self.action is None:
            raise InvalidValue("does nothing", "Write `action: start` too", at="leg")
        if self.sides is not None and self.action is not RecordAction.START:
            raise InvalidValue("is of `action: start` alone", "Leave it out", at="sides")
        return self


Node = Annotated[
    Play | Bot | AgentTransfer | Record | Lookup | Goto | Hangup, Field(discriminator="type")
]


class Flow(Strict):
    """A call's way through its nodes: one file of the flows folder."""

    flow: Name
    """The flow's name, by which trunks and `goto` nodes refer to it."""
    start: Name
    """The node where a call begins."""
    record: bool | Annotated[list[RecordedLeg], Field(min_length=1, max_length=2)] = False
    """Record calls from where they enter this flow; a `record` node says otherwise later. `true`
    records the caller's leg, and thereby the call; a list says which legs are recorded."""
    transfer_node: Name | None = None
    """The `agent_transfer` node for transfers that an operator orders through the API."""
    entries: list[Name] = Field(default_factory=list)
    """Nodes that only a `goto` of a bot or of the API leads to."""
    nodes: dict[Name, Node] = Field(min_length=1)
    """The nodes, by name."""

    @property
    def recorded_legs(self) -> list[RecordedLeg]:
        """What `record` says, whichever way it is written."""
        if isinstance(self.record, list):
            return self.record
        return [RecordedLeg(leg=Party.CALLER)] if self.record else []

    @field_validator("record")
    @classmethod
    def _each_leg_once(cls, record: bool | list[RecordedLeg]) -> bool | list[RecordedLeg]:
        if isinstance(record, list) and len({each.leg for each in record}) < len(record):
            raise InvalidValue("names a leg twice", "Write each of `caller` and `agent` once")
        return record
