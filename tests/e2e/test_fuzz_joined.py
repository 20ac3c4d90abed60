"""A short run of the fuzzer between two who talk: a gateway that each of them may try to harm.

Seeds and rounds are those of test_fuzz.py, and `make fuzz` is the long run of this one, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random

import pytest

from tests.e2e.conftest import StartPeer
from tests.e2e.parties import AGENT_SDP, PCMA, PCMU, Talk, Voice, joined
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.test_fuzz import BATCH, ROUNDS, rng
from tests.e2e.world import World
from tests.fuzz.audio import reported, thrown

BATCHES = 8 * ROUNDS
"""From each of the two, between two looks whether they still hear each other."""

LOOK = 0.005
"""Seconds between them: the gateway looks as often, and its sockets hold some hundred packets."""

__all__ = ["rng"]


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that only this file uses."""
    yield from served(World(tmp_path_factory.mktemp("harmed")))


class TestMedia:
    """RFC 3550 section 8.2: what comes from a peer's own address may be anything all the same."""

    @pytest.mark.parametrize("voice", [PCMU, PCMA], ids=["passed on", "decoded"])
    async def test_mutated_packets_leave_nobody_deaf(
        self, voice: Voice, world: World, api: Api, peer: StartPeer, rng: Random
    ) -> None:
        answered = AGENT_SDP.replace(" 0 8 ", f" {voice.payload_type} ")
        async with joined(world, api, peer, answered=answered, voices=(PCMU, voice)) as talk:
            await hear_each_other(talk)
            for _ in range(BATCHES):
                for party in (talk.caller, talk.agent):
                    for _ in range(BATCH):
                        party.throw(thrown(party.ssrc, party.events, rng))
                        party.throw_report(reported(party.ssrc, rng))
                await asyncio.sleep(LOOK)
            await hear_each_other(talk)
        for party in (talk.caller, talk.agent):
            assert len({each.ssrc for each in party.heard}) == 1
            kinds = {each.payload_type for each in party.heard}
            assert kinds <= {party.voice.payload_type, party.events}


async def hear_each_other(talk: Talk) -> None:
    """Wait until they do: as it was said, where both speak the same."""
    same = talk.caller.voice is talk.agent.voice
    for party in (talk.caller, talk.agent):
        await party.understands()
        if same:
            await party.hears(untouched=True)
