"""The ladder as text.

ms  caller                                    gateway
    192.0.2.5:5060
    |                                         |
 0  |------------- INVITE (SDP) ------------->|
 1  |<-------------- 100 INVITE --------------|
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.ladder.columns import GATEWAY, caption, columns, peers
from gateway.ladder.rows import Arrow, Note, Row
from sip.events import Direction

WIDTH = 108
"""Columns of text: fits a terminal, a ticket and a printed page."""
MAX_COLUMNS = 4
"""Caller, gateway and two more. Legs beyond share the last column and carry their name."""
WIDEST_GAP = 42
_TIME = 10


def draw(rows: Sequence[Row]) -> str:
    """The ladder. Lines end with a newline; an empty call gives one line that says so."""
    arrows = [row for row in rows if isinstance(row, Arrow)]
    if not arrows:
        return "no SIP messages\n"
    stands = columns(arrows, MAX_COLUMNS)
    places = list(dict.fromkeys(stands.values()))
    addresses = peers(arrows, stands)
    last = max(len(places[-1]), len(addresses.get(places[-1], "")))
    gap = min(WIDEST_GAP, (WIDTH - _TIME - last) // (len(places) - 1))
    at = {place: _TIME + gap * index for index, place in enumerate(places)}
    lines = [
        _row({at[place]: place[: gap - 1] for place in places}, "ms"),
        _row({at[place]: addresses.get(place, "")[: gap - 1] for place in places}),
        _row(dict.fromkeys(at.values(), "|")),
    ]
    for row in rows:
        offset = str(row.offset_ms)
        if isinstance(row, Note):
            lines.append(
                _row({at[GATEWAY]: _shortened(f"* {row.text}", WIDTH - at[GATEWAY])}, offset)
            )
        else:
            lines.append(_row(_cells(row, stands[row.leg], at), offset))
    return "".join(f"{line}\n" for line in lines)


def _cells(arrow: Arrow, place: str, at: Mapping[str, int]) -> dict[int, str]:
    left, right = sorted((at[place], at[GATEWAY]))
    from_left = (at[place] == left) == (arrow.direction is Direction.RECEIVED)
    # The arrow passes over a column in between.
    cells = {column: "|" for column in at.values() if not left < column < right}
    cells[left + 1] = _shaft(caption(arrow, place), right - left - 1, from_left=from_left)
    return cells


def _shaft(label: str, width: int, *, from_left: bool) -> str:
    """An arrow of `width` characters with its label in the middle."""
    line = f" {_shortened(label, width - 6)} ".center(width - 1, "-")
    return f"{line}>" if from_left else f"<{line}"


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 2]}.."


def _row(cells: Mapping[int, str], offset: str = "") -> str:
    line = offset.rjust(_TIME - 2)
    for column, text in sorted(cells.items()):
        line = line.ljust(column) + text
    return line.rstrip()
