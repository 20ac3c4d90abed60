"""What two parties say to each other passes undecoded; while anything else is heard it is mixed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import StartPeer
from tests.e2e.parties import (
    AGENT_SDP,
    EVENTS,
    EVENTS_OF_THE_AGENT,
    SWITCH,
    assert_one_stream,
    cost,
    joined,
    media,
)
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import World
from tests.peers import network


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that can record."""
    folder = tmp_path_factory.mktemp("pass-through")
    world = World(folder, settings={"recordings": {"folder": "kept"}})
    yield from served(world)


class TestTwoParties:
    """RFC 3550 section 7: what is passed on is a stream of the gateway's own to each of them."""

    async def test_hear_each_other_undecoded_in_one_stream(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            await talk.caller.hears(untouched=True)
        for party in (talk.caller, talk.agent):
            assert_one_stream(party.heard)
            first = next(each for each in party.heard if each.untouched)
            assert first.marker
            passed = [each for each in party.heard if each.untouched]
            assert cost(passed) == 0
        for leg in media(await api.record()):
            assert leg["tx_passed"] >= 10
            assert leg["rx_lost"] == leg["tx_lost"] == leg["rx_discarded"] == 0

    async def test_press_keys_that_cross_as_they_are(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        """RFC 4733 section 2.5.2.1: the same packets, with the number of the other leg's SDP."""
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            pressed = talk.caller.press(5, frames=8)
            await network.until(
                lambda: sum(each.payload_type != 0 for each in talk.agent.heard) >= len(pressed),
                "the key has crossed",
            )
            await talk.agent.hears(untouched=True)
        events = [each for each in talk.agent.heard if each.payload_type != 0]
        assert [each.payload for each in events] == pressed
        assert {each.payload_type for each in events} == {EVENTS_OF_THE_AGENT}
        assert len({each.timestamp for each in events}) == 1
        assert_one_stream(talk.agent.heard)
        timeline = (await api.record())["timeline"]
        keys = [event for event in timeline if event["name"] == "dtmf.received"]
        assert len(keys) == 1

    @pytest.mark.parametrize("flags", [0x80, 0x81, 0xA0], ids=["empty", "csrc", "padding"])
    async def test_are_not_parted_by_a_key_without_payload(
        self, flags: int, world: World, api: Api, peer: StartPeer
    ) -> None:
        """RFC 4733 section 2.3: an event has four bytes; one without any is nobody's."""
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            head = struct.pack("!BBHII", flags, EVENTS, 7, 7, 0xBAD)
            for rest in (b"", bytes(4) if flags == 0x81 else b"\x01"):
                talk.caller.throw(head + rest)
            await talk.agent.hears(untouched=True)
        assert {each.payload_type for each in talk.agent.heard} == {0}

    @pytest.mark.parametrize(
        ("action", "begin", "end"),
        [
            ("recording", {"action": "start"}, {"action": "stop"}),
            ("play", {"prompt": {"file": "operator.wav"}}, None),
        ],
    )
    async def test_are_mixed_while_something_else_listens_or_speaks(
        self,
        action: str,
        begin: dict[str, Any],
        end: dict[str, Any] | None,
        world: World,
        api: Api,
        peer: StartPeer,
    ) -> None:
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            assert (await api.decide(talk.id, action, **begin)).status_code == 202
            await talk.agent.hears(untouched=False)
            if end is not None:
                assert (await api.decide(talk.id, action, **end)).status_code == 202
            await talk.agent.hears(untouched=True)
            await talk.caller.hears(untouched=True)
        assert_one_stream(talk.agent.heard)
        assert_one_stream(talk.caller.heard)
        start = next(i for i, each in enumerate(talk.agent.heard) if each.untouched)
        assert cost(talk.agent.heard[start:]) <= 2 * SWITCH

    async def test_are_heard_again_after_a_silence_that_the_gateway_has_filled(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        """A peer that sends nothing leaves nobody without packets: NATs and telephones mind."""
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            talk.caller.quiet = True
            await talk.agent.hears(untouched=False, packets=50)
            talk.caller.quiet = False
            await talk.agent.hears(untouched=True)
        assert_one_stream(talk.agent.heard)


class TestPartiesWhoCannot:
    """Different codecs are translated, and so is what an operator wants mixed."""

    async def test_speak_different_codecs(self, world: World, api: Api, peer: StartPeer) -> None:
        other = AGENT_SDP.replace(" 0 8 ", " 8 ")
        async with joined(world, api, peer, answered=other) as talk:
            await network.until(lambda: len(talk.agent.heard) > 100, "the agent hears")
        assert {each.payload_type for each in talk.agent.heard} == {8}
        assert [leg["tx_passed"] for leg in media(await api.record())] == [0, 0]
