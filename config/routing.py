"""Which flow answers a call. No match is no answer, never a guess.

A dialled number selects, among the routes of its trunk, the one for exactly this number, else the
one with the longest prefix, else the default.
"""

from __future__ import annotations

from config.trunks import Trunk


def flow_for(number: str, trunk: Trunk) -> str | None:
    """The name of the flow that answers a call over `trunk`.

    Args:
        number: user part of the request URI, unescaped.
        trunk: the one that the call came over.
    """
    best: tuple[int, str] | None = None
    for route in trunk.routes:
        match route.number:
            case None:
                rank = 0
            case exact if exact == number:
                return route.flow
            case pattern if pattern.endswith("*") and number.startswith(pattern[:-1]):
                rank = len(pattern)
            case _:
                continue
        if best is None or rank > best[0]:
            best = rank, route.flow
    return None if best is None else best[1]
