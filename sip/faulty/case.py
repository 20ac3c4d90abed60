"""One misbehaviour: what the peer does, where the RFC speaks of it, what must come of it."""

from __future__ import annotations

from dataclasses import dataclass

from sip.faulty.steps import Behaviour
from sip.outcome import Outcome

ELSEWHERE = "sip:elsewhere@192.0.2.1"
"""Where a 302 leads: an address of documentation (RFC 5737) that no rules allow."""

RETRY_AFTER = "Retry-After: 2"
"""Seconds that a `retry` of the flow must wait: seen in a rehearsal without making it long."""

CHALLENGE = 'WWW-Authenticate: Digest realm="faulty", nonce="5f1d2c", algorithm=MD5'


@dataclass(frozen=True, slots=True)
class Case:
    """One misbehaviour."""

    name: str
    what: str
    """In a few words, for a table."""
    section: str
    """Where the RFC speaks of it."""
    behaviour: Behaviour
    outcomes: tuple[Outcome, ...]
    """What an attempt may come to; usually one."""
    code: int | None = None
    """The SIP code that the attempt carries."""


def tabled(*cases: Case) -> dict[str, Case]:
    """By their names."""
    return {case.name: case for case in cases}
