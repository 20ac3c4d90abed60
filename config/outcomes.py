"""What the keys of a fallback table and the cases of a lookup may be.

The outcomes are those of `sip.outcome.Outcome`, written down once more because this layer knows
nothing of SIP's machinery. A test holds the two lists together.
"""

from __future__ import annotations

import re

from config.errors import InvalidValue

OUTCOMES = (
    "connected",
    "busy",
    "no_answer",
    "cancelled",
    "abandoned",
    "declined",
    "bad_destination",
    "unauthorized",
    "method_unsupported",
    "media_incompatible",
    "routing_loop",
    "glare",
    "server_unavailable",
    "network_failure",
    "no_verdict",
    "presumed_connected",
    "blocked",
    "unavailable",
)

NO_FALLBACK = frozenset({"connected", "presumed_connected", "abandoned"})
"""After these there is nothing to fall back from, or nobody to play a prompt to."""

NEVER_RETRIED = {
    "no_verdict": "what came of a REFER is not known: the target may still be ringing",
    "cancelled": "what was taken back is not tried again",
    "blocked": "what the rules forbid is forbidden the next time too",
}
"""After these a transfer is not tried again by itself, and why."""

CLASSES = ("3xx", "4xx", "5xx", "6xx")

HANDOVER_STATUSES = ("completed", "cancelled", "error")
"""`handover.status` of a transfer that has ended; a lookup never sees another."""

ERROR_REASONS = ("unsupported", "error")


def check_fallback_key(key: str) -> str:
    """Return `key` if a failure can be found by it.

    Raises:
        InvalidValue: it is no code of 300 to 699, no outcome of a failure, no class, not `default`.
    """
    if key in NO_FALLBACK:
        raise InvalidValue(f"`{key}` is not a failure, so this fallback would never be taken")
    if key == "default" or key in OUTCOMES or key in CLASSES or is_code(key, first=300):
        return key
    raise InvalidValue(
        "is no kind of failure",
        "Write a SIP code from 300 to 699, an outcome such as `busy`, a class such as `5xx`, "
        "or `default`",
    )


def is_code(text: str, *, first: int) -> bool:
    """Whether this is a SIP status from `first` to 699."""
    return re.fullmatch(r"[1-6][0-9]{2}", text) is not None and int(text) >= first
