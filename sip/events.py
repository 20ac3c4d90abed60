"""The events of a call: one model for the timeline, the log, metrics, the bot and the page.

An event is a frozen dataclass with a dotted `name` and plain values. Nothing here knows who
listens. The service stamps each event with its call id and the milliseconds since the INVITE.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from sip.outcome import Attempt, Method, Side


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a call."""

    name: ClassVar[str]


@dataclass(frozen=True, slots=True)
class LegEvent(Event):
    """Something that happened on one leg; `leg` is its id (`caller`, `agent-1`, `agent-2` …)."""

    leg: str


class Direction(StrEnum):
    """Which way a SIP message went, seen from the gateway."""

    RECEIVED = "received"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class SipMessage(LegEvent):
    """A SIP message as it was on the wire, with credentials removed."""

    name: ClassVar[str] = "sip.message"
    direction: Direction
    transport: str
    """`udp`, `tcp` or `tls`."""
    peer: str
    """`address:port` of the other side."""
    text: str


@dataclass(frozen=True, slots=True)
class LegStarted(LegEvent):
    """An INVITE was accepted for handling (inbound) or sent (outbound)."""

    name: ClassVar[str] = "leg.started"
    direction: Direction
    uri: str
    """The other party: From of an inbound leg, request URI of an outbound one."""
    trunk: str
    attempt: str = ""
    """The transfer attempt that the leg was dialled for; empty: none."""


@dataclass(frozen=True, slots=True)
class LegProgress(LegEvent):
    """A provisional response on an outbound leg; `early_media` when it carried SDP."""

    name: ClassVar[str] = "leg.progress"
    code: int
    reason: str
    early_media: bool


@dataclass(frozen=True, slots=True)
class LegAnswered(LegEvent):
    """The leg's INVITE was answered with 2xx and acknowledged or acknowledgeable."""

    name: ClassVar[str] = "leg.answered"
    setup_ms: int
    """From INVITE to 2xx."""


@dataclass(frozen=True, slots=True)
class MediaStarted(LegEvent):
    """RTP can flow: codec and addresses are negotiated."""

    name: ClassVar[str] = "media.started"
    codec: str
    """Encoding and clock rate, e.g. `PCMU/8000`."""
    remote: str
    """`address:port` RTP is sent to."""
    srtp: str = ""
    """The suite that it is encrypted with, e.g. `AES_CM_128_HMAC_SHA1_80`; empty: it is not."""


@dataclass(frozen=True, slots=True)
class AudioRefused(LegEvent):
    """RTP came from an address that neither the SDP nor the trunk's networks vouch for.

    Told once for each negotiated session; none of it was played.
    """

    name: ClassVar[str] = "media.refused"
    source: str
    """`address:port` it came from."""


@dataclass(frozen=True, slots=True)
class AudioUnauthenticated(LegEvent):
    """SRTP came from the leg's own peer and fails authentication (RFC 3711 section 3.3).

    Told once for each answered offer, and not within its first second, in which a peer may still
    send by the keys of before; none of it was played.
    """

    name: ClassVar[str] = "media.unauthenticated"
    source: str
    """`address:port` it came from."""
    others_heard: bool
    """Other packets since that answer were authentic, so that these are damaged or forged; else
    both sides do not have the same key."""


@dataclass(frozen=True, slots=True)
class AudioSilent(LegEvent):
    """No RTP for so long that the leg is given up (`sip.rtp.timeout`)."""

    name: ClassVar[str] = "media.silent"
    seconds: float


@dataclass(frozen=True, slots=True)
class HoldChanged(LegEvent):
    """The peer put us on hold, or took us off (RFC 3264 section 8.4)."""

    name: ClassVar[str] = "leg.hold"
    held: bool


@dataclass(frozen=True, slots=True)
class DtmfReceived(LegEvent):
    """One digit, `0-9 * # A-D`, by RFC 4733 (`rtp`) or INFO (`info`)."""

    name: ClassVar[str] = "dtmf.received"
    digit: str
    duration_ms: int
    """0: not known; RFC 4733 tells a digit when it begins."""
    via: str


@dataclass(frozen=True, slots=True)
class DtmfLost(LegEvent):
    """A digit of the other party was not sent to this leg: too many were waiting.

    Told of the first one; again after another could be sent at once.
    """

    name: ClassVar[str] = "dtmf.lost"
    digit: str
    waiting_ms: int
    """Until those before it are sent."""


@dataclass(frozen=True, slots=True)
class MediaQuality:
    """What the RTP of one leg was like when it ended. Jitter and round trip in milliseconds."""

    codec: str = ""
    rx_packets: int = 0
    rx_bytes: int = 0
    rx_lost: int = 0
    rx_discarded: int = 0
    rx_jitter_ms: float = 0.0
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_lost: int = 0
    tx_passed: int = 0
    """Of `tx_packets`: passed on from the leg that it was joined with, without being decoded."""
    rtt_ms: float = 0.0

    def followed_by(self, later: MediaQuality) -> MediaQuality:
        """Of both together: each re-INVITE that changes something begins a new stream.

        What the peer reports to be lost is not added: it counts by SSRC (RFC 3550 section 6.4.1),
        and that stays the same.
        """
        packets = self.rx_packets + later.rx_packets
        jitter = self.rx_jitter_ms * self.rx_packets + later.rx_jitter_ms * later.rx_packets
        return MediaQuality(
            codec=later.codec,
            rx_packets=packets,
            rx_bytes=self.rx_bytes + later.rx_bytes,
            rx_lost=self.rx_lost + later.rx_lost,
            rx_discarded=self.rx_discarded + later.rx_discarded,
            rx_jitter_ms=round(jitter / packets, 2) if packets else 0.0,
            tx_packets=self.tx_packets + later.tx_packets,
            tx_bytes=self.tx_bytes + later.tx_bytes,
            tx_lost=max(self.tx_lost, later.tx_lost),
            tx_passed=self.tx_passed + later.tx_passed,
            rtt_ms=later.rtt_ms or self.rtt_ms,
        )


@dataclass(frozen=True, slots=True)
class LegEnded(LegEvent):
    """The leg is gone. `code` is the final status of its INVITE, 200 for an answered leg."""

    name: ClassVar[str] = "leg.ended"
    code: int
    reason: str
    by: Side
    media: MediaQuality


@dataclass(frozen=True, slots=True)
class ReferReceived(LegEvent):
    """The leg's peer sent REFER (RFC 3515), and `code` is what we answered."""

    name: ClassVar[str] = "refer.received"
    refer_to: str
    """As it was received."""
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class LegReplaced(LegEvent):
    """Leg `by` has taken the place of `leg` in the call; `leg` is released."""

    name: ClassVar[str] = "leg.replaced"
    by: str


@dataclass(frozen=True, slots=True)
class LegCame(LegEvent):
    """A peer's transfer has joined two calls: leg `was` of `call` goes on here as `leg`."""

    name: ClassVar[str] = "leg.came"
    call: str
    was: str


@dataclass(frozen=True, slots=True)
class LegWent(LegEvent):
    """The other side of that: `leg` goes on in `call`, as its leg `there`."""

    name: ClassVar[str] = "leg.went"
    call: str
    there: str


@dataclass(frozen=True, slots=True)
class TransferStarted(Event):
    """A transfer attempt left for its target."""

    name: ClassVar[str] = "transfer.started"
    attempt: str
    method: Method
    target: str
    uri: str


@dataclass(frozen=True, slots=True)
class TransferProgress(Event):
    """A provisional answer of the target: to our INVITE, or as a sipfrag in a NOTIFY."""

    name: ClassVar[str] = "transfer.progress"
    attempt: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class TransferJoined(Event):
    """Caller and target hear each other through the gateway."""

    name: ClassVar[str] = "transfer.joined"
    attempt: str
    leg: str


@dataclass(frozen=True, slots=True)
class TransferEnded(Event):
    """The one terminal outcome of an attempt."""

    name: ClassVar[str] = "transfer.ended"
    attempt: Attempt
