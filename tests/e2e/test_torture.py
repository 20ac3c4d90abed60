"""RFC 4475: messages that have killed parsers. Each is answered as its section says, or dropped."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.e2e.world import CARRIER, World
from tests.fuzz.torture import DROPPED, INVALID, ODD, RESPONSES, VALID, Torture
from tests.fuzz.wire import Wire

NO_ROUTE = "900"
"""A number that no route of the carrier takes."""


def name_of(torture: Torture) -> str:
    """`3.1.1.1-wsinv`"""
    return f"{torture.section}-{torture.name.partition(':')[0]}"


async def answers_of(world: World, torture: Torture) -> Sequence[int]:
    """The final statuses that a message gets."""
    async with await Wire.open(CARRIER, world.address) as wire:
        wire.send(torture.message(CARRIER, wire.port, world.number(NO_ROUTE)))
        if DROPPED not in torture.answers:
            await wire.until(lambda: bool(wire.finals(torture.method)), "it is answered")
        await wire.alive()
        return sorted(set(wire.finals(torture.method))) or [DROPPED]


@pytest.mark.parametrize("torture", VALID, ids=name_of)
async def test_valid_messages_are_understood(torture: Torture, world: World) -> None:
    """RFC 4475 section 3.1.1."""
    (answer,) = await answers_of(world, torture)
    assert answer in torture.answers


@pytest.mark.parametrize("torture", INVALID, ids=name_of)
async def test_invalid_messages_are_refused_or_dropped(torture: Torture, world: World) -> None:
    """RFC 4475 sections 3.1.2 and 3.3.1."""
    (answer,) = await answers_of(world, torture)
    assert answer in torture.answers


@pytest.mark.parametrize("torture", ODD, ids=name_of)
async def test_odd_messages_get_what_their_section_says(torture: Torture, world: World) -> None:
    """RFC 4475 sections 3.2 to 3.4."""
    (answer,) = await answers_of(world, torture)
    assert answer in torture.answers


async def test_responses_to_nothing_are_dropped(world: World) -> None:
    """RFC 4475 sections 3.1.1.12, 3.1.1.13, 3.1.2.5, 3.1.2.19 and 3.3.10."""
    async with await Wire.open(CARRIER, world.address) as wire:
        for response in RESPONSES:
            wire.send(response + b"\r\n")
        await wire.alive()
        assert wire.received == []
