"""Why a call ended: the Reason header (RFC 3326), as the SIP status that it speaks of."""

from __future__ import annotations

from sip.message import Message

_FAILURES = range(300, 700)

_BY_CAUSE = {
    1: 404,
    2: 404,
    3: 404,
    17: 486,
    18: 408,
    19: 480,
    20: 480,
    21: 603,
    22: 410,
    27: 502,
    28: 484,
    34: 503,
    38: 503,
    41: 503,
    42: 503,
    47: 503,
    57: 403,
    58: 503,
    65: 488,
    70: 488,
    79: 501,
    88: 488,
    102: 504,
}
"""Q.850 causes that say what failed (RFC 3398 section 7.2.4.1). Not among them: 16 and 31, normal
clearing, which gateways put on every BYE, and 111 and 127, which they put on those they cannot
explain. 21 is the called user's refusal."""


def failure_status(bye: Message) -> int | None:
    """The SIP status, 300 to 699, that a BYE gives as its reason; None where it gives none."""
    values = [value for name, value in bye.headers if name.lower() == "reason"]
    for reason in ",".join(values).split(","):
        protocol, *parameters = (part.strip() for part in reason.split(";"))
        cause = _cause(parameters)
        if protocol.lower() == "sip" and cause in _FAILURES:
            return cause
        if protocol.lower() == "q.850" and cause in _BY_CAUSE:
            return _BY_CAUSE[cause]
    return None


def _cause(parameters: list[str]) -> int:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        digits = value.strip()
        if name.strip().lower() == "cause" and digits.isascii() and digits.isdigit():
            return int(digits[:3]) if len(digits) <= 3 else 0
    return 0
