"""A call's SIP messages as a picture in text: one column a leg, the gateway beside the caller.

ms  caller                                    gateway
    192.0.2.5:5060
    |                                         |
 0  |------------- INVITE (SDP) ------------->|
 1  |<-------------- 100 INVITE --------------|
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sip.events import Direction, SipMessage

WIDTH = 108
"""Columns of text: fits a terminal, a ticket and a printed page."""
MAX_COLUMNS = 4
"""Caller, gateway and two more. Legs beyond share the last column and carry their name."""
WIDEST_GAP = 42
_TIME = 10
_GATEWAY = "gateway"

_HEADER = re.compile(
    r"^(?P<name>CSeq|Reason|Refer-To|r|Retry-After|Content-Type|c|Subscription-State)"
    r"[ \t]*:[ \t]*(?P<value>[^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_COMPACT = {"r": "refer-to", "c": "content-type"}


@dataclass(frozen=True, slots=True)
class Arrow:
    """One message between a leg and the gateway."""

    offset_ms: int
    leg: str
    peer: str
    direction: Direction
    label: str


def arrows(timeline: Iterable[Mapping[str, object]]) -> list[Arrow]:
    """The SIP messages of a timeline as `CallEvent.as_dict` gives it."""
    found = []
    for row in timeline:
        if row["name"] == SipMessage.name:
            offset_ms, leg, peer, text = (row[k] for k in ("offset_ms", "leg", "peer", "text"))
            direction = Direction(str(row["direction"]))
            label = describe(str(text))
            found.append(Arrow(int(str(offset_ms)), str(leg), str(peer), direction, label))
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
        label += f" ({_reason(headers['reason'])})"
    if "retry-after" in headers:
        label += f" (retry after {headers['retry-after']} s)"
    return label


def _sipfrag(body: str) -> str:
    """`SIP/2.0 486 Busy Here` as `486 Busy Here`."""
    return body.strip().partition("\n")[0].partition(" ")[2].strip() or "empty"


def _uri(value: str) -> str:
    match = re.search(r"<([^>]*)>", value)
    return (match[1] if match else value).partition("?")[0]


def _reason(value: str) -> str:
    """`Q.850;cause=17;text="User busy"` as `Q.850 17 User busy`."""
    protocol, *parameters = (part.strip() for part in value.split(";"))
    known = dict(part.partition("=")[::2] for part in parameters)
    words = (protocol, known.get("cause", ""), known.get("text", "").strip('"'))
    return " ".join(word for word in words if word)


def draw(messages: list[Arrow]) -> str:
    """The ladder. Lines end with a newline; an empty call gives one line that says so."""
    if not messages:
        return "no SIP messages\n"
    columns = _columns(messages)
    places = list(dict.fromkeys(columns.values()))
    peers = {columns[m.leg]: m.peer for m in reversed(messages)}
    last = max(len(places[-1]), len(peers.get(places[-1], "")))
    gap = min(WIDEST_GAP, (WIDTH - _TIME - last) // (len(places) - 1))
    at = {place: _TIME + gap * index for index, place in enumerate(places)}
    lines = [
        _row({at[place]: place[: gap - 1] for place in places}, "ms"),
        _row({at[place]: peers.get(place, "")[: gap - 1] for place in places}),
        _row(dict.fromkeys(at.values(), "|")),
    ]
    for message in messages:
        place = columns[message.leg]
        label = message.label if place == message.leg else f"{message.leg}: {message.label}"
        left, right = sorted((at[place], at[_GATEWAY]))
        from_left = (at[place] == left) == (message.direction is Direction.RECEIVED)
        cells = dict.fromkeys(at.values(), "|")
        for column in at.values():
            if left < column < right:
                del cells[column]  # the arrow passes over a column in between
        cells[left + 1] = _shaft(label, right - left - 1, from_left=from_left)
        lines.append(_row(cells, str(message.offset_ms)))
    return "".join(f"{line}\n" for line in lines)


def _columns(messages: list[Arrow]) -> dict[str, str]:
    """Which column each leg stands in: the caller's, then the gateway's, then the others'."""
    legs = list(dict.fromkeys(message.leg for message in messages))
    columns = {legs[0]: legs[0], _GATEWAY: _GATEWAY}
    for leg in legs[1:]:
        free = len(set(columns.values())) < MAX_COLUMNS
        columns[leg] = leg if free else list(columns.values())[MAX_COLUMNS - 1]
    return columns


def _shaft(label: str, width: int, *, from_left: bool) -> str:
    """An arrow of `width` characters with its label in the middle."""
    room = width - 6
    if len(label) > room:
        label = label[: room - 2] + ".."
    line = f" {label} ".center(width - 1, "-")
    return f"{line}>" if from_left else f"<{line}"


def _row(cells: Mapping[int, str], offset: str = "") -> str:
    line = offset.rjust(_TIME - 2)
    for column, text in sorted(cells.items()):
        line = line.ljust(column) + text
    return line.rstrip()
