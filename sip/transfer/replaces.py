"""The Replaces header (RFC 3891): which dialog a new one takes the place of, and whether it may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from sip.message import Message


@dataclass(frozen=True, slots=True)
class Replaces:
    """Names a dialog as its recipient sees it (RFC 3891 section 6.1)."""

    call_id: str
    to_tag: str
    """The recipient's own tag."""
    from_tag: str
    """The tag of the recipient's peer."""
    early_only: bool = False

    def __str__(self) -> str:
        """The header's value."""
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


def parse_replaces(value: str) -> Replaces | None:
    """Read the header's value; None where it is malformed."""
    call_id, *rest = (part.strip() for part in value.split(";"))
    tags: dict[str, str] = {}
    for part in rest:
        name, _, text = part.partition("=")
        if name.strip().lower() in tags:
            return None
        tags[name.strip().lower()] = text.strip()
    to_tag, from_tag = tags.get("to-tag", ""), tags.get("from-tag", "")
    if not call_id or " " in call_id or not to_tag or not from_tag:
        return None
    return Replaces(call_id, to_tag, from_tag, "early-only" in tags)


def replaces_of(invite: Message) -> Replaces | None:
    """What an INVITE wants to replace; None: nothing.

    Raises:
        ReplacesRefused: the header is malformed, or not alone (section 3).
    """
    values = [value for name, value in invite.headers if name.lower() == "replaces"]
    if not values:
        return None
    replaces = parse_replaces(values[0])
    if len(values) > 1 or replaces is None or invite.header("Join"):
        raise ReplacesRefused(400, "Bad Replaces")
    return replaces


class ReplacesRefused(Exception):
    """The INVITE is answered with this status; the dialog it names is left alone."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Progress(Enum):
    """How far a dialog is that somebody wants to replace."""

    RINGING_THERE = auto()
    """We have called, and nobody has answered yet."""
    RINGING_HERE = auto()
    """We were called, and have not answered yet."""
    ANSWERED = auto()
    BUSY = auto()
    """A transfer of its own is under way: REFER of ours or theirs."""
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dialog of ours with the Call-ID that an INVITE names."""

    local_tag: str
    remote_tag: str
    trunk: str
    progress: Progress


_REFUSALS: dict[Progress, tuple[int, str]] = {
    # Section 3: an early dialog that was not initiated by us is answered as no dialog at all.
    Progress.RINGING_HERE: (481, "Call/Transaction Does Not Exist"),
    Progress.ENDED: (603, "Declined"),
    Progress.BUSY: (491, "Request Pending"),
}


def judge(replaces: Replaces, trunk: str, candidates: Iterable[Candidate]) -> Candidate:
    """The dialog that an INVITE over this trunk replaces.

    A trunk replaces its own dialogs only: knowing the tags of another's proves nothing here.

    Raises:
        ReplacesRefused: there is none (481), it has ended (603), it is answered and `early-only`
            was asked for (486), another trunk's (403), or under way elsewhere (491).
    """
    for candidate in candidates:
        if (candidate.local_tag, candidate.remote_tag) != (replaces.to_tag, replaces.from_tag):
            continue
        if candidate.trunk != trunk:
            raise ReplacesRefused(403, "Another Trunk's Dialog")
        if candidate.progress in _REFUSALS:
            raise ReplacesRefused(*_REFUSALS[candidate.progress])
        if replaces.early_only and candidate.progress is Progress.ANSWERED:
            raise ReplacesRefused(486, "Busy Here")
        return candidate
    raise ReplacesRefused(481, "Call/Transaction Does Not Exist")
