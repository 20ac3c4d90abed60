"""Hints for names that were misspelt."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

_FEW = 12
"""As many names are listed in a hint; more would hide it."""


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A hint that names the known name most like this one; empty when none is."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean `{close[0]}`?" if close else ""


def nearest(name: str, known: Collection[str]) -> str:
    """The same, or else all known names when they are few."""
    if (hint := did_you_mean(name, known)) or not 0 < len(known) <= _FEW:
        return hint
    return f"Known: {', '.join(f'`{each}`' for each in known)}"
