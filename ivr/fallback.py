"""Which row of a transfer node's `fallback` table answers a failed attempt."""

from __future__ import annotations

from collections.abc import Mapping

from config.flows import Fallback
from sip.outcome import Attempt

DEFAULT = "default"


def choose(table: Mapping[str, Fallback], attempt: Attempt) -> tuple[str, Fallback]:
    """The key and row for an attempt: the most exact key wins.

    Exactness falls from the SIP code (`486`) over the outcome (`busy`) and the code's class (`4xx`)
    to `default`. An attempt without a code (`no_verdict`, `blocked`) has an outcome only.

    Raises:
        LookupError: the table has no row for it, which config check refuses: `default` is required.
    """
    keys = [attempt.outcome.value, DEFAULT]
    if attempt.code is not None:
        keys = [str(attempt.code), attempt.outcome.value, f"{attempt.code // 100}xx", DEFAULT]
    for key in keys:
        if key in table:
            return key, table[key]
    raise LookupError(f"no fallback for {attempt.outcome.value} and no `{DEFAULT}` row")
