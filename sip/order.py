"""What a transfer is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.targets import Target
from sip.audio import Pcm
from sip.outcome import Method


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
    """Seconds that the target may ring (INVITE)."""
    waiting: Pcm | None
    """Looped to the caller until the verdict; None: the caller hears the target's early media."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent on the INVITE, REFER or BYE."""
