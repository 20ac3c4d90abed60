"""What a ladder shows of a timeline: each message in a few words, and what became of a transfer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ivr.events import FallbackTaken, TransferRetried
from sip.events import Direction, SipMessage, TransferEnded
from sip.message import cause

_HEADER = re.compile(
    r"^(?P<name>CSeq|Reason|Refer-To|r|Retry-After|Content-Type|c|Subscription-State)"
    r"[ \t]*:[ \t]*(?P<value>[^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_COMPACT = {"r": "refer-to", "c": "content-type"}


class Kind(StrEnum):
    """What a message is, for its colour."""

    REQUEST = "request"
    PROVISIONAL = "provisional"
    SUCCESS = "success"
    REDIRECTION = "redirection"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Arrow:
    """One message between a leg and the gateway."""

    offset_ms: int
    leg: str
    peer: str
    direction: Direction
    label: str
    kind: Kind = Kind.REQUEST
    times: int = 1
    """How often the very same message was seen: retransmissions (RFC 3261 section 17)."""

    @property
    def words(self) -> str:
        """The label, with how often it was said."""
        return self.label if self.times == 1 else f"{self.label} x{self.times}"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the gateway concluded or did."""

    offset_ms: int
    text: str


Row = Arrow | Note


def rows(timeline: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The messages and verdicts of a timeline as `CallEvent.as_dict` gives it, in order."""
    found: list[Row] = []
    first: dict[tuple[str, str, str], int] = {}
    for event in timeline:
        offset_ms = int(event["offset_ms"])
        if event["name"] == SipMessage.name:
            said = (str(event["leg"]), str(event["direction"]), str(event["text"]))
            if said in first:
                earlier = found[first[said]]
                if isinstance(earlier, Arrow):
                    found[first[said]] = replace(earlier, times=earlier.times + 1)
                continue
            first[said] = len(found)
            leg, direction, text = said
            label = describe(text)
            arrow = Arrow(offset_ms, leg, str(event["peer"]), Direction(direction), label)
            found.append(replace(arrow, kind=_kind(label)))
        elif event["name"] == TransferEnded.name:
            found.append(Note(offset_ms, _verdict(event["attempt"])))
        elif event["name"] == FallbackTaken.name:
            found.append(Note(offset_ms, f"fallback {event['key']}: {event['to'] or 'end'}"))
        elif event["name"] == TransferRetried.name:
            found.append(Note(offset_ms, f"fallback {event['key']}: {event['target']} is tried"))
    return found


def describe(message: str) -> str:
    """A SIP message in a few words: method or status, SDP, and what explains a transfer.

    Of a NOTIFY the sipfrag's status is shown (RFC 3420), of a REFER its Refer-To, and of any
    message its Reason (RFC 3326) and Retry-After.
    """
    head, _, body = message.replace("\r\n", "\n").partition("\n\n")
    first, _, rest = head.partition("\n")
    headers: dict[str, str] = {}
    for match in _HEADER.finditer(rest):
        name = match["name"].lower()
        headers.setdefault(_COMPACT.get(name, name), match["value"].strip())
    if first.startswith("SIP/2.0 "):
        _, _, status = first.partition(" ")
        method = headers.get("cseq", "").rpartition(" ")[2]
        label = f"{status[:3]} {method}".strip()
    else:
        label = first.partition(" ")[0]
    content = headers.get("content-type", "").lower()
    if body.strip() and content.startswith("application/sdp"):
        label += " (SDP)"
    elif body.strip() and content.startswith("message/sipfrag"):
        label += f" [{_sipfrag(body)}]"
    elif label == "NOTIFY":
        state = headers.get("subscription-state", "no body").partition(";")[0]
        label += f" [{state}]"
    if "refer-to" in headers:
        label += f" -> {_uri(headers['refer-to'])}"
    if "reason" in headers:
        label += f" ({cause(headers['reason'])})"
    if "retry-after" in headers:
        label += f" (retry after {headers['retry-after']} s)"
    return label


def _kind(label: str) -> Kind:
    match label[:1]:
        case "1":
            return Kind.PROVISIONAL
        case "2":
            return Kind.SUCCESS
        case "3":
            return Kind.REDIRECTION
        case "4" | "5" | "6":
            return Kind.FAILURE
        case _:
            return Kind.REQUEST


def _verdict(attempt: Mapping[str, Any]) -> str:
    code = "" if attempt["code"] is None else f", {attempt['code']} {attempt['reason']}".rstrip()
    timer = f", timer {attempt['timer']}" if attempt["timer"] else ""
    who = f"{attempt['id']} {attempt['method']} {attempt['target']}"
    return f"{who}: {attempt['outcome']}{code}{timer}"


def _sipfrag(body: str) -> str:
    """`SIP/2.0 486 Busy Here` as `486 Busy Here`."""
    return body.strip().partition("\n")[0].partition(" ")[2].strip() or "empty"


def _uri(value: str) -> str:
    match = re.search(r"<([^>]*)>", value)
    return (match[1] if match else value).partition("?")[0]
