"""The ladder as SVG: one file without script or anything from elsewhere, for light and dark pages.

A reader of the screen is told title and description, and each message by its own title.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax import saxutils

from gateway.ladder.columns import GATEWAY, caption, columns, peers
from gateway.ladder.rows import Arrow, Note, Row
from sip.events import Direction

NAMESPACE = "http://www.w3.org/2000/svg"

MAX_COLUMNS = 12
"""A group rings at most ten at once; legs beyond share the last column."""

TIME = 76
"""Width of the time's column; this and the others in pixels."""
COLUMN = 230
MARGIN = 70
HEAD = 64
ROW = 30
PAUSE = 26
"""Height of the line that says how long nothing was said."""
PAUSE_MS = 1000
"""A silence of so long gets one."""
CHARACTER = 7.3
"""Width of a character of the labels, at most."""

STYLE = """
svg { color-scheme: light dark; background: #fff; font: 12px ui-monospace, monospace; }
.ink, .name { fill: #1f2328; } .name { font-weight: bold; } .dim { fill: #656d76; }
.life { stroke: #d0d7de; }
.request { --c: #0550ae; } .provisional { --c: #656d76; } .success { --c: #116329; }
.redirection { --c: #953800; } .failure { --c: #cf222e; }
.arrow line, .arrow path { stroke: var(--c); } .arrow path { fill: var(--c); }
.arrow text { fill: var(--c); } .paper { fill: #fff; }
.note rect { fill: #fff8c5; stroke: #d4a72c; } .note text { fill: #1f2328; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; } .paper { fill: #0d1117; }
  .ink, .name { fill: #e6edf3; } .dim { fill: #8d96a0; } .life { stroke: #30363d; }
  .request { --c: #79c0ff; } .provisional { --c: #8d96a0; } .success { --c: #56d364; }
  .redirection { --c: #f0883e; } .failure { --c: #ff7b72; }
  .note rect { fill: #3a2d00; stroke: #9e6a03; } .note text { fill: #e6edf3; }
}
"""


_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold (XML 1.0 section 2.2), though a peer may send them."""


def draw(rows: Sequence[Row], title: str) -> str:
    """The ladder of a call.

    Args:
        rows: of `gateway.ladder.rows.rows`.
        title: the call, in a few words.
    """
    picture = _Picture(rows)
    return picture.drawn(title)


class _Picture:
    """One ladder while it is being drawn, from its top."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._arrows = [row for row in rows if isinstance(row, Arrow)]
        self._stands = columns(self._arrows, MAX_COLUMNS) if self._arrows else {}
        places = list(dict.fromkeys(self._stands.values()))
        self._at = {place: TIME + MARGIN + COLUMN * n for n, place in enumerate(places)}
        self._y = HEAD
        self._parts: list[str] = []

    def drawn(self, title: str) -> str:
        """The whole file."""
        before = 0
        for row in self._rows if self._arrows else ():
            if row.offset_ms - before >= PAUSE_MS:
                self._pause(row.offset_ms - before)
            before = row.offset_ms
            self._time(row.offset_ms)
            if isinstance(row, Arrow):
                self._arrow(row)
            else:
                self._note(row)
            self._y += ROW
        height = self._y + ROW // 2
        width = max([*self._at.values(), TIME + MARGIN]) + MARGIN
        body = [*self._lifelines(height), *self._parts] if self._arrows else [_NOTHING]
        size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        return "\n".join(
            [
                f'<svg xmlns="{NAMESPACE}" {size} role="img" aria-labelledby="title desc">',
                f'<title id="title">{escape(title)}</title>',
                f'<desc id="desc">{escape(self._description())}</desc>',
                f"<style>{STYLE}</style>",
                *body,
                "</svg>\n",
            ]
        )

    def _description(self) -> str:
        parties = ", ".join(self._at) or "nobody"
        return f"SIP messages between {parties}: {len(self._arrows)} arrows in the order of time."

    def _lifelines(self, height: int) -> list[str]:
        addresses = peers(self._arrows, self._stands)
        parts = []
        for place, x in self._at.items():
            address = addresses.get(place, "")
            parts += [
                f'<text class="name" x="{x}" y="22" text-anchor="middle">{escape(place)}</text>',
                f'<text class="dim" x="{x}" y="38" text-anchor="middle">{escape(address)}</text>',
                f'<line class="life" x1="{x}" y1="{HEAD - 16}" x2="{x}" y2="{height - 10}"/>',
            ]
        return parts

    def _time(self, offset_ms: int) -> None:
        self._parts.append(
            f'<text class="dim" x="{TIME - 8}" y="{self._y + 4}" text-anchor="end">'
            f"{offset_ms / 1000:.3f} s</text>"
        )

    def _pause(self, milliseconds: int) -> None:
        x, y = self._at[GATEWAY], self._y + 2
        self._parts.append(
            f'<rect class="paper" x="{x - 44}" y="{y - 12}" width="88" height="17"/>'
            f'<text class="dim" x="{x}" y="{y}" text-anchor="middle">'
            f"{milliseconds / 1000:.1f} s later</text>"
        )
        self._y += PAUSE

    def _arrow(self, arrow: Arrow) -> None:
        place = self._stands[arrow.leg]
        here, there = self._at[place], self._at[GATEWAY]
        start, end = (here, there) if arrow.direction is Direction.RECEIVED else (there, here)
        toward = 1 if end > start else -1
        y, middle = self._y, (start + end) / 2
        words = caption(arrow, place)
        room = int((abs(end - start) - 24) / CHARACTER)
        shown = words if len(words) <= room else f"{words[: room - 1]}…"
        self._parts.append(
            f'<g class="arrow {arrow.kind.value}">'
            f"<title>{arrow.offset_ms} ms, {escape(arrow.leg)}: {escape(words)}</title>"
            f'<line x1="{start}" y1="{y}" x2="{end - 7 * toward}" y2="{y}"/>'
            f'<path d="M{end} {y} l{-8 * toward} -4 v8 z"/>'
            f'<text x="{middle}" y="{y - 5}" text-anchor="middle">{escape(shown)}</text></g>'
        )

    def _note(self, note: Note) -> None:
        width = round(len(note.text) * CHARACTER) + 20
        left = max(TIME, self._at[GATEWAY] - width / 2)
        self._parts.append(
            f'<g class="note"><title>{note.offset_ms} ms: {escape(note.text)}</title>'
            f'<rect x="{left}" y="{self._y - 12}" width="{width}" height="20" rx="4"/>'
            f'<text x="{left + width / 2}" y="{self._y + 3}" text-anchor="middle">'
            f"{escape(note.text)}</text></g>"
        )


def escape(text: str) -> str:
    """A peer's words as text, whatever they are."""
    return saxutils.escape(_NO_XML.sub("\ufffd", text))


_NOTHING = f'<text class="ink" x="{TIME}" y="22">no SIP messages</text>'
