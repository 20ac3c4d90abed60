"""What a transfer is asked to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from config.context import NO_CONTEXT, Context
from config.targets import Target
from sip.audio import Pcm
from sip.outcome import Dropped, Method


class Withdrawal(StrEnum):
    """Why a target is not wanted any more, though neither it nor the caller has left."""

    CANCELLED = "cancelled through the API"
    LET_GO = "the call went on without it"
    """An operator sent it elsewhere or ended it, or the gateway stops."""
    BY_CALLER = "cancelled by the caller"
    BY_BOT = "cancelled by the bot"
    ELSEWHERE = "answered elsewhere"
    """Another target that was rung at the same time has the caller."""


def _at_once() -> bool:
    return True


def _new_withdrawal() -> asyncio.Future[Withdrawal]:
    return asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An agent that has answered is asked to take the call by pressing a key."""

    prompt: Pcm
    digits: str
    """Any one of these takes the call; every other one declines it."""
    timeout: float
    """Seconds to wait for a key, each time the prompt has been played."""
    times: int
    """How often it is played."""


Whisper = Pcm | asyncio.Future[Pcm | None]
"""Words to the target, or those that are still being spoken; a result of None: they cannot be."""


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """One attempt to reach one target. Several may be under way for one caller at once."""

    attempt: str
    """Id of the attempt, unique within the call: `t1`, `t2` …"""
    name: str
    """The target's name, or its destination where it was given inline."""
    target: Target
    method: Method
    timeout: float
    """Seconds that the target may ring (INVITE)."""
    referred_by: str = ""
    """The leg whose REFER asked for it; empty: the flow, a bot or an operator did."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent on the INVITE, REFER or BYE."""
    context: Context = NO_CONTEXT
    """What the target is told, in the way that its trunk asks for."""
    token: str = ""
    """The hand-back token; empty: the call does not come back."""
    dropped: tuple[Dropped, ...] = ()
    """What did not travel, for reasons that were known before."""
    early_media: bool = False
    """While the target plays something before it answers, the caller hears that (INVITE)."""
    accept: Acceptance | None = None
    whisper: Whisper | None = None
    """Played to the target alone before the legs are joined (INVITE)."""
    max_talk: float | None = None
    """Seconds that the legs may be joined (INVITE)."""
    max_talk_prompt: Pcm | None = None
    """Played to both at the end of that."""
    hold_music: Pcm | None = None
    """Looped to the party whose peer holds it (INVITE)."""
    claim: Callable[[], bool] = _at_once
    """Asked once, when the target has answered and accepted: False, another was faster (INVITE)."""
    withdrawal: asyncio.Future[Withdrawal] = field(default_factory=_new_withdrawal)
    """Its result takes the order back; without effect once the attempt has its verdict."""

    def withdraw(self, why: Withdrawal) -> None:
        """Take the order back: the attempt's outcome becomes `cancelled`, if it has none yet."""
        if not self.withdrawal.done():
            self.withdrawal.set_result(why)
