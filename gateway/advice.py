"""What to do about a failed transfer, by its SIP code or its outcome.

One table for `switchhook call ID --why`, the API and docs/transfers.md, which a test holds to it:
`python -m gateway.advice` prints the page's rows.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from sip.outcome import Attempt, Outcome, classify


@dataclass(frozen=True, slots=True)
class Advice:
    """What a failure usually means, and what helps."""

    means: str
    do: str


BY_CODE: dict[int, Advice] = {
    401: Advice(
        "the peer wants credentials, and takes none or not ours",
        "Check the trunk's `credentials`, or `registration`: username, password, `realm`.",
    ),
    403: Advice(
        "the trunk forbids this call: caller ID, route or subscription",
        "Ask the provider which caller IDs it takes; set `caller_id` of the trunk.",
    ),
    404: Advice(
        "nobody is known under this number or user",
        "Check the target's `destination`: country code, extension, domain.",
    ),
    405: Advice(
        "the peer knows the method but does not allow it here",
        "Reach this target by `invite`; `switchhook trunk probe` tells what a trunk allows.",
    ),
    407: Advice(
        "the proxy wants credentials, and takes none or not ours",
        "Check the trunk's `credentials`, or `registration`: username, password, `realm`.",
    ),
    408: Advice(
        "a proxy on the way got no answer from the next one",
        "Check that the target's telephone is registered with its PBX.",
    ),
    410: Advice("the number existed once", "Remove or change the target."),
    415: Advice(
        "the peer does not take this kind of body", "Look at the ladder for what was sent with it."
    ),
    420: Advice(
        "the peer lacks a SIP extension that was required",
        "Look at `Unsupported` in its answer; leave that extension out for this trunk.",
    ),
    480: Advice(
        "the telephone is switched off, not registered or set to do not disturb",
        "Have the fallback try somebody else, or offer to call back.",
    ),
    481: Advice(
        "the peer has forgotten the call",
        "Compare both sides' session timers; look for a proxy that was restarted.",
    ),
    483: Advice(
        "the call went round until Max-Forwards was used up",
        "Look for two proxies that send the number to each other.",
    ),
    484: Advice("digits are missing", "Write the whole number: `+`, country, area, subscriber."),
    486: Advice(
        "the called party is on the phone",
        "Have the fallback try somebody else, or `retry` after a moment.",
    ),
    487: Advice("the call was taken back before it was answered", "Nothing: it was wanted."),
    488: Advice(
        "no codec or security in common",
        "Compare the trunk's `codecs` with what the target takes, and SRTP on both sides.",
    ),
    489: Advice(
        "the peer does not know the event `refer`", "Reach this target by `invite`, not by REFER."
    ),
    491: Advice(
        "both sides changed the call at once, and did so again",
        "Look in the ladder for who sends re-INVITEs so often.",
    ),
    500: Advice("a fault in the peer", "Ask its operator, with the Call-ID and the time."),
    501: Advice(
        "the peer does not know the method",
        "Reach this target by `invite`; `switchhook trunk probe` tells what a trunk knows.",
    ),
    503: Advice(
        "the peer is overloaded or out of service",
        "Wait as long as Retry-After says; add a second route.",
    ),
    600: Advice("the called party is busy on every line", "Have the fallback take a message."),
    603: Advice(
        "somebody, or a filter, refused the call",
        "Have the fallback try somebody else; do not call again at once.",
    ),
    604: Advice("the number exists nowhere", "Check the target's `destination`."),
    607: Advice(
        "the called party does not want calls from this number", "Do not call again (RFC 8197)."
    ),
    608: Advice(
        "a filter took the call for unwanted (RFC 8688)",
        "Ask the provider how to be heard; the answer may name whom to turn to.",
    ),
}
"""Codes with something of their own to say; the others have that of their outcome."""

BY_OUTCOME: dict[Outcome, Advice] = {
    Outcome.BUSY: Advice(
        "the called party is on the phone", "Have the fallback try somebody else."
    ),
    Outcome.NO_ANSWER: Advice(
        "nobody took the call while it rang",
        "Compare `timeout` with how long the telephone rings before its mailbox answers.",
    ),
    Outcome.CANCELLED: Advice("the transfer was taken back", "Nothing: it was wanted."),
    Outcome.ABANDONED: Advice(
        "the caller hung up while waiting",
        "Look at how long callers wait: a shorter `timeout`, or words about the wait, help.",
    ),
    Outcome.DECLINED: Advice(
        "the called party, or its telephone, refused", "Have the fallback try somebody else."
    ),
    Outcome.BAD_DESTINATION: Advice(
        "there is no such number or user", "Check the target's `destination`."
    ),
    Outcome.UNAUTHORIZED: Advice(
        "the trunk does not let us make this call",
        "Check its credentials and which caller IDs it takes.",
    ),
    Outcome.METHOD_UNSUPPORTED: Advice(
        "the peer cannot do what it was asked",
        "Reach this target by `invite`; `switchhook trunk probe` tells what a trunk knows.",
    ),
    Outcome.MEDIA_INCOMPATIBLE: Advice(
        "no codec or security in common",
        "Compare the trunk's `codecs` with what the target takes, and SRTP on both sides.",
    ),
    Outcome.ROUTING_LOOP: Advice(
        "the call came round to a proxy that had it before",
        "Look for two proxies that send the number to each other.",
    ),
    Outcome.GLARE: Advice(
        "both sides changed the call at once, and did so again",
        "Look in the ladder for who sends re-INVITEs so often.",
    ),
    Outcome.SERVER_UNAVAILABLE: Advice(
        "the peer is out of order or overloaded", "Ask its operator; add a second route."
    ),
    Outcome.NETWORK_FAILURE: Advice(
        "no answer at all, or no connection",
        "Check the trunk's `proxy` and the firewall: `switchhook trunk probe NAME`.",
    ),
    Outcome.NO_VERDICT: Advice(
        "the peer took the REFER and never said what became of it",
        "Reach this target by `invite`, or ask the trunk's operator for NOTIFYs (RFC 3515); "
        "raise `refer.first_notify` or `refer.final_notify` if they come late.",
    ),
    Outcome.PRESUMED_CONNECTED: Advice(
        "the peer hung up after taking the REFER, as peers do that have succeeded",
        "Nothing, unless callers complain; then ask the trunk's operator for NOTIFYs.",
    ),
    Outcome.BLOCKED: Advice(
        "our own rules or limits forbid it; nothing was sent there",
        "Name a target for it, or add it to `allow`, if it is meant to be reached.",
    ),
    Outcome.UNAVAILABLE: Advice(
        "the target's hours or its availability said no, or it is not to be rung yet; "
        "nothing was dialled",
        "The reason says which; check the hours of the target, or have the fallback try "
        "somebody else.",
    ),
}


def advice(attempt: Attempt) -> Advice | None:
    """What to do about an attempt; None: it reached somebody.

    A code counts only where it is what decided: a `no_verdict` that carries one has its outcome's.
    """
    if attempt.outcome is Outcome.CONNECTED:
        return None
    code = attempt.code
    if code in BY_CODE and 300 <= code <= 699 and _decided(attempt, code):
        return BY_CODE[code]
    return BY_OUTCOME[attempt.outcome]


def table() -> str:
    """The page's table: one row a code, then one an outcome that comes without a code."""
    rows = [
        "| code | outcome | it usually means | what to do |",
        "| --- | --- | --- | --- |",
    ]
    for code, found in sorted(BY_CODE.items()):
        rows.append(f"| {code} | `{classify(code).value}` | {found.means} | {found.do} |")
    for outcome, found in BY_OUTCOME.items():
        rows.append(f"| | `{outcome.value}` | {found.means} | {found.do} |")
    return "".join(f"{row}\n" for row in rows)


def _decided(attempt: Attempt, code: int) -> bool:
    same = classify(code, attempt.method) is attempt.outcome
    return same or attempt.outcome is Outcome.DECLINED


if __name__ == "__main__":
    sys.stdout.write(table())
