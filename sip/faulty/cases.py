"""The misbehaviours by name: what the peer does, where the RFC speaks of it, what must come of it.

    switchhook transfer rehearse FLOW --node N --simulate 503-retry-after

Beside the names here any final code is one: `486` is what an INVITE is answered with, and what a
REFER's NOTIFY reports.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from http import HTTPStatus
from random import Random

from sip.faulty.steps import (
    ANSWERS,
    RINGS,
    Acknowledged,
    Behaviour,
    Bye,
    Notify,
    Offer,
    OnlyG711,
    Raw,
    Repeat,
    Reply,
    Script,
    Step,
    Wait,
)
from sip.outcome import Method, Outcome, classify

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


def _tabled(*cases: Case) -> dict[str, Case]:
    return {case.name: case for case in cases}


REASONS = {
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    600: "Busy Everywhere",
    603: "Decline",
}


def reason(code: int) -> str:
    """The usual reason phrase of a status."""
    if code in REASONS:
        return REASONS[code]
    return HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else "Refused"


# -- the peer is dialled ------------------------------------------------------------------------


def _refuses(code: int, *headers: str, name: str = "", what: str = "") -> Case:
    outcome = classify(code)
    return Case(
        name or str(code),
        what or f"rings, then {code} {reason(code)}",
        "RFC 3261 section 21",
        Behaviour(invite=(*RINGS, Reply(code, headers=headers, contact=False))),
        (outcome,),
        code,
    )


def _dialled(
    name: str, what: str, section: str, invite: Script, *outcomes: Outcome, **rest: Script
) -> Case:
    return Case(name, what, section, Behaviour(invite=invite, **rest), outcomes)


INVITE: dict[str, Case] = _tabled(
    *map(_refuses, (404, 408, 480, 486, 488, 500, 503, 603)),
    _refuses(
        503,
        RETRY_AFTER,
        name="503-retry-after",
        what=f"rings, then 503 with {RETRY_AFTER}",
    ),
    _dialled(
        "488-long-offer",
        "488 to an offer of more than G.711, answers one of G.711",
        "RFC 3261 section 21.4.26",
        (OnlyG711(Reply(488, contact=False)), *ANSWERS, Acknowledged(), Wait(0.2), Bye()),
        Outcome.CONNECTED,
        Outcome.MEDIA_INCOMPATIBLE,
    ),
    Case(
        "302",
        "302 to a place that the rules do not allow",
        "RFC 3261 section 8.1.3.4",
        Behaviour(invite=(Reply(302, headers=(f"Contact: <{ELSEWHERE}>",), contact=False),)),
        (Outcome.BLOCKED,),
        302,
    ),
    _dialled(
        "ring-forever",
        "180, and nothing more",
        "RFC 3261 section 9.1",
        RINGS,
        Outcome.NO_ANSWER,
    ),
    _dialled(
        "silence",
        "no response at all",
        "RFC 3261 section 17.1.1.2",
        (),
        Outcome.NO_ANSWER,
        Outcome.NETWORK_FAILURE,
        cancel=(),
    ),
    Case(
        "401-loop",
        "401, whatever the credentials",
        "RFC 3261 section 22.1",
        Behaviour(invite=(Reply(401, headers=(CHALLENGE,), contact=False),)),
        (Outcome.UNAUTHORIZED,),
        401,
    ),
    Case(
        "407-without-challenge",
        "407 that lacks its challenge",
        "RFC 3261 section 22.3",
        Behaviour(invite=(Reply(407, contact=False),)),
        (Outcome.UNAUTHORIZED,),
        407,
    ),
    Case(
        "early-media-then-486",
        "183 with early media, then 486",
        "RFC 3960 section 3",
        Behaviour(invite=(Reply(183, sdp=True), Wait(0.2), Reply(486, contact=False))),
        (Outcome.BUSY,),
        486,
    ),
    _dialled(
        "answer-then-hangup",
        "200, and BYE right after the ACK",
        "RFC 3261 section 15",
        (*ANSWERS, Acknowledged(), Bye()),
        Outcome.CONNECTED,
    ),
    _dialled(
        "answer-without-sdp",
        "200 without an answer to our offer",
        "RFC 3264 section 5",
        (*RINGS, Reply(200)),
        Outcome.MEDIA_INCOMPATIBLE,
    ),
    _dialled(
        "answer-without-contact",
        "200 without Contact",
        "RFC 3261 section 12.1.1",
        (*RINGS, Reply(200, sdp=True, contact=False), Acknowledged(), Wait(0.2), Bye()),
        Outcome.CONNECTED,
    ),
    _dialled(
        "malformed",
        "a response that cannot be parsed, then 500",
        "RFC 3261 section 7.2",
        (Raw("SIP/2.0 2OO OK\r\nVia\r\nCSeq: x INVITE\r\n\r\n"), Wait(0.1), Reply(500)),
        Outcome.SERVER_UNAVAILABLE,
    ),
    _dialled(
        "bye-while-ringing",
        "BYE in the early dialog, which only a caller may send",
        "RFC 3261 section 15",
        (*RINGS, Wait(0.1), Bye(), Reply(487, contact=False)),
        Outcome.CANCELLED,
        Outcome.NO_ANSWER,
        Outcome.DECLINED,
        Outcome.NETWORK_FAILURE,
    ),
    _dialled(
        "cancel-no-487",
        "rings; answers our CANCEL, but never the INVITE",
        "RFC 3261 section 9.1",
        RINGS,
        Outcome.NO_ANSWER,
        cancel=(Reply(200, contact=False),),
    ),
    _dialled(
        "200-crossing-cancel",
        "rings; answers the call as our CANCEL arrives",
        "RFC 3261 section 9.1",
        RINGS,
        Outcome.NO_ANSWER,
        cancel=(Reply(200, contact=False), Reply(200, sdp=True, to="INVITE")),
    ),
)
"""What a target does that we send INVITE to."""


# -- the peer is referred -----------------------------------------------------------------------

ENDED = "terminated;reason=noresource"
TRYING = Notify("SIP/2.0 100 Trying")


def _notified(code: int) -> Case:
    return Case(
        f"notify-{code}",
        f"202, NOTIFY 100, NOTIFY {code}",
        "RFC 3515 section 2.4.5",
        Behaviour(refer=(Reply(202), TRYING, Notify(f"SIP/2.0 {code} {reason(code)}", ENDED))),
        (classify(code),),
        code,
    )


def _refused_at_once(code: int, *headers: str, name: str = "", what: str = "") -> Case:
    return Case(
        name or f"refer-{code}",
        what or f"{code} {reason(code)} to the REFER",
        "RFC 3515 section 2.4.2",
        Behaviour(refer=(Reply(code, headers=headers, contact=False),)),
        (classify(code, Method.REFER),),
        code,
    )


def _referred(
    name: str, what: str, section: str, refer: Script, *outcomes: Outcome, code: int | None = None
) -> Case:
    return Case(name, what, section, Behaviour(refer=refer), outcomes, code)


REFER: dict[str, Case] = _tabled(
    _notified(486),
    _notified(404),
    _notified(503),
    _referred(
        "no-notify",
        "202, then no NOTIFY",
        "RFC 3515 section 2.4.4",
        (Reply(202),),
        Outcome.NO_VERDICT,
    ),
    _referred(
        "progress-only",
        "202, NOTIFY 100, then nothing",
        "RFC 3515 section 2.4.5",
        (Reply(202), TRYING),
        Outcome.NO_VERDICT,
    ),
    _referred(
        "notify-terminated",
        "202, NOTIFY that ends the subscription without a status",
        "RFC 6665 section 4.1.3",
        (Reply(202), Notify("", "terminated;reason=timeout")),
        Outcome.NO_VERDICT,
    ),
    _referred(
        "notify-terminated-100",
        "202, NOTIFY 100 that ends the subscription",
        "RFC 6665 section 4.1.3",
        (Reply(202), Notify("SIP/2.0 100 Trying", ENDED)),
        Outcome.NO_VERDICT,
    ),
    _referred(
        "bye-first",
        "202, then BYE, no NOTIFY",
        "RFC 5589 section 6.1",
        (Reply(202), Bye()),
        Outcome.PRESUMED_CONNECTED,
    ),
    _referred(
        "bye-before-notify",
        "202, BYE, and then NOTIFY 200",
        "RFC 5589 section 6.1",
        (Reply(202), Bye(answered=False), Notify("SIP/2.0 200 OK", ENDED)),
        Outcome.CONNECTED,
        code=200,
    ),
    _referred(
        "notify-and-bye-at-once",
        "202, NOTIFY 200 and BYE back to back",
        "RFC 5589 section 6.1",
        (Reply(202), Notify("SIP/2.0 200 OK", ENDED, answered=False), Bye()),
        Outcome.CONNECTED,
        code=200,
    ),
    _referred(
        "notify-before-202",
        "NOTIFY 100 overtakes the 202; then NOTIFY 486",
        "RFC 3515 section 2.4.4",
        (TRYING, Reply(202), Notify("SIP/2.0 486 Busy Here", ENDED)),
        Outcome.BUSY,
        code=486,
    ),
    _referred(
        "notify-without-event",
        "202, NOTIFY 486 that lacks Event",
        "RFC 6665 section 8.2.1",
        (Reply(202), Notify("SIP/2.0 486 Busy Here", ENDED, event=None)),
        Outcome.BUSY,
        code=486,
    ),
    _referred(
        "notify-with-id",
        "202, NOTIFY 486 whose Event carries the REFER's id",
        "RFC 3515 section 2.4.6",
        (Reply(202), Notify("SIP/2.0 486 Busy Here", ENDED, event="refer;id=#")),
        Outcome.BUSY,
        code=486,
    ),
    _referred(
        "notify-of-another",
        "202, NOTIFY 200 of another REFER, and none of ours",
        "RFC 3515 section 2.4.6",
        (Reply(202), Notify("SIP/2.0 200 OK", ENDED, event="refer;id=1")),
        Outcome.NO_VERDICT,
    ),
    _referred(
        "notify-repeated",
        "202, NOTIFY 486 twice, then NOTIFY 200",
        "RFC 3515 section 2.4.5",
        (
            Reply(202),
            Notify("SIP/2.0 486 Busy Here", ENDED),
            Repeat(),
            Notify("SIP/2.0 200 OK", ENDED),
        ),
        Outcome.BUSY,
        code=486,
    ),
    _referred(
        "notify-late",
        "202, and NOTIFY 200 long after nobody waits for it",
        "RFC 3515 section 2.4.4",
        (Reply(202), Wait(3.0), Notify("SIP/2.0 200 OK", ENDED)),
        Outcome.NO_VERDICT,
    ),
    _referred(
        "notify-malformed",
        "202, NOTIFY whose body is no status line",
        "RFC 3420 section 2",
        (Reply(202), Notify("BUSY", ENDED)),
        Outcome.NO_VERDICT,
    ),
    _referred(
        "bye-before-202",
        "BYE before the 202: the caller hung up",
        "RFC 3261 section 15",
        (Bye(answered=False), Reply(202)),
        Outcome.ABANDONED,
    ),
    _referred(
        "bye-given-up",
        "202, then BYE whose Reason is 487: the target was given up",
        "RFC 3326 section 2",
        (Reply(202), Bye(("Reason: SIP;cause=487",))),
        Outcome.ABANDONED,
        code=487,
    ),
    _referred(
        "bye-then-487",
        "202, BYE, and then NOTIFY 487",
        "RFC 5589 section 6.1",
        (Reply(202), Bye(answered=False), Notify("SIP/2.0 487 Request Terminated", ENDED)),
        Outcome.ABANDONED,
        code=487,
    ),
    _referred(
        "bye-busy",
        "202, then BYE whose Reason is Q.850 cause 17",
        "RFC 3398 section 7.2.4.1",
        (Reply(202), Bye(("Reason: Q.850;cause=17",))),
        Outcome.BUSY,
        code=486,
    ),
    _referred(
        "hold-then-486",
        "202, hold, NOTIFY 486, and never a resume",
        "RFC 3264 section 8.4",
        (Reply(202), Offer(), Notify("SIP/2.0 486 Busy Here", ENDED)),
        Outcome.BUSY,
        code=486,
    ),
    _referred(
        "hold-crossing",
        "hold that crosses the REFER, then 202 and NOTIFY 200",
        "RFC 3261 section 14.1",
        (Offer(), Reply(202), Notify("SIP/2.0 200 OK", ENDED)),
        Outcome.CONNECTED,
        code=200,
    ),
    _referred(
        "refer-100",
        "100 to the REFER, and nothing more",
        "RFC 3261 section 17.1.2.2",
        (Reply(100),),
        Outcome.NETWORK_FAILURE,
    ),
    _refused_at_once(302, f"Contact: <{ELSEWHERE}>"),
    _refused_at_once(491),
    _refused_at_once(405),
    _refused_at_once(403),
    _refused_at_once(481),
    _refused_at_once(501),
    _refused_at_once(
        503,
        RETRY_AFTER,
        name="refer-503-retry-after",
        what=f"503 with {RETRY_AFTER} to the REFER",
    ),
    _refused_at_once(603),
    _refused_at_once(
        401, CHALLENGE, name="refer-401-loop", what="401 to the REFER, whatever the credentials"
    ),
    _referred(
        "refer-unanswered",
        "no response to the REFER",
        "RFC 3261 section 17.1.2.2",
        (),
        Outcome.NETWORK_FAILURE,
    ),
)
"""What the caller's trunk does that we send REFER to."""


# -- the peer is handed the call back -----------------------------------------------------------


def _refuses_bye(code: int, name: str = "") -> Case:
    return Case(
        name or f"bye-{code}",
        f"{code} {reason(code)} to our BYE",
        "RFC 3261 section 15.1",
        Behaviour(bye=(Reply(code, contact=False),)),
        (classify(code),),
        code,
    )


BYE: dict[str, Case] = _tabled(
    _refuses_bye(481),
    _refuses_bye(500),
    Case(
        "bye-unanswered",
        "no response to our BYE",
        "RFC 3261 section 15.1.1",
        Behaviour(bye=()),
        (Outcome.NETWORK_FAILURE,),
    ),
)
"""What the caller's trunk does that we hand the call back to by BYE."""

TABLES: dict[Method, dict[str, Case]] = {
    Method.INVITE: INVITE,
    Method.REFER: REFER,
    Method.BYE: BYE,
    Method.ATTENDED: INVITE,
}


def find(method: Method, name: str) -> Case:
    """The case of this name for a transfer by `method`; a code from 300 to 699 is one too.

    Raises:
        KeyError: there is none; the message names those there are.
    """
    table = TABLES[method]
    if name in table:
        return table[name]
    if name.isascii() and name.isdigit() and 300 <= int(name) <= 699:
        code = int(name)
        match method:
            case Method.INVITE | Method.ATTENDED:
                return _refuses(code)
            case Method.REFER:
                return _notified(code)
            case Method.BYE:
                return _refuses_bye(code, name)
    raise KeyError(
        f"no failure {name!r} for a transfer by {method.value}; there are: {', '.join(table)}, "
        "and every code from 300 to 699"
    )


_RESPONSES: tuple[Script, ...] = (
    *[(Reply(202),)] * 5,
    (Reply(200),),
    (Reply(100), Reply(202)),
    (Reply(405),),
    (Reply(603),),
    (),
)
_NOTIFIES: tuple[Step, ...] = (
    TRYING,
    Notify("SIP/2.0 180 Ringing"),
    Notify("SIP/2.0 180 Ringing", event="refer;id=#"),
    Notify("SIP/2.0 200 OK", ENDED),
    Notify("SIP/2.0 486 Busy Here", ENDED),
    Notify("SIP/2.0 503 Service Unavailable", ENDED, event=None),
    Notify("SIP/2.0 200 OK", ENDED, event="refer;id=1"),
    Notify("", "terminated;reason=timeout"),
    Notify("SIP/2.0 100 Trying", ENDED, answered=False),
    Repeat(),
    Offer("sendonly"),
    Offer("sendrecv"),
    Wait(0.02),
    Wait(0.2),
    Bye(answered=False),
)


def random_refer(rng: Random) -> Behaviour:
    """A REFER answered anyhow: some response, and up to six NOTIFYs, pauses and BYEs about it."""
    response = list(rng.choice(_RESPONSES))
    steps: list[Step] = [*response, *rng.choices(_NOTIFIES, k=rng.randrange(7))]
    if rng.random() < 0.1:
        rng.shuffle(steps)
    return Behaviour(refer=tuple(steps))


def tables() -> str:
    """The cases as the rows of a page, one table a method."""
    lines: list[str] = []
    for table in (INVITE, REFER, BYE):
        methods = ", ".join(f"`{method}`" for method, its in TABLES.items() if its is table)
        lines += [f"| by {methods} | the peer | |", "| --- | --- | --- |"]
        lines += [f"| `{each.name}` | {each.what} | {each.section} |" for each in table.values()]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(tables())
