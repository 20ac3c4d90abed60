"""Why a call's transfers ended as they did, in sentences: `switchhook call ID --why`.

A pure function of the record and its timeline. It tells nothing that the evidence does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from gateway.advice import advice
from gateway.api.models import CallDetail, EndedCall, LiveCall, TimelineEvent
from ivr.events import FallbackTaken, NodeEntered, PromptStarted, TransferRetried
from ivr.result import EndReason
from sip.events import TransferEnded
from sip.outcome import Attempt, HandoverStatus, Method, Outcome, Side, Step

_ENDS: dict[EndReason, str] = {
    EndReason.CALLER_HANGUP: "the caller hung up",
    EndReason.HANGUP: "the flow said goodbye",
    EndReason.BOT_HANGUP: "the bot ended the call",
    EndReason.BOT_DONE: "the bot closed its session, and its node has no `done`",
    EndReason.OPERATOR_HANGUP: "an operator ended the call",
    EndReason.TRANSFERRED: "the caller was transferred",
    EndReason.HANDED_BACK: "the call was handed back",
    EndReason.JOINED: "a peer's transfer joined the call with another one",
    EndReason.FALLBACK: "the fallback ended the call",
    EndReason.FAILED: "the flow failed",
    EndReason.SHUTDOWN: "the gateway ended the call: it was stopping, or the leg was lost",
}

_WHO = {Side.CALLER: "the caller", Side.TARGET: "the agent", Side.GATEWAY: "the gateway"}

_ATTEMPT = TypeAdapter(Attempt)

_GLARE = 491
"""RFC 3261 section 21.4.27."""


@dataclass(frozen=True, slots=True)
class Why:
    """The answer, and what to do about each failed transfer."""

    sentences: tuple[str, ...]
    advice: tuple[str, ...]
    """Empty where nothing failed."""

    def text(self) -> str:
        """Lines for a terminal."""
        lines = [*self.sentences, *(f"What to do: {each}" for each in self.advice)]
        return "".join(f"{line}\n" for line in lines)


def why(detail: CallDetail) -> Why:
    """What became of each transfer of a call and why, and what the fallback did."""
    call, timeline = detail.call, detail.timeline
    attempts = call.attempts if isinstance(call, EndedCall) else _attempts(timeline)
    sentences = []
    for attempt in attempts:
        sentences.append(f"{attempt.id}: {_attempt(attempt)}")
        if (retried := _retried(attempt.id, timeline)) is not None:
            sentences.append(retried)
        if (fallback := _fallback(attempt.id, timeline)) is not None:
            sentences.append(fallback)
    if isinstance(call, LiveCall):
        sentences.append(_now(call))
    elif not attempts:
        sentences.append(f"No transfer was attempted: {_end(call)}.")
    else:
        sentences.append(f"In the end {_end(call)}.")
    told = dict.fromkeys(
        f"{found.means}. {found.do}"
        for attempt in attempts
        if (found := advice(attempt)) is not None
    )
    return Why(tuple(sentences), tuple(told))


def _attempts(timeline: Sequence[TimelineEvent]) -> list[Attempt]:
    """Of a call in progress: those that have a verdict."""
    return [
        _ATTEMPT.validate_python(_fields(row)["attempt"])
        for row in timeline
        if row.name == TransferEnded.name
    ]


def _attempt(attempt: Attempt) -> str:
    to = f"to {attempt.target}" + (f" ({attempt.uri})" if attempt.uri else "")
    asked = f", as {attempt.referred_by} asked," if attempt.referred_by else ""
    what = f"{attempt.method.value.upper()} {to}{asked}"
    match attempt.method:
        case Method.REFER:
            happened = _referred(attempt)
        case Method.BYE:
            happened = _handed_back(attempt)
        case _:
            happened = _dialled(attempt)
    causes = f" ({'; '.join(attempt.causes)})" if attempt.causes else ""
    retry = f", with Retry-After {attempt.retry_after} s" if attempt.retry_after is not None else ""
    if attempt.outcome is Outcome.CONNECTED:
        return f"{what} {happened}{causes}."
    return f"{what} {happened}{causes}{retry}: {attempt.outcome.value}."


def _dialled(attempt: Attempt) -> str:
    joined = next(iter(_steps(attempt, "joined")), None)
    if joined is not None and joined.detail:
        return f"needed no INVITE: call {joined.detail} runs through here too, and was joined"
    if _steps(attempt, "replaces_refused"):
        return f"was refused with {_status(attempt)}"
    if not _steps(attempt, "invite_sent"):
        return f"was not sent: {attempt.reason or 'no reason is known'}"
    rang = any(step.code and step.code >= 180 for step in _steps(attempt, "provisional"))
    after = _seconds(attempt.verdict_ms)
    ringing = "rang, then " if rang else ""
    if attempt.outcome is Outcome.CONNECTED:
        talk = ""
        if attempt.talk_ms:
            talk = f"; they talked for {_seconds(attempt.talk_ms)}"
            talk += f", until {_WHO[attempt.bye_by]} hung up" if attempt.bye_by else ""
        return f"{ringing}was answered after {after}{talk}"
    if attempt.timer == "ring":
        silent = "rang" if rang else "got no answer"
        return f"{silent} for {after}, and was cancelled (timer ring)"
    if attempt.outcome is Outcome.ABANDONED:
        return f"{ringing}was cancelled after {after}: the caller hung up"
    if attempt.outcome is Outcome.CANCELLED and attempt.code is None:
        return f"{ringing}was cancelled after {after}: {attempt.reason or 'it was called off'}"
    if attempt.code is None or attempt.code < 300:
        answered = bool(_steps(attempt, "answered"))
        was = "was answered, but failed" if answered else f"{ringing}failed"
        return f"{was} after {after}: {attempt.reason or 'no response'}"
    reason = _status(attempt)
    return f"{ringing}was refused with {reason} after {after}"


def _referred(attempt: Attempt) -> str:
    finals = _steps(attempt, "refer_final")
    glared = bool(finals) and finals[-1].code == _GLARE and attempt.outcome is not Outcome.GLARE
    final = finals.pop() if finals and not glared else None
    # All before the last one were 491, after which a REFER is sent again.
    before = f"refused with {_GLARE} {_times(len(finals))}, then " if finals else ""
    return (
        f"was {before}{_taken(attempt, final) if _accepted(final) else _not_taken(attempt, final)}"
    )


def _accepted(final: Step | None) -> bool:
    return final is not None and (final.code or 500) < 300


def _taken(attempt: Attempt, final: Step | None) -> str:
    """What followed on a 2xx, or on none that has been seen yet."""
    taken = "not answered yet" if final is None else f"accepted ({final.code})"
    joint = " when " if final is None else "; "
    told = f"{joint}{_notified(attempt)}" if attempt.sipfrags else ""
    waited = _seconds(attempt.verdict_ms - (final.at_ms if final is not None else 0))
    match attempt.outcome:
        case Outcome.CONNECTED:
            return f"{taken}{told} after {_seconds(attempt.verdict_ms)}"
        case Outcome.PRESUMED_CONNECTED:
            return f"{taken}{told}, then the peer hung up before it said how it went"
        case Outcome.NO_VERDICT if attempt.timer:
            missing = "no final NOTIFY" if attempt.sipfrags else "no NOTIFY"
            return f"{taken}{told}, then {missing} came within {waited} (timer {attempt.timer})"
        case Outcome.NO_VERDICT:
            return f"{taken}{told}, then {attempt.reason or 'nothing was said of the result'}"
        case Outcome.ABANDONED | Outcome.CANCELLED if not _reported(attempt):
            return f"{taken}{told}, then {attempt.reason or 'it was called off'}"
        case _:
            after = f" after {_seconds(attempt.verdict_ms)}"
            return f"{taken}{told or f', then failed: {_status(attempt)}'}{after}"


def _reported(attempt: Attempt) -> bool:
    """Whether it was decided by what the last NOTIFY said."""
    last = attempt.sipfrags[-1] if attempt.sipfrags else ""
    return attempt.code is not None and last.startswith(str(attempt.code))


def _not_taken(attempt: Attempt, final: Step | None) -> str:
    if final is not None and attempt.outcome is not Outcome.NETWORK_FAILURE:
        told = f", after {_notified(attempt)}" if attempt.sipfrags else ""
        return f"refused with {_status(attempt)}{told}"
    if attempt.sipfrags:
        return _taken(attempt, None)
    if not _steps(attempt, "refer_sent"):
        return f"not sent: {attempt.reason or 'no reason is known'}"
    if attempt.outcome in (Outcome.ABANDONED, Outcome.CANCELLED):
        return f"not answered yet: {attempt.reason or 'it was called off'}"
    return f"not accepted: {attempt.reason or 'no response'}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _handed_back(attempt: Attempt) -> str:
    if attempt.outcome is Outcome.CONNECTED:
        return f"was answered with {_status(attempt)}: the call went back"
    if attempt.code is not None:
        return f"was answered with {_status(attempt)}; the call has ended all the same"
    if attempt.outcome is Outcome.BLOCKED:
        return f"was not sent: {attempt.reason}"
    if attempt.outcome is Outcome.ABANDONED:
        return "came too late: the caller hung up first"
    return f"got {attempt.reason or 'no response'}; the call has ended all the same"


def _notified(attempt: Attempt) -> str:
    return f"NOTIFY said {', then '.join(attempt.sipfrags)}"


def _retried(attempt: str, timeline: Sequence[TimelineEvent]) -> str | None:
    """That another try followed; None: none did."""
    for row in timeline:
        fields = _fields(row)
        if row.name == TransferRetried.name and fields["attempt"] == attempt:
            delay = f" after {_seconds(fields['delay_ms'])}" if fields["delay_ms"] else ""
            return f"The fallback row `{fields['key']}` had {fields['target']} tried{delay}."
    return None


def _fallback(attempt: str, timeline: Sequence[TimelineEvent]) -> str | None:
    """What the fallback of an attempt did; None: none was taken."""
    rows = iter(timeline)
    taken = next(
        (
            row
            for row in rows
            if row.name == FallbackTaken.name and _fields(row)["attempt"] == attempt
        ),
        None,
    )
    if taken is None:
        return None
    fields = _fields(taken)
    words = _heard(rows)
    played = f"played {words} and " if words else "played nothing and "
    led = f"went on at `{fields['to']}`" if fields["to"] else "ended the call"
    return f"The fallback row `{fields['key']}` {played}{led}."


def _heard(rows: Iterable[TimelineEvent]) -> str:
    """The prompt of a row, if it began before the next node."""
    for row in rows:
        if row.name == PromptStarted.name:
            return f"“{_fields(row)['prompt']}”"
        if row.name in (NodeEntered.name, FallbackTaken.name):
            break
    return ""


def _end(call: EndedCall) -> str:
    where = f" at `{call.path[-1]}`" if call.path else ""
    after = _seconds(round((call.ended_at - call.started_at).total_seconds() * 1000))
    message = f" ({call.message})" if call.message else ""
    return f"{_ENDS[call.end]}{where}, {after} after the INVITE{message}"


def _now(call: LiveCall) -> str:
    handover = call.handover
    if handover is not None and handover.status in (
        HandoverStatus.QUEUED,
        HandoverStatus.RINGING,
        HandoverStatus.ACTIVE,
    ):
        return f"A transfer to {handover.target} is {handover.status.value}."
    return f"The call is in progress at `{call.node}`." if call.node else "The call is beginning."


def _steps(attempt: Attempt, what: str) -> list[Step]:
    return [step for step in attempt.steps if step.what == what]


def _status(attempt: Attempt) -> str:
    return f"{attempt.code or ''} {attempt.reason}".strip() or "no status"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds} ms"


def _fields(row: TimelineEvent) -> Mapping[str, Any]:
    return row.model_extra or {}
