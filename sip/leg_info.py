"""What a leg is known by: its label, and what its INVITE said."""

from __future__ import annotations

from dataclasses import dataclass, field

from sip.context.received import Received
from sip.events import Direction
from sip.offer import Offer

CALLER = "caller"
"""The label of the leg that a trunk dialled in on; `caller-2` … is what takes its place."""

AGENT = "agent"
"""What the labels of legs begin with that are dialled for a caller."""

OUTBOUND = "outbound"
"""The label of a leg that was dialled for nobody's sake."""


@dataclass(frozen=True, slots=True)
class LegInfo:
    """What is known of a leg from its INVITE."""

    direction: Direction
    trunk: str
    """Name of the trunk; empty for a URI that was dialled directly."""
    flow: str
    """The flow that the trunk's route selected; empty for an outbound leg."""
    from_uri: str
    to_uri: str
    caller: str
    """User part of From; a telephone number is E.164, however the trunk writes it."""
    number: str
    """What was dialled: user part of the request URI, likewise."""
    sip_call_id: str
    source: str
    """`address:port` of the peer; empty for an outbound leg."""
    received: Received = field(default_factory=Received)
    """What the INVITE brought along; nothing on an outbound leg."""
    destination: str = ""
    """The target's destination, of an outbound leg."""
    hop: int = 0
    """Which of the trunk's next hops an outbound leg was dialled over."""
    hops_left: int = 0
    """How many others could be tried."""
    attempt: str = ""
    """The transfer attempt that an outbound leg was dialled for."""
    offered: bool = True
    """Whether the INVITE carried an offer (RFC 3264)."""
    offer: Offer | None = None
    """What an outbound leg's INVITE offered."""
