"""Who calls and how the call came here, told to a target: RFC 3325, RFC 3323, RFC 5806, RFC 7044.

What a caller's trunk asserts counts only where that trunk is trusted. What a caller wants to be
kept private stays inside the trust domain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from config.headers import MAX_LINE
from config.identity import DiversionReason, Identity, Redirection
from sip.message import Message

ANONYMOUS = "anonymous"
"""User part of a From that tells nothing (RFC 3323 section 4.1.1.3)."""

ANONYMOUS_FROM = '"Anonymous" <sip:anonymous@anonymous.invalid>'

MAX_PASSED_ON = 10
"""Entries of Diversion or History-Info: a call that was passed on more often goes in circles."""

_PRIVATE = frozenset({"id", "user", "header"})
"""Of Privacy: the caller is not to be named (RFC 3323 section 4.2, RFC 3325 section 9.3)."""

_CAUSES = {
    DiversionReason.UNKNOWN: 404,
    DiversionReason.USER_BUSY: 486,
    DiversionReason.NO_ANSWER: 408,
    DiversionReason.DEFLECTION: 480,
    DiversionReason.UNAVAILABLE: 503,
}
"""RFC 4458 section 2, for those reasons that have a cause of their own there; else 302."""

_INDEX = re.compile(r";\s*index\s*=\s*([0-9]+(?:\.[0-9]+)*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """What came with the INVITE about its caller and its way."""

    asserted: tuple[str, ...] = ()
    """P-Asserted-Identity, from a trusted trunk."""
    private: bool = False
    """The caller asked not to be named."""
    diversions: tuple[str, ...] = ()
    """Diversion, the latest first."""
    history: tuple[str, ...] = ()
    """History-Info, in its order."""


@dataclass(frozen=True, slots=True)
class Told:
    """How an INVITE to a target names the caller."""

    from_user: str
    headers: dict[str, str]


def caller_identity(message: Message, *, trusted: bool) -> CallerIdentity:
    """Read an INVITE."""
    privacy = {
        value.strip().lower() for line in message.lines("Privacy") for value in line.split(";")
    }
    return CallerIdentity(
        asserted=_values(message, "P-Asserted-Identity")[:2] if trusted else (),
        private=bool(privacy & _PRIVATE),
        diversions=_values(message, "Diversion")[:MAX_PASSED_ON],
        history=_values(message, "History-Info")[:MAX_PASSED_ON],
    )


def told(
    identity: CallerIdentity, policy: Identity, *, caller: str, dialled: str, target: str
) -> Told:
    """What an INVITE over a trunk says of the caller.

    Args:
        identity: the caller's.
        policy: of the trunk that the INVITE goes over.
        caller: user part of the caller's From.
        dialled: URI of the number that the caller had dialled, at this gateway.
        target: request URI of the INVITE.
    """
    headers: dict[str, str] = {}
    may_know = policy.trusted or not identity.private
    if policy.asserted == "caller" and identity.asserted and may_know:
        headers["P-Asserted-Identity"] = ", ".join(identity.asserted)
    if identity.private:
        headers["Privacy"] = "id"
    if "invite" in policy.referred_by:
        headers["Referred-By"] = f"<{dialled}>"
    if policy.redirection in (Redirection.DIVERSION, Redirection.BOTH):
        ours = f"<{dialled}>;reason={policy.reason};counter=1"
        headers["Diversion"] = _line("Diversion", [ours, *identity.diversions])
    if policy.redirection in (Redirection.HISTORY_INFO, Redirection.BOTH):
        headers["History-Info"] = _line(
            "History-Info", _history(identity.history, policy.reason, dialled, target)
        )
    return Told(ANONYMOUS if identity.private else caller, headers)


def _history(
    before: tuple[str, ...], reason: DiversionReason, dialled: str, target: str
) -> list[str]:
    """The entries so far, the number dialled where they lack it, and the target below it."""
    entries = list(before) or [f"<{dialled}>;index=1"]
    found = _INDEX.search(entries[-1])
    index = found[1] if found else "1"
    cause = _CAUSES.get(reason, 302)
    return [*entries, f"<{target};cause={cause}>;index={index}.1;mp={index}"]


def _values(message: Message, name: str) -> tuple[str, ...]:
    """The values of a header that may have several in one line."""
    return tuple(
        value.strip()
        for line in message.lines(name)
        for value in re.split(r',(?=(?:[^"<>]|"[^"]*"|<[^>]*>)*$)', line)
        if value.strip()
    )


def _line(name: str, values: list[str]) -> str:
    """As many of the values, from the first, as one line takes."""
    kept: list[str] = []
    for value in values[: MAX_PASSED_ON + 1]:
        if len(f"{name}: {', '.join([*kept, value])}\r\n".encode()) > MAX_LINE:
            break
        kept.append(value)
    return ", ".join(kept)
