"""Which trunk a request came from, and which flow answers it. No match is no answer, never a guess.

A source selects the trunk with the most specific network that holds it. A dialled number selects,
among the trunk's routes, the one for exactly this number, else the one with the longest prefix,
else the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from config.settings import Trunk


def trunk_of(source: IPv4Address, trunks: Mapping[str, Trunk]) -> str | None:
    """The name of the trunk that a source address belongs to; None: nobody's."""
    matching = [
        (network.prefixlen, name)
        for name, trunk in trunks.items()
        for network in trunk.sources
        if source in network
    ]
    return max(matching)[1] if matching else None


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
