"""A call that passes undecoded is recorded from its middle on, and neither party hears of it.

Both number their frames, so what is missing on the way or in the file can be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import soundfile

from bench.numbered import NUMBERS, numbers_of_pcm
from tests.e2e.conftest import StartPeer
from tests.e2e.parties import PCMU, SWITCH, Talk, assert_one_stream, cost, joined, numbers
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import World

APART = NUMBERS // 2
"""The agent's numbers are so much above the caller's."""

AGENT = replace(PCMU, frame=lambda index: PCMU.frame(index + APART))

PAUSE = 30
"""Frames in a pause, at least."""


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that can record."""
    folder = tmp_path_factory.mktemp("recorded")
    world = World(folder, settings={"recordings": {"folder": "kept"}})
    yield from served(world)


async def orders(talk: Talk, action: str) -> None:
    """An operator's word about the recording."""
    answer = await talk.api.decide(talk.id, "recording", action=action)
    assert answer.status_code == 202, answer.text


def sides(world: World, recording: dict[str, Any]) -> tuple[list[int], list[int]]:
    """What the caller has said, and what it has heard."""
    path = world.folder / "kept" / recording["file"]
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert (rate, samples.shape[1]) == (8000, 2)
    left, right = (numbers_of_pcm(samples[:, side].tobytes()) for side in (0, 1))
    return left, right


class TestARecording:
    """Begun, paused, resumed and ended while both talk."""

    async def test_has_both_sides_and_leaves_no_gap(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        async with joined(world, api, peer, voices=(PCMU, AGENT)) as talk:
            for party in (talk.agent, talk.caller):
                await party.hears(untouched=True)
            begin = len(talk.agent.heard) - 5, len(talk.caller.heard) - 5
            await orders(talk, "start")
            await talk.agent.hears(untouched=False, packets=50)
            await orders(talk, "pause")
            await talk.agent.hears(untouched=False, packets=PAUSE)
            await orders(talk, "resume")
            await talk.agent.hears(untouched=False, packets=50)
            await orders(talk, "stop")
            for party in (talk.agent, talk.caller):
                await party.hears(untouched=True)
            for party, start in zip((talk.agent, talk.caller), begin, strict=True):
                assert_one_stream(party.heard)
                assert cost(party.heard[start:]) <= 2 * SWITCH
        assert all(number >= APART for number in numbers(talk.caller.heard[begin[1] :]))
        (recording,) = (await api.record())["recordings"]
        assert (recording["failed"], recording["lost_ms"]) == ("", 0)
        left, right = sides(world, recording)
        assert all(number < APART for number in left)
        assert all(number >= APART for number in right)
        for said in (left, right):
            # A frame that straddles the ends of the pause cannot be read.
            steps = sorted(later - earlier for earlier, later in pairwise(said))
            assert steps[-1] >= PAUSE - 5, "what is said in the pause is in no file"
            assert sum(steps[:-1]) - len(steps[:-1]) <= SWITCH
            assert len(said) + SWITCH >= recording["duration_ms"] // 20


class TestACallRecordedFromItsBeginning:
    """Its parties are mixed from the start; they pass once the recording has ended."""

    async def test_passes_when_the_recording_has_ended(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        async with joined(world, api, peer, voices=(PCMU, AGENT)) as talk:
            await orders(talk, "start")
            await talk.agent.understands()
            await orders(talk, "stop")
            await talk.agent.hears(untouched=True)
            await orders(talk, "start")
            await talk.agent.hears(untouched=False, packets=20)
        first, second = (await api.record())["recordings"]
        for recording in (first, second):
            assert all(len(side) > 10 for side in sides(world, recording)), recording
            assert (recording["failed"], recording["lost_ms"]) == ("", 0)
