"""What a target may do that we dial."""

from __future__ import annotations

from sip.faulty.case import CHALLENGE, ELSEWHERE, RETRY_AFTER, Case, tabled
from sip.faulty.steps import (
    ANSWERS,
    RINGS,
    Acknowledged,
    Behaviour,
    Bye,
    OnlyG711,
    Raw,
    Reply,
    Script,
    Wait,
)
from sip.faulty.wording import reason
from sip.outcome import Outcome, classify


def refuses(code: int, *headers: str, name: str = "", what: str = "") -> Case:
    """It is dialled, and refuses with this status."""
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


INVITE: dict[str, Case] = tabled(
    *map(refuses, (404, 408, 480, 486, 488, 500, 503, 603)),
    refuses(
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
