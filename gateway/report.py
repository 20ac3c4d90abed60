"""A call in plain text, for a terminal, a pipe or a ticket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.api.models import CallDetail, EndedCall, LiveCall, TimelineEvent
from gateway.ladder import svg, text
from gateway.ladder.rows import describe
from gateway.ladder.rows import rows as ladder_rows
from sip.events import Direction, LegEnded, MediaQuality, SipMessage, TransferEnded
from sip.outcome import Attempt

NAME_WIDTH = 20
MAX_DETAIL = 160
"""Characters of one line's details: what is longer is in `--json`."""


def facts(call: LiveCall | EndedCall) -> str:
    """Who, when and what came of it; transfers with their evidence."""
    rows = [
        ("call", call.id),
        ("state", call.state.value),
        ("from", f"{call.caller} over {call.trunk} ({call.direction})"),
        ("to", call.number),
        ("SIP Call-ID", call.sip_call_id),
        ("flow", call.flow),
        ("started", _when(call.started_at)),
        ("answered", _when(call.answered_at) if call.answered_at else "not answered"),
    ]
    if call.resumed_from:
        rows.append(("resumed from", call.resumed_from))
    if isinstance(call, LiveCall):
        rows.append(("at node", call.node or "none yet"))
        if call.handover is not None:
            rows.append(("transfer", f"{call.handover.target}: {call.handover.status.value}"))
        return _aligned(rows)
    duration = (call.ended_at - call.started_at).total_seconds()
    rows.append(("ended", f"{_when(call.ended_at)} after {duration:.1f} s"))
    rows.append(("path", " > ".join(call.path) or "no node entered"))
    tagged = f" (tags: {', '.join(call.tags)})" if call.tags else ""
    rows.append(("disposition", f"{call.disposition.value}{tagged}"))
    rows += [("resumed by", later) for later in call.resumed_by]
    rows.append(("end", f"{call.end.value} {call.message}".strip()))
    rows += [("transfer", describe_attempt(attempt)) for attempt in call.attempts]
    for leg, quality in call.media.items():
        if quality.codec:
            rows.append((f"media {leg}", _quality(quality)))
    return _aligned(rows)


def timeline(rows: Sequence[TimelineEvent]) -> str:
    """One line an event: milliseconds since the INVITE, its name, and what there is to know."""
    lines = [f"{'ms':>8}  event"]
    for row in rows:
        fields: dict[str, Any] = dict(row.model_extra or {})
        lines.append(f"{row.offset_ms:>8}  {row.name:<{NAME_WIDTH}} {_detail(row.name, fields)}")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def sip_ladder(rows: Sequence[TimelineEvent]) -> str:
    """The SIP messages of a timeline as a picture."""
    return sip_ladder_of(row.model_dump() for row in rows)


def sip_ladder_of(rows: Iterable[Mapping[str, object]]) -> str:
    """The same, of rows as `CallEvent.as_dict` gives them."""
    return text.draw(ladder_rows(rows))


def svg_ladder(call: CallDetail) -> str:
    """The SIP messages of a call as a page's picture."""
    rows = ladder_rows(row.model_dump() for row in call.timeline)
    return svg.draw(rows, f"Call {call.call.id} from {call.call.caller} to {call.call.number}")


def everything(call: CallDetail) -> str:
    """Facts, timeline and ladder."""
    return f"{facts(call.call)}\n{timeline(call.timeline)}\n{sip_ladder(call.timeline)}"


def describe_attempt(attempt: Attempt) -> str:
    """A transfer attempt with the evidence that explains its outcome."""
    words = [f"{attempt.id} {attempt.method.value} {attempt.target}: {attempt.outcome.value}"]
    if attempt.code is not None:
        words.append(f"{attempt.code} {attempt.reason}".strip())
    elif attempt.reason:
        words.append(attempt.reason)
    if attempt.sipfrags:
        words.append(f"NOTIFY {' | '.join(attempt.sipfrags)}")
    words += attempt.causes
    if attempt.timer is not None:
        words.append(f"timer {attempt.timer}")
    if attempt.retry_after is not None:
        words.append(f"retry after {attempt.retry_after} s")
    if attempt.bye_by is not None:
        words.append(f"BYE by {attempt.bye_by.value}")
    if attempt.tags:
        words.append(f"tags {' '.join(attempt.tags)}")
    if attempt.dropped:
        lost = "; ".join(f"{each.field}: {each.reason}" for each in attempt.dropped)
        words.append(f"dropped {lost}")
    words.append(f"verdict after {attempt.verdict_ms} ms")
    if attempt.talk_ms:
        words.append(f"talked {attempt.talk_ms / 1000:.1f} s")
    return ", ".join(words)


def _detail(name: str, fields: dict[str, Any]) -> str:
    if name == SipMessage.name:
        arrow = "<-" if fields["direction"] == Direction.RECEIVED else "->"
        return f"{fields['leg']} {arrow} {fields['peer']} {describe(fields['text'])}"
    if name == TransferEnded.name:
        attempt = fields["attempt"]
        code = "" if attempt["code"] is None else f" {attempt['code']} {attempt['reason']}"
        return (
            f"{attempt['id']} {attempt['method']} {attempt['target']}: {attempt['outcome']}{code}"
        )
    if name == LegEnded.name:
        fields = {key: value for key, value in fields.items() if key != "media"}
    return _shortened(_plain(fields))


def _plain(fields: Mapping[str, object]) -> str:
    known = ((key, value) for key, value in fields.items() if value not in (None, "", {}, []))
    return " ".join(f"{key}={_value(value)}" for key, value in known)


def _value(value: object) -> str:
    """A value as one word: quoted, where it has blanks."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f'"{text}"' if " " in text else text


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_DETAIL else f"{text[: MAX_DETAIL - 2]}.."


def _quality(quality: MediaQuality) -> str:
    passed = f"({quality.tx_passed} passed on undecoded) " if quality.tx_passed else ""
    return (
        f"{quality.codec}, received {quality.rx_packets} lost {quality.rx_lost} "
        f"jitter {quality.rx_jitter_ms:.1f} ms, sent {quality.tx_packets} {passed}"
        f"lost {quality.tx_lost}, round trip {quality.rtt_ms:.0f} ms"
    )


def _when(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _aligned(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{name:<12} {value}\n" for name, value in rows)
