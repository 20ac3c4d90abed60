"""What a flow needs of the world: the caller's call, and bots. `sip.Leg` and the service fill these in.

A flow never sees a socket. The same interpreter runs against a SIP call and against the
in-memory twin of the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from config.flows import Waiting
from config.targets import Target
from sip.audio import Pcm
from sip.errors import CallEnded
from sip.outcome import Attempt, Handover, Method


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """One attempt to reach one target."""

    attempt: str
    """Id of the attempt, unique within the call: `t1`, `t2` …"""
    name: str
    """The target's name, or its destination where it was given inline."""
    target: Target
    method: Method
    timeout: float
    """Seconds that the target may ring (INVITE), or that REFER waits for its final NOTIFY."""
    waiting: Pcm | None
    """Looped to the caller until the verdict; None: the caller hears the target's early media."""
    headers: Mapping[str, str] = field(default_factory=dict)


class CallerCall(Protocol):
    """The caller's leg as a flow uses it. Every method raises `CallEnded` once the caller is gone."""

    @property
    def id(self) -> str:
        """The call's id."""

    async def answer(self) -> None:
        """Answer with 200 if that has not happened yet."""

    async def play(self, audio: Pcm) -> None:
        """Play once; return when the last sample has been played. Cancelling stops the audio."""

    async def transfer(self, order: TransferOrder) -> Attempt:
        """Carry out one attempt and return its verdict.

        For `invite` a success returns when the target has left; for `refer` and `bye`, when the
        verdict is in. The caller hears `order.waiting` in between. Never raises for a failed
        attempt: the failure is the returned attempt's outcome.
        """

    def cancel_transfer(self) -> bool:
        """Cancel a running attempt; its outcome becomes `cancelled`. False: none is running."""

    async def hangup(self, headers: Mapping[str, str]) -> None:
        """End the caller's leg with BYE (or 603 before the answer), carrying `headers`."""


@dataclass(frozen=True, slots=True)
class BotStart:
    """What a bot is told when a conversation begins."""

    bot: str
    """Name of the bot in the configuration."""
    flow: str
    node: str
    handover: Handover | None
    """The last transfer's result, when the flow comes back to the bot after one."""
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BotTransfer:
    """The bot asks for a person. Empty strings and None leave the choice to the flow."""

    target: str
    method: Method | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BotHangup:
    """The bot ends the call."""

    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BotGoto:
    """The bot names the node where the flow goes on."""

    node: str


@dataclass(frozen=True, slots=True)
class BotDone:
    """The bot closed its session in good order; the flow goes on below the node."""


@dataclass(frozen=True, slots=True)
class BotFailed:
    """No connection, a lost socket or a protocol error."""

    reason: str
    """Slug: `connect_failed`, `connect_timeout`, `connection_lost`, `protocol_error`."""
    message: str


BotExit = BotTransfer | BotHangup | BotGoto | BotDone | BotFailed


class BotPort(Protocol):
    """Runs one conversation between this call's caller and a bot."""

    async def converse(self, start: BotStart) -> BotExit:
        """Connect the caller's audio to the bot until one of them decides. Cancelling ends it."""


class WaitingAudio(Protocol):
    """What the caller hears while a target is being reached."""

    def waiting(self, kind: Waiting) -> Pcm | None:
        """The audio of this kind, ready to play; None for early media."""
