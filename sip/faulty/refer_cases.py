"""What the caller's trunk may do that we refer."""

from __future__ import annotations

from random import Random

from sip.faulty.case import CHALLENGE, ELSEWHERE, RETRY_AFTER, Case, tabled
from sip.faulty.steps import (
    Behaviour,
    Bye,
    Notify,
    Offer,
    Repeat,
    Reply,
    Script,
    Step,
    Wait,
)
from sip.faulty.wording import reason
from sip.outcome import Method, Outcome, classify

ENDED = "terminated;reason=noresource"
TRYING = Notify("SIP/2.0 100 Trying")


def notified(code: int) -> Case:
    """It is referred, and reports this status."""
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


REFER: dict[str, Case] = tabled(
    notified(486),
    notified(404),
    notified(503),
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
