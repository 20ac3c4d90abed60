"""What an operator can decide for a call through the control API, and why it can be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from config.call_recordings import Consent
from config.context import NO_CONTEXT, Context
from config.flows import Prompt
from ivr.ports import RecordOrder
from sip.outcome import Method


@dataclass(frozen=True, slots=True)
class TransferDecision:
    """Hand the caller over, at the flow's `transfer_node`."""

    target: str = ""
    """A target's name, or a destination: a SIP URI or a number. Empty: the node's own target."""
    method: Method | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    context: Context = NO_CONTEXT


@dataclass(frozen=True, slots=True)
class CancelTransfer:
    """Take back a transfer, until caller and target talk, or the caller has been handed over; the
    node's fallback says what follows."""


@dataclass(frozen=True, slots=True)
class HangupDecision:
    """End the call."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent on the BYE."""
    tags: Sequence[str] = ()
    """What the call is filed under."""


@dataclass(frozen=True, slots=True)
class PlayDecision:
    """Play a prompt to the caller over whatever is going on."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class GotoDecision:
    """Go on at a node of the flow the call is in."""

    node: str


@dataclass(frozen=True, slots=True)
class ContinueAt:
    """Go on at a node of the flow the call is in, once the agent has left."""

    node: str


@dataclass(frozen=True, slots=True)
class RecordDecision:
    """Start, pause, resume or stop recordings, or note the caller's consent to them."""

    order: RecordOrder | None = None
    consent: Consent | None = None


Decision = (
    TransferDecision
    | CancelTransfer
    | HangupDecision
    | PlayDecision
    | GotoDecision
    | ContinueAt
    | RecordDecision
)


class RefusalReason(StrEnum):
    """Why a decision is not carried out."""

    CALL_ENDED = "call_ended"
    """The caller is gone, or the flow is saying goodbye."""
    NO_TRANSFER_NODE = "no_transfer_node"
    UNKNOWN_TARGET = "unknown_target"
    """Neither a target's name nor a destination, or none where the node needs one."""
    TARGET_FIXED = "target_fixed"
    """The flow's transfer node serves another target only."""
    METHOD_REFUSED = "method_refused"
    """The target cannot be reached by the method asked for."""
    TRANSFER_RUNNING = "transfer_running"
    """A transfer to another target is running (HTTP 409)."""
    NO_TRANSFER = "no_transfer"
    TRANSFER_ACTIVE = "transfer_active"
    """Caller and target are already talking, or the caller has been handed over."""
    UNKNOWN_NODE = "unknown_node"
    CONTINUATION_FIXED = "continuation_fixed"
    """The transfer's node goes on below, whatever is set."""
    UNPLAYABLE = "unplayable"
    ANNOUNCING = "announcing"
    """The operator's last prompt is still being played."""
    RECORDING = "recording"
    """The recording is not in a state for it, or the caller has declined."""


class DecisionRefused(Exception):
    """The call cannot follow the decision now; nothing has changed."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
