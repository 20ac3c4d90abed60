"""A call that leaves its flow with a token, and goes on below the node when it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from config.flows import AgentTransfer
from config.targets import Target
from sip.outcome import (
    Attempt,
    Handover,
    HandoverErrorReason,
    HandoverStatus,
    Method,
    Outcome,
)


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where a call goes on, and with what it left."""

    call: str
    """Id of the call that left."""
    flow: str
    node: str
    target: str
    """Who had it meanwhile: a target's name or destination."""
    variables: Mapping[str, str] = field(default_factory=dict)


class Resumptions(Protocol):
    """Keeps what calls left with, until they come back."""

    async def offer(self, resumption: Resumption, trunk: str) -> str:
        """Keep it for a call that comes back over `trunk`, or over one that may stand in for it.

        Returns:
            The token to send along; empty: it cannot be kept. Takes half a second at most.
        """

    def withdraw(self, token: str) -> None:
        """The call has not left: nobody shall come back with this token."""


def way_back(node: AgentTransfer, how: Method) -> str | None:
    """The node where a call that left by `how` goes on; None: it does not come back."""
    if node.resume is not None:
        return node.resume
    return node.next if how is Method.BYE else None


def trunk_of(how: Method, caller: str, target: Target) -> str | None:
    """The trunk that is given the token: the one that the message goes to."""
    return target.trunk if how in (Method.INVITE, Method.ATTENDED) else caller


_STILL_GOOD = frozenset({Outcome.NO_VERDICT, Outcome.NETWORK_FAILURE})
"""The peer may have the caller although nobody said so."""


def has_left(attempt: Attempt) -> bool:
    """Whether the call may be with somebody who can bring it back."""
    return attempt.outcome.succeeded or attempt.outcome in _STILL_GOOD


def handover_told(status: str, target: str) -> Handover:
    """What became of the caller meanwhile, from the word of the trunk that brings the call back.

    Args:
        status: `completed`, `cancelled`, `error`, `unsupported`, or an outcome, whatever the case;
            empty means `completed`, and so does a word that is none of these.
        target: who had the call.
    """
    word = status.strip().lower()
    match word:
        case "" | "completed":
            return Handover(HandoverStatus.COMPLETED, Outcome.CONNECTED, target=target)
        case "error" | "unsupported":
            reason = HandoverErrorReason(word)
            return Handover(HandoverStatus.ERROR, None, reason, "told by the trunk", target=target)
        case _ if word in list(Outcome):
            return Handover.of(Attempt("", Method.BYE, target, "", Outcome(word)))
    unknown = f"the trunk says {word[:40]!r}"
    return Handover(HandoverStatus.COMPLETED, Outcome.CONNECTED, message=unknown, target=target)
