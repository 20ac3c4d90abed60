"""What became of a transfer attempt: one closed list of outcomes, with the SIP evidence for each.

`classify` maps a final SIP status to its outcome. It is total over 300..699: a code that has no
row of its own falls to its class (RFC 3261 section 21: an unknown x99 is treated as x00).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Method(StrEnum):
    """How a call is handed to somebody else."""

    INVITE = "invite"
    REFER = "refer"
    BYE = "bye"
    ATTENDED = "attended"
    AUTO = "auto"
    """By REFER where the trunk takes it, else by INVITE. What is asked for; never an attempt's."""


class Outcome(StrEnum):
    """Why a transfer attempt ended. Exactly one for each attempt."""

    CONNECTED = "connected"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    DECLINED = "declined"
    BAD_DESTINATION = "bad_destination"
    UNAUTHORIZED = "unauthorized"
    METHOD_UNSUPPORTED = "method_unsupported"
    MEDIA_INCOMPATIBLE = "media_incompatible"
    ROUTING_LOOP = "routing_loop"
    GLARE = "glare"
    SERVER_UNAVAILABLE = "server_unavailable"
    NETWORK_FAILURE = "network_failure"
    NO_VERDICT = "no_verdict"
    PRESUMED_CONNECTED = "presumed_connected"
    BLOCKED = "blocked"
    UNAVAILABLE = "unavailable"

    @property
    def succeeded(self) -> bool:
        """Whether the caller reached somebody, as far as the evidence goes."""
        return self in (Outcome.CONNECTED, Outcome.PRESUMED_CONNECTED)


_BY_CODE: dict[int, Outcome] = {
    code: outcome
    for outcome, codes in {
        Outcome.BUSY: (486, 600),
        Outcome.NO_ANSWER: (408, 480),
        Outcome.CANCELLED: (487,),
        Outcome.DECLINED: (603, 607, 608),
        Outcome.BAD_DESTINATION: (404, 410, 414, 416, 484, 485, 604),
        Outcome.UNAUTHORIZED: (401, 403, 407),
        Outcome.METHOD_UNSUPPORTED: (405, 420, 421, 489, 501),
        Outcome.MEDIA_INCOMPATIBLE: (415, 488, 606),
        Outcome.ROUTING_LOOP: (482, 483),
        Outcome.GLARE: (491,),
        Outcome.SERVER_UNAVAILABLE: (500, 502, 503, 504, 513, 580),
    }.items()
    for code in codes
}

_BY_CLASS: dict[int, Outcome] = {
    2: Outcome.CONNECTED,
    3: Outcome.BLOCKED,
    4: Outcome.DECLINED,
    5: Outcome.SERVER_UNAVAILABLE,
    6: Outcome.DECLINED,
}


def classify(code: int, method: Method = Method.INVITE) -> Outcome:
    """The outcome of a final SIP status.

    Args:
        code: 200..699, the status of the final response or of the final sipfrag.
        method: what the status answered. A 481 to a first REFER says that the peer does not know
            what we ask, not that a called party declined.

    Raises:
        ValueError: the code is not a final SIP status.
    """
    if not 200 <= code <= 699:
        raise ValueError(f"{code} is not a final SIP status (200 to 699)")
    if code == 481 and method is Method.REFER:
        return Outcome.METHOD_UNSUPPORTED
    return _BY_CODE.get(code, _BY_CLASS[code // 100])


class Side(StrEnum):
    """Which party ended something: sent the BYE or CANCEL first."""

    CALLER = "caller"
    TARGET = "target"
    GATEWAY = "gateway"


def left(by: Side) -> tuple[Outcome, str]:
    """Outcome and reason of an attempt whose caller's leg has ended, by this side. One that we have
    ended (at our stop, or for want of signalling) is nobody's hanging up."""
    if by is Side.GATEWAY:
        return Outcome.CANCELLED, "the gateway ended the call"
    return Outcome.ABANDONED, "caller hung up"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened during an attempt, as evidence.

    `at_ms` counts from the start of the attempt. `what` is a short slug: `invite_sent`,
    `provisional`, `final`, `refer_accepted`, `notify`, `timer`, `bye`, `cancel_sent`,
    `next_hop` (the trunk's next proxy is tried), `offered_again` (other codecs are), `joined`.
    """

    at_ms: int
    what: str
    code: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A part of the context, or a header, that did not travel with a transfer as it was given."""

    field: str
    """`summary`, `information.order`, `user_to_user.tags`, `headers.X-Case` …"""
    reason: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A finished transfer attempt and everything that explains it."""

    id: str
    method: Method
    target: str
    uri: str
    outcome: Outcome
    code: int | None = None
    reason: str = ""
    referred_by: str = ""
    """The leg whose REFER asked for it; empty: the flow, a bot or an operator did."""
    causes: tuple[str, ...] = ()
    """Why, in the peer's own words: Reason (RFC 3326) and Warning of its answer, NOTIFY or BYE."""
    retry_after: int | None = None
    """Seconds, from the peer's Retry-After (RFC 3261 section 20.33)."""
    timer: str | None = None
    """The timer of ours that fired, where one decided the outcome."""
    bye_by: Side | None = None
    sipfrags: tuple[str, ...] = ()
    steps: tuple[Step, ...] = field(default=())
    taken_over: bool = False
    """Whether the caller's peer has taken both parties of an attended transfer over."""
    verdict_ms: int = 0
    """From the start of the attempt to its outcome."""
    talk_ms: int = 0
    """How long the legs were joined; 0 where they never were."""
    tags: tuple[str, ...] = ()
    """What the call was filed under by whoever handed it over."""
    dropped: tuple[Dropped, ...] = ()
    """What of the context did not travel."""

    @property
    def handed_over(self) -> bool:
        """Whether the parties have each other without us: nobody comes back to the flow."""
        without_us = self.method in (Method.REFER, Method.BYE) or self.taken_over
        return without_us and self.outcome.succeeded


class HandoverStatus(StrEnum):
    """The roll-up that flows, bots and APIs see."""

    QUEUED = "queued"
    RINGING = "ringing"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ERROR = "error"


class HandoverErrorReason(StrEnum):
    """`unsupported`: the trunk or target cannot do what was asked; `error`: anything else."""

    UNSUPPORTED = "unsupported"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Handover:
    """The state of a call's last transfer, as the flow's lookup and the bot's `start` see it."""

    status: HandoverStatus
    outcome: Outcome | None = None
    error_reason: HandoverErrorReason | None = None
    message: str = ""
    sip_code: int | None = None
    target: str = ""

    @classmethod
    def of(cls, attempt: Attempt) -> Handover:
        """Roll a finished attempt up to completed, cancelled or error."""
        status, reason, message = HandoverStatus.COMPLETED, None, ""
        if not attempt.outcome.succeeded:
            message = attempt.reason or attempt.outcome.value.replace("_", " ")
        if attempt.outcome in (Outcome.CANCELLED, Outcome.ABANDONED):
            status = HandoverStatus.CANCELLED
        elif attempt.outcome is Outcome.METHOD_UNSUPPORTED:
            status, reason = HandoverStatus.ERROR, HandoverErrorReason.UNSUPPORTED
        elif not attempt.outcome.succeeded:
            status, reason = HandoverStatus.ERROR, HandoverErrorReason.ERROR
        return cls(status, attempt.outcome, reason, message, attempt.code, attempt.target)
