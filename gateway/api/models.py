"""What the control API takes and gives. Times are ISO 8601 in UTC, durations milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from config.call_recordings import Consent, RecordAction, Sides
from config.context import Context, Tags
from config.flows import Prompt
from config.headers import check_name, check_value
from config.strict import Name
from gateway.api.examples import ENDED_CALL, LIVE_CALL, TIMELINE
from gateway.call import CallSession, CallState
from gateway.records import CallRecord, Recording
from ivr.decisions import (
    CancelTransfer,
    ContinueAt,
    Decision,
    GotoDecision,
    HangupDecision,
    PlayDecision,
    RecordDecision,
    TransferDecision,
)
from ivr.disposition import Disposition
from ivr.ports import RecordOrder
from ivr.result import EndReason
from sip.events import MediaQuality
from sip.outcome import Attempt, Handover, Method

Headers = dict[
    Annotated[str, AfterValidator(check_name)], Annotated[str, AfterValidator(check_value)]
]
"""SIP headers by name."""


class Body(BaseModel):
    """What a client sends: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class TransferBody(Body):
    """Hand the caller over at the flow's `transfer_node`."""

    target: str = ""
    """A target's name, or a destination: a SIP URI or a number. Empty: the node's own target."""
    method: Method | None = None
    """Absent: the node's, else the target's method."""
    headers: Headers = Field(default_factory=dict)
    """Sent on the INVITE, REFER or BYE."""
    context: Context = Context()
    """What the one who takes the call is told, in the way that their trunk asks for."""

    def decision(self) -> Decision:
        """The same, for the flow."""
        return TransferDecision(self.target, self.method, self.headers, self.context)


class CancelTransferBody(Body):
    """Take back a transfer that nobody has answered yet: an empty object."""

    def decision(self) -> Decision:
        """The same, for the flow."""
        return CancelTransfer()


class HangupBody(Body):
    """End the call."""

    headers: Headers = Field(default_factory=dict)
    """Sent on the BYE."""
    tags: Tags = Field(default_factory=list)
    """What the call is filed under."""

    def decision(self) -> Decision:
        """The same, for the flow."""
        return HangupDecision(self.headers, tuple(self.tags))


class PlayBody(Body):
    """Play a prompt to the caller over whatever is going on."""

    prompt: Prompt
    """Words to be spoken, or a recording of the flow: `{"file": "notice.wav"}`."""

    def decision(self) -> Decision:
        """The same, for the flow."""
        return PlayDecision(self.prompt)


class GotoBody(Body):
    """Go on at another node of the flow."""

    node: Name

    def decision(self) -> Decision:
        """The same, for the flow."""
        return GotoDecision(self.node)


class ContinueAtBody(Body):
    """Go on at a node of the flow once the agent has left."""

    node: Name

    def decision(self) -> Decision:
        """The same, for the flow."""
        return ContinueAt(self.node)


class RecordingBody(Body):
    """Start, pause, resume or stop recordings, or note the caller's consent to them."""

    action: RecordAction | None = None
    """Paused time is left out of the file."""
    leg: str | None = Field(default=None, pattern=r"^(caller|agent(-[0-9]{1,4})?)$")
    """Whose leg: `caller`, `agent-1` …, or `agent`: each agent's, those that answer later included.
    Without it, `start` is for the caller's leg, and everything else for all recordings."""
    sides: Sides | None = None
    """Of `start`: `both` (the default) is stereo, left what the party says, right what it hears;
    `said` or `heard` is that side alone, mono."""
    consent: Literal["granted", "declined"] | None = None
    """What the caller has said; after `declined` no recording starts."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.action is None and self.consent is None:
            raise ValueError("neither `action` nor `consent` is there")
        if self.leg is not None and self.action is None:
            raise ValueError("`leg` is there, and no `action`")
        if self.sides is not None and self.action is not RecordAction.START:
            raise ValueError("`sides` is of `start` alone")
        return self

    def decision(self) -> Decision:
        """The same, for the flow."""
        order = None
        if self.action is not None:
            order = RecordOrder(self.action, self.leg or "", self.sides or Sides.BOTH)
        return RecordDecision(order, None if self.consent is None else Consent(self.consent))


class TimelineEvent(BaseModel):
    """One event of a call. Beside these fields it has its own, which depend on `name`."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, JsonValue]

    name: str
    """Dotted: `leg.answered`, `node.entered`, `transfer.ended` …"""
    offset_ms: int
    """Since the INVITE."""
    at: datetime


class CallFacts(BaseModel):
    """What is known of a call from its INVITE."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    direction: str
    trunk: str
    caller: str
    """User part of From."""
    number: str
    """What was dialled."""
    sip_call_id: str
    flow: str
    resumed_from: str
    """The call whose hand-back token this one brought back; empty: none."""
    started_at: datetime
    answered_at: datetime | None


class LiveCall(CallFacts):
    """A call in progress."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra={"examples": [LIVE_CALL]}
    )

    state: CallState
    node: str | None
    """Where in the flow the call is; null before the first node."""
    handover: Handover | None
    """The last transfer, running or finished."""
    duration_ms: int


class EndedCall(CallFacts):
    """The record of a finished call."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra={"examples": [ENDED_CALL]}
    )

    state: Literal[CallState.ENDED] = CallState.ENDED
    ended_at: datetime
    path: list[str]
    """The nodes, in the order they were entered."""
    disposition: Disposition
    end: EndReason
    message: str
    """What went wrong, where something did."""
    attempts: list[Attempt]
    tags: list[str]
    """What the call was filed under by those who handed it over, each once."""
    resumed_by: list[str]
    """The calls that came back with a hand-back token of this one."""
    media: dict[str, MediaQuality]
    """What the RTP of each leg was like."""
    events_dropped: int
    recordings: list[Recording]
    """Those that were begun, in order."""


class CallList(BaseModel):
    """Calls, the newest first."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra={"examples": [{"calls": [LIVE_CALL]}]}
    )

    calls: list[LiveCall | EndedCall]


class CallDetail(BaseModel):
    """A call and everything that happened in it, so far or to its end."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"call": LIVE_CALL, "timeline": TIMELINE}]},
    )

    call: LiveCall | EndedCall
    timeline: list[TimelineEvent]


class Reasons(BaseModel):
    """Why a call's transfers ended as they did."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "sentences": [
                        "t1: INVITE to billing was refused with 486 Busy Here after 2.1 s: busy.",
                        "The fallback row `busy` played “It is busy.” and went on at `assistant`.",
                        "In the end the caller hung up at `assistant`, 31.4 s after the INVITE.",
                    ],
                    "advice": ["the called party is on the phone. Have the fallback try …"],
                }
            ]
        },
    )

    sentences: list[str]
    """In the order of time; one or two for each attempt, and one for how the call stands."""
    advice: list[str]
    """What a failure usually means, and what to do."""


class Health(BaseModel):
    """The process answers."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra={"examples": [{"status": "ok"}]}
    )

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether new calls are taken."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"ready": False, "reasons": ["draining"], "warnings": []}]},
    )

    ready: bool
    reasons: list[str]
    """Why not: `starting`, `draining` …"""
    warnings: list[str]
    """What an operator should look at although calls are taken."""


def live_call(session: CallSession) -> LiveCall:
    """A session's state now."""
    info = session.leg.info
    return LiveCall(
        id=session.leg.id,
        direction=session.direction,
        trunk=info.trunk,
        caller=info.caller,
        number=info.number,
        sip_call_id=info.sip_call_id,
        flow=session.flow,
        resumed_from=session.resumed_from,
        started_at=_utc(session.timeline.started_at),
        answered_at=None if session.answered_at is None else _utc(session.answered_at),
        state=session.state,
        node=session.position,
        handover=session.handover,
        duration_ms=round((session.timeline.now() - session.timeline.started_at) * 1000),
    )


def ended_call(record: CallRecord, resumed_by: Sequence[str] = ()) -> EndedCall:
    """A record, and the calls that came back after it."""
    return EndedCall(
        id=record.id,
        direction=record.direction,
        trunk=record.trunk,
        caller=record.caller,
        number=record.number,
        sip_call_id=record.sip_call_id,
        flow=record.flow,
        resumed_from=record.resumed_from,
        started_at=_utc(record.started_at),
        answered_at=None if record.answered_at is None else _utc(record.answered_at),
        ended_at=_utc(record.ended_at),
        path=list(record.path),
        disposition=record.disposition,
        end=record.end,
        message=record.message,
        attempts=list(record.attempts),
        tags=list(record.tags),
        resumed_by=list(resumed_by),
        media=dict(record.media),
        events_dropped=record.events_dropped,
        recordings=list(record.recordings),
    )


def timeline_events(rows: Iterable[Mapping[str, object]]) -> list[TimelineEvent]:
    """Rows as `CallEvent.as_dict` gives them."""
    return [TimelineEvent.model_validate(row) for row in rows]


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
