"""A flow as its author writes it: named nodes, their prompts, and where each exit leads."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from config.strict import Name, Seconds, Strict
from config.targets import MethodName, Target


class TextPrompt(Strict):
    """Words, spoken by the configured speech engine. A plain string means the same."""

    text: str = Field(min_length=1)
    voice: str | None = None


class FilePrompt(Strict):
    """A recording, relative to the flow file's folder."""

    file: str = Field(min_length=1)


Prompt = Annotated[str, Field(min_length=1)] | TextPrompt | FilePrompt
Prompts = Prompt | Annotated[list[Prompt], Field(min_length=1)]
"""One prompt, or several of which one is chosen at random each time."""


class Waiting(StrEnum):
    """What the caller hears while a target is being reached."""

    RINGBACK = "ringback"
    MUSIC = "music"


class Fallback(Strict):
    """What happens after one kind of failure: words first, then a node or the end of the call."""

    prompt: Prompts | None = None
    node: Name | None = None
    end: Literal[True] | None = None
    """`end: true`: the prompt is played out, then the call ends with BYE."""


FallbackKey = Annotated[str, Field(min_length=1)]
"""A SIP code (`"486"`), an outcome (`busy`), a class (`4xx`, `5xx`, `6xx`), or `default`."""


class Play(Strict):
    """Play a prompt to its end."""

    type: Literal["play"]
    prompt: Prompts
    next: Name


class Bot(Strict):
    """Connect the caller to a bot until the bot decides."""

    type: Literal["bot"]
    bot: Name
    transfer: dict[Name, Name] = Field(default_factory=dict)
    """Which `agent_transfer` node serves which target that the bot asks for; `default` for the rest."""
    done: Name | None = None
    """Where the flow goes when the bot closes its session; absent: the call ends."""
    error: Name
    """Where the flow goes when the bot cannot be reached or breaks off."""


class AgentTransfer(Strict):
    """Hand the caller to a person."""

    type: Literal["agent_transfer"]
    target: Name | Target | None = None
    """A named target, one written here, or absent: the one that the bot or the API asked for."""
    method: MethodName | None = None
    """Default: what the bot asked for, else the target's method."""
    timeout: Seconds | None = Field(default=None, gt=0)
    accepted_message: Prompts | None = None
    """Said before anything is dialled."""
    waiting: Waiting = Waiting.RINGBACK
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent on the INVITE, REFER or BYE."""
    fallback: dict[FallbackKey, Fallback]
    next: Name | None = None
    """Where the flow goes on after the agent has left; absent: the call ends."""


class Lookup(Strict):
    """Branch on the result of the last transfer."""

    type: Literal["lookup"]
    on: Literal[
        "handover.status", "handover.outcome", "handover.error.reason", "handover.sip_code"
    ]
    cases: dict[str, Name] = Field(min_length=1)
    default: Name


class Goto(Strict):
    """Go on at another node, in this flow or at the start of another."""

    type: Literal["goto"]
    node: Name | None = None
    flow: Name | None = None


class Hangup(Strict):
    """Say goodbye and end the call with BYE."""

    type: Literal["hangup"]
    prompt: Prompts | None = None
    headers: dict[str, str] = Field(default_factory=dict)


Node = Annotated[
    Play | Bot | AgentTransfer | Lookup | Goto | Hangup, Field(discriminator="type")
]


class Flow(Strict):
    """A call's way through its nodes."""

    flow: Name
    start: Name
    transfer_node: Name | None = None
    """The `agent_transfer` node for transfers that an operator orders through the API."""
    nodes: dict[Name, Node] = Field(min_length=1)
