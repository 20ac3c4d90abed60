"""What the caller's trunk may do that we hand the call back to by BYE."""

from __future__ import annotations

from sip.faulty.case import Case, tabled
from sip.faulty.steps import Behaviour, Reply
from sip.faulty.wording import reason
from sip.outcome import Outcome, classify


def refuses_bye(code: int, name: str = "") -> Case:
    """It refuses our BYE with this status."""
    return Case(
        name or f"bye-{code}",
        f"{code} {reason(code)} to our BYE",
        "RFC 3261 section 15.1",
        Behaviour(bye=(Reply(code, contact=False),)),
        (classify(code),),
        code,
    )


BYE: dict[str, Case] = tabled(
    refuses_bye(481),
    refuses_bye(500),
    Case(
        "bye-unanswered",
        "no response to our BYE",
        "RFC 3261 section 15.1.1",
        Behaviour(bye=()),
        (Outcome.NETWORK_FAILURE,),
    ),
)
"""What the caller's trunk does that we hand the call back to by BYE."""
