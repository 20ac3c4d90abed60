"""What came with a caller's INVITE besides the call: what its trunk lets through, and its meaning.

A caller's headers are taken at their trunk's word: names and patterns of its configuration decide
what the bot and the flow see, what becomes a variable, and whose word about the caller counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from config.context_policy import Part
from config.trunks import Trunk
from sip.context import user_to_user
from sip.context.identity import CallerIdentity, caller_identity
from sip.context.user_to_user import UserToUserData
from sip.message import Message

MAX_VARIABLES = 32
MAX_VARIABLE = 1000
"""Characters. More, or longer ones, are not taken from an INVITE: half of what a bot may set."""

MAX_TOKEN = 128


@dataclass(frozen=True, slots=True)
class Received:
    """What an INVITE brought along."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Those that the trunk lets through, by the name as it was sent."""
    user_to_user: tuple[UserToUserData, ...] = ()
    """User-to-User, decoded, where the trunk lets it through."""
    variables: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    """The hand-back token; empty: none came."""
    status: str = ""
    """What became of the caller meanwhile, in the peer's word; empty: nothing was said."""
    identity: CallerIdentity = field(default_factory=CallerIdentity)


def received(message: Message, trunk: Trunk) -> Received:
    """Read an INVITE of this trunk."""
    back = trunk.hand_back
    own = {name.lower() for name in (back.header, back.status_header) if name}
    # Most trunks let nothing through; their INVITEs are not gone through line by line.
    seen = _joined(message.headers) if trunk.headers or trunk.variables else {}
    lets_through = _matcher(*trunk.headers)
    visible = {
        name: value
        for name, value in seen.items()
        if lets_through(name) and name.lower() not in own
    }
    policy = trunk.context.user_to_user
    lines = message.lines(policy.header)
    data = tuple(user_to_user.read(", ".join(lines), policy)) if lines else ()
    return Received(
        headers=visible,
        user_to_user=data if data and lets_through(policy.header) else (),
        variables=dict(_variables(seen, trunk.variables)),
        token=_token(message.header(back.header) if back.header else "", data),
        status=message.header(back.status_header).strip() if back.status_header else "",
        identity=caller_identity(message, trusted=trunk.identity.trusted),
    )


def _joined(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """By name; those of one name in one line (RFC 3261 section 7.3.1)."""
    found: dict[str, str] = {}
    for name, value in headers:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


@cache  # a trunk's are the same for all its calls
def _matcher(*patterns: str) -> Callable[[str], object]:
    """Whether a header's name, in whatever case, is one of these; `X-*` is all that begin so."""
    expressions = (
        f"{re.escape(each[:-1])}.*" if each.endswith("*") else re.escape(each) for each in patterns
    )
    return re.compile("|".join(expressions) or r"(?!)", re.IGNORECASE).fullmatch


def _variables(headers: Mapping[str, str], mapping: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    left = MAX_VARIABLES
    for header, value in headers.items():
        for pattern, variable in mapping.items():
            if not _matcher(pattern)(header) or len(value) > MAX_VARIABLE:
                continue
            rest = header[len(pattern) - 1 :].lower() if pattern.endswith("*") else ""
            name = variable.replace("*", rest)
            if name and left:
                yield name[:64], value
                left -= 1


def _token(header: str, data: Sequence[UserToUserData]) -> str:
    """From its header, else from the pairs in User-to-User."""
    told = [user_to_user.pairs(datum.text).get(Part.RESUME, "") for datum in data if datum.text]
    token = next((each for each in (header.strip(), *told) if each), "")
    return token if len(token) <= MAX_TOKEN else ""
