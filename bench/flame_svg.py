"""Stacks drawn as a flame graph: a static SVG, the outermost function at the bottom."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, ROW, MARGIN = 1200, 17, 10
"""Pixels."""

SMALLEST = 0.003
"""Share of the whole below which a frame is left out: it could not be read."""

LETTER = 6.4
"""Pixels that a letter takes at the font's size."""


@dataclass
class Frame:
    """A function as it was called here, and what it called."""

    name: str
    count: int = 0
    called: dict[str, Frame] = field(default_factory=dict)


def drawn(stacks: Counter[tuple[str, ...]], title: str) -> str:
    """The picture.

    Args:
        stacks: how often each was met; the outermost function comes first.
        title: what it shows.
    """
    root = tree(stacks)
    depth = height(root, root.count)
    bottom = 2 * ROW + depth * ROW
    size = f'width="{WIDTH}" height="{bottom + 2 * MARGIN}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" font-size="11">',
        f'<rect {size} fill="#fff"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 10}" font-size="13">{escape(title)}</text>',
    ]
    place(root, root.count, MARGIN, bottom, parts)
    return "\n".join([*parts, "</svg>", ""])


def tree(stacks: Counter[tuple[str, ...]]) -> Frame:
    """All stacks as one frame, with what it called."""
    root = Frame("the gateway's process", stacks.total())
    for stack, count in stacks.items():
        at = root
        for name in stack:
            at = at.called.setdefault(name, Frame(name))
            at.count += count
    return root


def height(frame: Frame, whole: int) -> int:
    """Rows that a frame takes with what it called."""
    seen = [each for each in frame.called.values() if each.count >= SMALLEST * whole]
    return 1 + max((height(each, whole) for each in seen), default=0)


def place(frame: Frame, whole: int, x: float, bottom: float, parts: list[str]) -> None:
    """Draw a frame, and what it called above it, the widest first."""
    width = (WIDTH - 2 * MARGIN) * frame.count / whole
    share = f"{frame.count / whole:.1%}"
    room = int((width - 6) / LETTER)
    name = frame.name if len(frame.name) <= room else frame.name[: room - 1] + "…"
    parts.append(
        f"<g><title>{escape(frame.name)}: {share}</title>"
        f'<rect x="{x:.1f}" y="{bottom - ROW:.0f}" width="{width:.1f}" height="{ROW - 1}"'
        f' rx="1" fill="{colour(frame.name)}"/>'
        + (f'<text x="{x + 3:.1f}" y="{bottom - 5:.0f}">{escape(name)}</text>' if room > 2 else "")
        + "</g>"
    )
    for each in sorted(frame.called.values(), key=lambda called: -called.count):
        if each.count >= SMALLEST * whole:
            place(each, whole, x, bottom - ROW, parts)
            x += (WIDTH - 2 * MARGIN) * each.count / whole


def colour(name: str) -> str:
    """Blue for Python, warm for the rest; the same name has the same shade everywhere."""
    shade = hashlib.sha256(name.encode()).digest()[0] % 40
    hue = 205 if ".py)" in name else 25
    return f"hsl({hue + shade // 2}, 75%, {62 + shade // 2}%)"
