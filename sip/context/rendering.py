"""The context packet as SIP headers: what a trunk's policy makes of it, and what had no room.

Without I/O. Each part of the packet becomes lines of its own, and those that User-to-User carries
become pairs in it. What is too long is cut or dropped, first in its line, then from the sum, in the
order that the policy declares. Nothing is lost in silence: `dropped` has it all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from urllib.parse import quote

from config.context import Context, Transcript
from config.context_policy import Characters, ContextPolicy, Part
from config.errors import InvalidValue
from config.headers import MAX_LINE, check_name, check_value
from sip.context import user_to_user
from sip.outcome import Dropped

MAX_GIVEN = 5000
"""Octets of the headers that a flow, a bot or the API writes itself. With the packet's own and the
SDP a message stays below the 9000 octets that PJSIP sends, and the 8 KB that many peers take."""

_ASCII = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_CUT = "..."


@dataclass(frozen=True, slots=True)
class Rendered:
    """Headers to send, and what is not among them."""

    headers: Mapping[str, str]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    field: str
    """What is said to be dropped, should it be."""
    name: str
    value: str
    rank: int
    """Of two lines, the one of the lower rank is dropped first."""

    @property
    def size(self) -> int:
        """Octets on the wire, the line's end included."""
        return len(f"{self.name}: {self.value}\r\n".encode())


_KEPT = 1000
"""The rank of the hand-back token."""


def rendered(
    context: Context,
    policy: ContextPolicy,
    *,
    given: Mapping[str, str],
    token: str = "",
    token_header: str = "",
) -> Rendered:
    """The headers of a transfer.

    Args:
        context: the packet.
        policy: of the trunk that the message goes to.
        given: headers that were written as such. They win over the packet's of the same name.
        token: the hand-back token; empty: there is none.
        token_header: its header; empty: only User-to-User carries it.
    """
    dropped: list[Dropped] = []
    lines = _Lines(dropped)
    if token and token_header:
        lines.take(_Line("resume", token_header, token, _KEPT), MAX_LINE)
    own = _within([*_given(given)], MAX_GIVEN, dropped)
    for line in own:
        lines.take(line, MAX_LINE)
    for part in Part:
        for line in _lines(part, context, policy):
            lines.take(line, policy.max_line)
    told = _user_to_user(context, policy, token, dropped)
    if told:
        needed = token and not token_header
        rank = _KEPT if needed else len(policy.drop)
        name = policy.user_to_user.header
        lines.take(_Line("user_to_user", name, told, rank), MAX_LINE)
    packet = [line for line in lines.taken if line not in own]
    kept = _within(packet, policy.max_octets, dropped)
    ordered = [line for line in lines.taken if line in own or line in kept]
    # What was cut off first and dropped then is dropped.
    lost = {loss.field: loss for loss in dropped}
    return Rendered({line.name: line.value for line in ordered}, tuple(lost.values()))


def fitting(given: Mapping[str, str]) -> Rendered:
    """Those headers that have room on a message that hands nothing over: a BYE, or a refusal.

    PJSIP would send no BYE at all that is too long, and leave the peer in the call.
    """
    dropped: list[Dropped] = []
    lines = _Lines(dropped)
    for line in _given(given):
        lines.take(line, MAX_LINE)
    kept = _within(lines.taken, MAX_GIVEN, dropped)
    return Rendered({line.name: line.value for line in kept}, tuple(dropped))


class _Lines:
    """Lines of one message, each name once."""

    def __init__(self, dropped: list[Dropped]) -> None:
        self.taken: list[_Line] = []
        self._dropped = dropped
        self._names: set[str] = set()

    def take(self, line: _Line, limit: int) -> None:
        """Add a line, shortened to `limit` octets; or note why not."""
        try:
            check_name(line.name)
            check_value(line.value)
        except InvalidValue as error:
            self._drop(line, error.message)
            return
        if line.name.lower() in self._names:
            self._drop(line, f"there is a header {line.name} already")
            return
        if line.size > limit:
            reason = f"over {limit} octets in one line"
            shorter = _shortened(line, limit)
            if shorter is None:
                self._drop(line, reason)
                return
            self._drop(line, f"{reason}: cut off")
            line = shorter
        self._names.add(line.name.lower())
        self.taken.append(line)

    def _drop(self, line: _Line, reason: str) -> None:
        self._dropped.append(Dropped(line.field, reason))


def _given(headers: Mapping[str, str]) -> Iterator[_Line]:
    # The author of the flow writes after the bot or the API, and is the last to lose a header.
    for rank, (name, value) in enumerate(headers.items()):
        yield _Line(f"headers.{name}", name, value, rank)


def _lines(part: Part, context: Context, policy: ContextPolicy) -> Iterator[_Line]:
    """The lines that one part becomes; of several the last is dropped first."""
    rank = policy.drop.index(part) if part in policy.drop else -1
    pattern = "" if part is Part.RESUME else str(getattr(policy.headers, part.value))
    if not pattern:
        return
    for key, text in _entries(part, context):
        name = pattern.removesuffix("*") + key
        value = quote(text, safe=_ASCII) if policy.characters is Characters.PERCENT else text
        yield _Line(_field(part, key), name, value, rank)


def _entries(part: Part, context: Context) -> list[tuple[str, str]]:
    """What there is to say in a part: the entry's own name, where it has one, and the text."""
    text = ""
    match part:
        case Part.INFORMATION | Part.ATTRIBUTES:
            named: Mapping[str, str] = getattr(context, part.value)
            return [(key, text.strip()) for key, text in named.items() if text.strip()]
        case Part.SKILLS:
            text = ", ".join(context.skills)
        case Part.TAGS:
            text = ", ".join(context.tags)
        case Part.TRANSCRIPT:
            text = _link(context.transcript) if context.transcript else ""
        case Part.PRIORITY | Part.LANGUAGE | Part.SUMMARY:
            text = (getattr(context, part.value) or "").strip()
        case Part.RESUME:
            pass
    return [("", text)] if text else []


def _field(part: Part, key: str) -> str:
    return f"{part.value}.{key}" if key else part.value


def _link(transcript: Transcript) -> str:
    uses = "" if transcript.uses is None else f";uses={transcript.uses}"
    expires = ""
    if transcript.expires is not None:
        at = transcript.expires.astimezone(UTC)
        expires = f";expires={at.isoformat(timespec='seconds').replace('+00:00', 'Z')}"
    return f"<{transcript.url}>{uses}{expires}"


def _shortened(line: _Line, limit: int) -> _Line | None:
    """A line that makes sense with its end cut off; None: it makes none."""
    if line.field in (Part.SKILLS, Part.TAGS):
        words = line.value.split(", ")
        while words and replace(line, value=", ".join(words)).size > limit:
            words.pop()
        return replace(line, value=", ".join(words)) if words else None
    if line.field != Part.SUMMARY:
        return None
    room = limit - replace(line, value=_CUT).size
    text = line.value.encode()[: max(0, room)].decode(errors="ignore")
    if "%" in text[-2:]:  # not in the middle of an escaped octet
        text = text[: text.rindex("%")]
    return replace(line, value=(text.rpartition(" ")[0] or text) + _CUT) if text else None


def _within(lines: list[_Line], limit: int, dropped: list[Dropped]) -> list[_Line]:
    """The lines that have room in `limit` octets together; those of the lowest rank go first."""
    kept = list(lines)
    size = sum(line.size for line in kept)
    for line in _leaving(kept):
        if size <= limit or line.rank == _KEPT:
            break
        kept.remove(line)
        size -= line.size
        dropped.append(Dropped(line.field, f"over {limit} octets in all"))
    return kept


def _leaving(lines: list[_Line]) -> list[_Line]:
    """In the order in which they are dropped: by rank, and of one rank the last first."""
    backwards = lines[::-1]
    backwards.sort(key=lambda line: line.rank)
    return backwards


def _user_to_user(
    context: Context, policy: ContextPolicy, token: str, dropped: list[Dropped]
) -> str:
    """The value of User-to-User; empty: there is nothing to say in it."""
    wanted = policy.user_to_user
    if not wanted.header:
        return ""
    pairs: list[_Line] = []
    for part in wanted.parts:
        rank = policy.drop.index(part) if part in policy.drop else -1
        if part is Part.RESUME and token:
            told = user_to_user.pair(part.value, token)
            pairs.append(_Line("resume", part.value, told, _KEPT))
        for key, text in _entries(part, context):
            name = key or part.value
            if key in [each.value for each in Part]:
                reason = "its name is that of a part of the packet"
                dropped.append(Dropped(f"user_to_user.{_field(part, key)}", reason))
                continue
            told = user_to_user.pair(name, text.replace(", ", ","))
            pairs.append(_Line(_field(part, key), name, told, rank))
    limit = user_to_user.room(wanted)
    for pair in _leaving(pairs):
        size = len(";".join(pair.value for pair in pairs))
        if size <= limit or pair.rank == _KEPT:
            break
        pairs.remove(pair)
        reason = f"over {limit} octets of {wanted.header}"
        dropped.append(Dropped(f"user_to_user.{pair.field}", reason))
    return user_to_user.written([pair.value for pair in pairs], wanted) if pairs else ""
