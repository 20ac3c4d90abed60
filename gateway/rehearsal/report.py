"""Rehearsed failures, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from gateway import report
from gateway.rehearsal.result import Judgement, Rehearsed
from gateway.rehearsal.scene import Scene

MARKS = {True: "✓", False: "✗"}

_WITHOUT = {
    Judgement.SUCCEEDED: "not needed",
    Judgement.RELEASED: "too late: the call has left",
}

SHORT = ("", "failure", "outcome", "code", "fallback", "path")
TITLES = (*SHORT, "then the caller is told", "the peer")
WRAPPED = ("path", "then the caller is told", "the peer")


def title(scene: Scene) -> str:
    """What is rehearsed, in one line."""
    return (
        f"{scene.flow}: {scene.node} reaches {scene.target} by {scene.method.value}, "
        f"the caller comes over {scene.trunk}"
    )


def table(played: Sequence[Rehearsed], titles: Sequence[str] = TITLES) -> Table:
    """One line a failure; `titles`: the first of `TITLES`."""
    drawn = Table(box=None, pad_edge=False)
    for name in titles:
        drawn.add_column(name, no_wrap=name not in WRAPPED)
    for one in played:
        drawn.add_row(*map(Text, _cells(one)[: len(titles)]))
    return drawn


def single(one: Rehearsed, scene: Scene) -> str:
    """One failure in full, its SIP ladder included."""
    case = one.case
    lines = [
        title(scene),
        f"{case.name}: {case.what} ({case.section})",
        "",
        _row("path", " > ".join(one.path)),
        *_rows("heard", one.prompts or ("nothing",)),
        *_rows("attempt", [report.describe_attempt(each) for each in one.attempts] or ("none",)),
        *_rows("uri", [each.uri for each in one.attempts if each.uri] or ("none",)),
        _row("fallback", _fallback(one)),
        _row("end", one.end or "none: the call was cut off"),
        _row(MARKS[one.good], verdict(one)),
    ]
    ladder = report.sip_ladder_of(stamped.as_dict() for stamped in one.events)
    return "\n".join([*lines, "", ladder])


def verdict(one: Rehearsed) -> str:
    """The judgement in words, with what should be looked at."""
    if one.unplayable:
        return f"{one.judgement.value}, but a prompt cannot be played: {', '.join(one.unplayable)}"
    if one.judgement is Judgement.RELEASED:
        return "released: the call has left with our BYE, whatever the peer answers"
    if one.judgement is Judgement.LOST:
        return "lost: the call ended without the fallback"
    if one.judgement is Judgement.STUCK:
        return "stuck: the call had no end"
    if one.judgement is Judgement.FAULT:
        return "a fault of the gateway: see the log"
    if one.silent:
        return f"{one.judgement.value}; the caller is dropped without a word"
    return one.judgement.value


def summary(played: Sequence[Rehearsed]) -> str:
    """The last line: how many are good, and which are not."""
    bad = [one.case.name for one in played if not one.good]
    silent = [one.case.name for one in played if one.silent]
    words = [f"{len(played) - len(bad)} of {len(played)} failures are looked after"]
    if bad:
        words.append(f"not: {', '.join(bad)}")
    if silent:
        words.append(f"without a word: {', '.join(silent)}")
    return "; ".join(words)


def as_json(one: Rehearsed) -> dict[str, Any]:
    """One failure for programs."""
    last = one.last
    return {
        "failure": one.case.name,
        "peer": one.case.what,
        "section": one.case.section,
        "good": one.good,
        "judgement": one.judgement.value,
        "outcome": last.outcome.value if last else None,
        "code": last.code if last else None,
        "attempts": len(one.attempts),
        "uris": [each.uri for each in one.attempts],
        "fallback": {"key": one.fallback.key, "to": one.fallback.to} if one.fallback else None,
        "path": list(one.path),
        "prompts": list(one.prompts),
        "unplayable": list(one.unplayable),
        "silent": one.silent,
        "end": one.end,
    }


def _cells(one: Rehearsed) -> tuple[str, ...]:
    last = one.last
    return (
        MARKS[one.good],
        one.case.name,
        last.outcome.value if last else one.judgement.value,
        str(last.code or "") if last else "",
        _fallback(one),
        " > ".join(one.path),
        " / ".join(one.told) or "nothing",
        one.case.what,
    )


def _fallback(one: Rehearsed) -> str:
    if one.fallback is None:
        return _WITHOUT.get(one.judgement, "none")
    return f"{one.fallback.key}: {one.fallback.to or 'end'}"


def _row(name: str, value: str) -> str:
    return f"  {name:<10} {value}"


def _rows(name: str, values: Sequence[str]) -> list[str]:
    return [_row(name if at == 0 else "", value) for at, value in enumerate(values)]
