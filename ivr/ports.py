"""What a flow needs of the world: the caller's call, bots and prompts. `sip.Leg`, the service's bot
sessions and `ivr.prompts` fill these in.

A flow never sees a socket. The same interpreter runs against a SIP call and against the
in-memory twin of the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from config.call_recordings import Party, RecordAction, Sides
from config.context import NO_CONTEXT, Context
from config.flows import Prompt, Waiting
from config.groups import Group
from config.targets import Target
from ivr.reaching import Progress
from sip.audio import Pcm
from sip.context.received import Received
from sip.errors import CallEnded
from sip.events import Event
from sip.order import TransferOrder
from sip.outcome import Attempt, Handover, Method

__all__ = [
    "Accepts",
    "Availability",
    "BotDone",
    "BotExit",
    "BotFailed",
    "BotGoto",
    "BotHangup",
    "BotPort",
    "BotStart",
    "BotTransfer",
    "CallEnded",
    "CallFacts",
    "CallerCall",
    "Dismissal",
    "PromptSource",
    "Recording",
    "TakeBack",
    "TransferOrder",
    "TrunkCapabilities",
]


class CallFacts(Protocol):
    """What is known of a call from its INVITE."""

    @property
    def trunk(self) -> str:
        """Name of the trunk the call came over."""

    @property
    def caller(self) -> str:
        """User part of From."""

    @property
    def number(self) -> str:
        """What was dialled: user part of the request URI."""

    @property
    def received(self) -> Received:
        """What the INVITE brought along."""


class CallerCall(Protocol):
    """The caller's leg as a flow uses it.

    Every coroutine raises `CallEnded` once the caller is gone, `transfer` aside: what became of an
    attempt that was begun is always returned.
    """

    @property
    def id(self) -> str:
        """The call's id."""

    @property
    def info(self) -> CallFacts:
        """What is known from the INVITE."""

    @property
    def label(self) -> str:
        """What the leg's own events carry as `leg`: `caller`."""

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Hand `listener` the leg's events so far, then each one as it happens, on the loop.

        The flow reads `TransferJoined`, `TransferEnded`, and the caller's `LegEnded`.
        """

    async def answer(self) -> None:
        """Answer with 200 if that has not happened yet."""

    async def play(self, audio: Pcm) -> None:
        """Play once; return when the last sample has been played. Cancelling stops the audio.

        A caller that is not answered hears it as early media.

        Audio played at the same time is mixed: an operator's announcement sounds over a bot.
        """

    def loop(self, audio: Pcm) -> None:
        """Play again and again below everything else, until `stop_loop` or a target's answer.

        A caller that is not answered hears it as early media.
        """

    def alert(self, audio: Pcm) -> None:
        """As `loop`, but a caller that is not answered is told 180: its own telephone rings."""

    def stop_loop(self) -> None:
        """End the sound that loops."""

    async def transfer(self, order: TransferOrder) -> Attempt:
        """Carry out one attempt and return its verdict. Several by `invite` may run at once.

        For `invite` a success returns when the target has left; for `refer` and `bye`, when the
        verdict is in. A caller that is not answered is answered once the target has accepted. Never
        raises for a failed attempt, nor for a caller who hangs up: both are the returned attempt's
        outcome. `order.withdraw` takes it back until then. Cancelling
        releases the target at once; the attempt's `TransferEnded` is then all that is left of it.

        Raises:
            CallEnded: the caller was gone before the attempt began.
        """

    async def hangup(self, headers: Mapping[str, str], code: int = 603) -> None:
        """End the caller's leg with BYE, or before the answer with `code`, carrying `headers`."""


TakeBack = Callable[[], str | None]
"""Takes the transfer back that a bot has asked for: None, or why that is too late or too early."""


@dataclass(frozen=True, slots=True)
class BotStart:
    """What a bot is told when a conversation begins."""

    bot: str
    """Name of the bot in the configuration."""
    flow: str
    node: str
    handover: Handover | None
    """The last transfer's result, when the flow comes back to the bot after one."""
    variables: dict[str, str]
    """The call's own, shared by all its conversations: what a bot sets here the next one gets."""
    take_back: TakeBack | None = None
    """The bot stays connected while the target it asks for is reached, and may take the transfer
    back by this; None: it leaves with its transfer."""


@dataclass(frozen=True, slots=True)
class BotTransfer:
    """The bot asks for a person. Empty strings and None leave the choice to the flow."""

    target: str
    """A target's name, or a destination: a SIP URI or a number."""
    method: Method | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    context: Context = NO_CONTEXT


@dataclass(frozen=True, slots=True)
class BotHangup:
    """The bot ends the call."""

    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    """What the call is filed under."""


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

Accepts = Callable[[BotExit], str | None]
"""Asks the flow whether it can follow an exit: None, or the refusal in words the bot's author
understands. Answers at once and changes nothing."""


class Dismissal(StrEnum):
    """Why a bot that has stayed is not needed any more."""

    TRANSFERRED = "transfer"
    """The caller has somebody to talk to."""
    CALLER_LEFT = "caller_hangup"
    ELSEWHERE = "flow"
    """The call goes on, or ends, without it."""


class BotPort(Protocol):
    """Runs one conversation at a time between this call's caller and a bot."""

    async def converse(self, start: BotStart, accepts: Accepts) -> BotExit:
        """Connect the caller's audio to the bot until one of them decides. Cancelling ends it.

        A `BotTransfer` or `BotGoto` is shown to `accepts` before it ends the conversation. Where
        that refuses, the bot is sent the refusal as an error and the conversation goes on: a bad
        command never costs the call.

        With `start.take_back`, an accepted `BotTransfer` leaves the bot connected, apart from the
        caller's audio. The next conversation at the same node is with that bot, if it is still
        there, and without a new start; one at another node dismisses it.
        """

    def tell(self, news: Progress | Handover) -> None:
        """Tell the bot that has stayed how its transfer goes, or, last, what has become of it.
        Without effect where none has."""

    def dismiss(self, why: Dismissal) -> None:
        """End the session of the bot that has stayed. Without effect where none has, and on a
        conversation with the caller."""


@dataclass(frozen=True, slots=True)
class RecordOrder:
    """What is to be done with the recordings of a call."""

    action: RecordAction
    leg: str = ""
    """A leg's label; `agent`: each agent's, those that answer later included. Empty: `start` is for
    the caller's leg, everything else for all recordings."""
    sides: Sides = Sides.BOTH
    """Of `start`."""


class Recording(Protocol):
    """Records the legs of this call to files. Whatever becomes of that, the call goes on."""

    def active(self, party: Party) -> bool:
        """Whether the caller's leg is being recorded, or those of the agents are to be; paused or
        not."""

    def act(self, order: RecordOrder) -> str | None:
        """Do it at once. Returns why that cannot be; None: done, or it was so already."""


class Availability(Protocol):
    """Who can be reached now: office hours, what agents say of themselves, what a service knows."""

    async def unavailable(self, name: str, whom: Target | Group) -> str | None:
        """Why a target or group must not be dialled now; None: it may. Never raises.

        `name` is its name in the configuration, or the destination of a target that has none.
        """


class TrunkCapabilities(Protocol):
    """What the peers behind the trunks can do, as configured or as they have shown before."""

    def takes_refer(self, trunk: str) -> bool | None:
        """Whether a trunk's peer takes REFER; None: that is not known."""

    def showed_refer(self, trunk: str, *, takes: bool, code: int | None) -> None:
        """Keep what a REFER was answered with, for later calls."""


class PromptSource(Protocol):
    """The words and sounds of the flows, as audio."""

    def prepared(self, prompt: Prompt) -> Pcm:
        """A prompt of a flow, made ready before the first call. Raises `PromptError` if not."""

    async def render(self, flow: str, prompt: Prompt) -> Pcm:
        """Any prompt, spoken or converted now; a file is relative to the flow's folder.

        Raises:
            PromptError: there is no such file, or it cannot be played or spoken.
        """

    def refusal(self, flow: str, prompt: Prompt) -> str | None:
        """Why an operator may not have this prompt played; None: `render` may be tried."""

    def waiting(self, kind: Waiting) -> Pcm:
        """The sound of this kind, made to be looped."""
