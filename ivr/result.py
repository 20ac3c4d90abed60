"""What a flow leaves behind when a call is over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sip.outcome import Attempt, Handover


class EndReason(StrEnum):
    """Why a flow ended. Exactly one for each call."""

    CALLER_HANGUP = "caller_hangup"
    HANGUP = "hangup"
    """A `hangup` node."""
    BOT_HANGUP = "bot_hangup"
    BOT_DONE = "bot_done"
    """The bot closed its session and its node has no `done`."""
    OPERATOR_HANGUP = "operator_hangup"
    TRANSFERRED = "transferred"
    """The peer took the REFER, or the agent has left and the node has no `next`."""
    HANDED_BACK = "handed_back"
    """The call went back to the trunk with BYE."""
    JOINED = "joined"
    """A peer's transfer has joined this call with another one: `leg.went` says which."""
    FALLBACK = "fallback"
    """A fallback row with `end: true`."""
    FAILED = "failed"
    """A flow that runs in circles, or a fault of ours."""
    SHUTDOWN = "shutdown"
    """The gateway ended the call under the flow: it is stopping, or the leg's media is lost."""


@dataclass(frozen=True, slots=True)
class FlowResult:
    """How a call went through its flow."""

    path: tuple[str, ...]
    """Nodes in the order they were entered; those of another flow than the first as `flow/node`."""
    end: EndReason
    handover: Handover | None
    """What the last transfer came to."""
    attempts: tuple[Attempt, ...]
    message: str = ""
    """What went wrong, where `end` is `failed`."""
    tags: tuple[str, ...] = ()
    """What it was filed under when it ended; transfers have tags of their own."""
