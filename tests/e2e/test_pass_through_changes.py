"""What passes undecoded while the parties renegotiate: codecs, hold, and the setting against it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import StartPeer
from tests.e2e.parties import (
    PCMA,
    PCMU,
    UNTOUCHED,
    Party,
    assert_one_stream,
    joined,
    media,
    pcmu,
)
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import World
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.caller import Caller
from tests.peers.rtp import COMFORT_NOISE, FRAME, RATE
from tests.peers.script import SDP, audio_at

ALAW = SDP.replace("RTP/AVP 0 8 101", "RTP/AVP 8 101").replace("a=rtpmap:0 PCMU/8000\n", "")
MULAW = SDP.replace("RTP/AVP 0 8 101", "RTP/AVP 0 101").replace("a=rtpmap:8 PCMA/8000\n", "")

A_MINUTE = 60 * RATE


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway as it comes."""
    world = World(tmp_path_factory.mktemp("changes"))
    yield from served(world)


class TestAnotherCodec:
    """RFC 3264 section 8.3.2: an offer within the call may change the codec."""

    async def test_is_translated_until_it_is_the_others_again(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        def changes(caller: Caller) -> None:
            for sdp in (ALAW, MULAW):
                caller.waits().offers("sendrecv", sdp=offer_of(caller, sdp))
                caller.gets(200).acknowledges_offer()

        async with joined(world, api, peer, meanwhile=changes) as talk:
            await talk.agent.hears(untouched=True)
            talk.calling.go_on()
            await talk.caller.hears(untouched=False, payload_type=8)
            talk.caller.voice = PCMA
            for party in (talk.agent, talk.caller):
                await party.hears(untouched=False, packets=50)
                await party.understands()
            talk.calling.go_on()
            await talk.caller.hears(untouched=False, payload_type=0)
            talk.caller.voice = PCMU
            await talk.agent.hears(untouched=True)
            await talk.caller.hears(untouched=True)
        assert_one_stream(talk.agent.heard)
        assert_one_stream(talk.caller.heard)
        for leg, party in zip(media(await api.record()), (talk.caller, talk.agent), strict=True):
            assert leg["rx_packets"] > party.packets - 50, "of all three streams"
            assert leg["tx_passed"] >= 20

    async def test_leaves_nobody_deaf_however_much_comes_meanwhile(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        """Each change starts the stream anew, in the middle of what the caller sends."""
        changes = 8

        def change(caller: Caller) -> None:
            for turn in range(changes):
                caller.waits().offers("sendrecv", sdp=offer_of(caller, (ALAW, MULAW)[turn % 2]))
                caller.gets(200).acknowledges_offer()

        async def flood(caller: Party) -> None:
            while True:
                caller.send(UNTOUCHED * FRAME, payload_type=0)
                await asyncio.sleep(0.001)

        async with joined(world, api, peer, meanwhile=change) as talk:
            await talk.agent.hears(untouched=True)
            flooding = asyncio.create_task(flood(talk.caller))
            for turn in range(changes):
                talk.calling.go_on()
                await talk.caller.hears(untouched=turn % 2 == 1, payload_type=(8, 0)[turn % 2])
            flooding.cancel()
            await talk.agent.hears(untouched=True)


def offer_of(caller: Caller, sdp: str) -> str:
    """This SDP, at the caller's port."""
    port = caller.spoken.partition("m=audio ")[2].split()[0]
    return audio_at(int(port), sdp=sdp)


class TestHold:
    """RFC 3264 section 8.4: who is held hears the gateway, and afterwards the other one again."""

    @pytest.mark.parametrize("direction", ["sendonly", "inactive"])
    @pytest.mark.parametrize("by", ["caller", "agent-1"])
    async def test_ends_where_it_began(
        self, world: World, api: Api, peer: StartPeer, by: str, direction: str
    ) -> None:
        def holds(party: Caller | Agent) -> None:
            party.waits().holds(direction)
            party.waits().holds("sendrecv")

        async with joined(
            world,
            api,
            peer,
            meanwhile=holds if by == "caller" else None,
            agent_meanwhile=holds if by == "agent-1" else None,
        ) as talk:
            holder, held, sipp = talk.caller, talk.agent, talk.calling
            if by == "agent-1":
                holder, held, sipp = talk.agent, talk.caller, talk.called
            await held.hears(untouched=True)
            sipp.go_on()
            holder.quiet = direction == "inactive"
            await held.hears(untouched=False, packets=50)
            sipp.go_on()
            holder.quiet = False
            await held.hears(untouched=True)
            await holder.hears(untouched=True)
        assert_one_stream(held.heard)
        # Nothing is sent to who holds: its numbers stand still, and the time goes on.
        assert_one_stream(holder.heard, longest=A_MINUTE)
        spans = [each.payload for each in held.heard if not each.untouched]
        assert len(set(spans)) > 20, "music, not silence"
        timeline = (await api.record())["timeline"]
        held_by = [(each["leg"], each["held"]) for each in timeline if each["name"] == "leg.hold"]
        assert held_by == [(by, True), (by, False)]


class TestQuality:
    """RFC 3550 section 6.4.1: each peer tells what was lost of what it was sent."""

    async def test_is_that_of_each_legs_own_network(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            talk.caller.lose(12)
            await talk.agent.hears(untouched=True, packets=30)
            talk.agent.reports(lost=12 + 3)
            talk.caller.reports(lost=2)
            await talk.agent.hears(untouched=True, packets=30)
        caller, agent = media(await api.record())
        assert (caller["rx_lost"], caller["tx_lost"]) == (12, 2)
        assert (agent["rx_lost"], agent["tx_lost"]) == (0, 3)

    async def test_is_told_across_a_change(self, world: World, api: Api, peer: StartPeer) -> None:
        def holds(caller: Caller) -> None:
            caller.waits().holds("sendonly")
            caller.waits().holds("sendrecv")

        async with joined(world, api, peer, meanwhile=holds) as talk:
            await talk.agent.hears(untouched=True)
            talk.agent.lose(12)
            await talk.caller.hears(untouched=True, packets=30)
            talk.caller.reports(lost=12 + 3)
            await talk.caller.hears(untouched=True, packets=30)
            talk.calling.go_on()
            await talk.agent.hears(untouched=False)
            talk.calling.go_on()
            await talk.caller.hears(untouched=True)
            talk.caller.reports(lost=12 + 5)
            await talk.caller.hears(untouched=True, packets=30)
        caller, agent = media(await api.record())
        assert (caller["tx_lost"], agent["rx_lost"]) == (5, 12)


class TestSilence:
    """RFC 3389: who has nothing to say sends a packet of noise now and then."""

    async def test_of_a_peer_that_sends_comfort_noise_is_filled(
        self, world: World, api: Api, peer: StartPeer
    ) -> None:
        async with joined(world, api, peer) as talk:
            await talk.agent.hears(untouched=True)
            talk.caller.quiet = True
            before = len(talk.agent.heard)

            def filled() -> bool:
                talk.caller.send(b"\x40", COMFORT_NOISE)
                return len(talk.agent.heard) > before + 100

            await network.until(filled, "the agent gets packets")
            talk.caller.quiet = False
            await talk.agent.hears(untouched=True)


class TestTheSetting:
    """`sip.rtp.pass_through: false`."""

    async def test_has_everything_mixed(self, tmp_path: Path, peer: StartPeer) -> None:
        world = World(tmp_path / "mixing", settings={"sip": {"rtp": {"pass_through": False}}})
        world.write()
        process = GatewayProcess(world)
        process.start()
        try:
            async with httpx.AsyncClient(base_url=world.api) as client:
                api = Api(client)
                await api.begin()
                async with joined(world, api, peer) as talk:
                    for party in (talk.caller, talk.agent):
                        await party.understands(frames=60)
                        assert not any(each.untouched for each in party.heard)
                assert [leg["tx_passed"] for leg in media(await api.record())] == [0, 0]
        finally:
            assert process.stop() == 0, process.log_tail()


class TestPacketsOfOtherLengths:
    """RFC 8866 section 6.4: ptime is what a peer wants to receive."""

    @pytest.mark.parametrize(("caller", "agent", "passes"), [(1, 2, False), (2, 2, True)])
    async def test_are_packed_anew(
        self, world: World, api: Api, peer: StartPeer, caller: int, agent: int, passes: bool
    ) -> None:
        voices = pcmu(caller), pcmu(agent)
        sdps = [f"{SDP}\na=ptime:{20 * each.frames}" for each in voices]
        async with joined(world, api, peer, *sdps, voices=voices) as talk:
            for party in (talk.caller, talk.agent):
                await party.hears(untouched=passes, packets=50)
                await party.understands()
        for party in (talk.caller, talk.agent):
            assert {len(each.payload) for each in party.heard} == {160 * party.voice.frames}
        assert all(bool(leg["tx_passed"]) == passes for leg in media(await api.record()))
