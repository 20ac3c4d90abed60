"""Which leg stands in which column: the caller's, then the gateway's, then the others'."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.ladder.rows import Arrow

GATEWAY = "gateway"


def columns(arrows: Sequence[Arrow], most: int) -> dict[str, str]:
    """The column of each leg and of the gateway, in order, by their names.

    Args:
        arrows: at least one.
        most: legs beyond so many columns share the last one.
    """
    legs = list(dict.fromkeys(arrow.leg for arrow in arrows))
    found = {legs[0]: legs[0], GATEWAY: GATEWAY}
    for leg in legs[1:]:
        free = len(set(found.values())) < most
        found[leg] = leg if free else list(found.values())[most - 1]
    return found


def peers(arrows: Sequence[Arrow], places: dict[str, str]) -> dict[str, str]:
    """The address that each column's first message came from or went to."""
    return {places[arrow.leg]: arrow.peer for arrow in reversed(arrows)}


def caption(arrow: Arrow, place: str) -> str:
    """What is written on an arrow: a leg that shares its column is named."""
    return arrow.words if place == arrow.leg else f"{arrow.leg}: {arrow.words}"
