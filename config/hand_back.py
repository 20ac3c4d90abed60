"""Calls that leave with a token, and come back with it: where a trunk or IVR brings them on."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from config.context_policy import HeaderName
from config.errors import InvalidValue
from config.headers import check_pattern
from config.strict import Name, Strict


def _variable(name: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}|(?:[A-Za-z][A-Za-z0-9_-]{0,31})?\*", name):
        return name
    raise InvalidValue(
        "is no name of a variable", "Write a letter, then letters, digits, `-` and `_`; or `*`"
    )


Variables = dict[
    Annotated[str, AfterValidator(check_pattern)], Annotated[str, AfterValidator(_variable)]
]
"""Names of variables by header: `{X-Account: account}`, or `{X-Var-*: "*"}`, where the `*` of the
name stands for the rest of the header's, in lower case."""


class HandBack(Strict):
    """How calls that were handed back to a trunk return to their flow.

    A BYE, REFER or INVITE that leaves a node with `resume` carries a token. The INVITE that
    brings it back goes on there instead of where the trunk's routes would lead it.
    """

    header: HeaderName = "X-Switchhook-Resume"
    """Carries the token, both ways; `none`: only User-to-User does."""
    expires: float = Field(default=3600, ge=1, le=604_800)
    """How long the token is good for."""
    uses: int = Field(default=1, ge=1, le=100)
    """How often it can be brought back."""
    trunks: list[Name] = Field(default_factory=list)
    """Other trunks that may bring back what this one was given."""
    status_header: HeaderName = "X-Switchhook-Status"
    """In the INVITE: what became of the caller meanwhile, `completed`, `cancelled`, `error`, or an
    outcome such as `busy`. Without it: `completed`."""
