"""A trunk dials in as real ones do: late, twice, without an offer, on hold, with demands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Self

import pytest

from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import CARRIER, PBX, World, prompt, transfer_node
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.caller import Caller
from tests.peers.script import CONTACT, NUMBER, SDP, Headers
from tests.peers.sipp import RUN_LIMIT

NO_ACK_LIMIT = 50
"""Seconds: 64*T1 = 32 s until a 200 without ACK is given up (RFC 3261 section 13.3.1.4)."""

FLOWS = {
    # Somebody who talks until the caller has had enough.
    "620": {
        "flow": "endless",
        "start": "say",
        "nodes": {
            "say": {"type": "play", "prompt": prompt("welcome"), "next": "again"},
            "again": {"type": "play", "prompt": prompt("accepted"), "next": "say"},
        },
    },
    # The caller is answered when the agent is.
    "621": {
        "flow": "bridged",
        "start": "to_sales",
        "nodes": {
            "to_sales": transfer_node(target="sales", timeout=20, answer_on_bridge=True),
        },
    },
    "622": {
        "flow": "bridged_music",
        "start": "to_sales",
        "nodes": {
            "to_sales": transfer_node(
                target="sales", timeout=20, answer_on_bridge=True, waiting="music"
            ),
        },
    },
}


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for this file."""
    yield from served(World.answering(tmp_path_factory.mktemp("trunk"), FLOWS))


class Trunk(Caller):
    """A caller that does what few others do."""

    def dials_without_offer(self) -> Self:
        """INVITE without SDP: the gateway offers (RFC 3261 section 13.2.1)."""
        return self._outside("INVITE", ())

    def repeats(self, branch: str = "[branch-1]") -> Self:
        """The INVITE once more: the very same, or with another branch, on another way."""
        via = f"Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch={branch}"
        to = self.dialog[1].replace("[peer_tag_param]", "")
        lines = (via, "Max-Forwards: 70", self.dialog[0], to, self.dialog[2], "CSeq: 1 INVITE")
        content = (CONTACT, "Content-Type: application/sdp")
        return self._message(f"INVITE {NUMBER} SIP/2.0", (*lines, *content), SDP)

    def gets_answer(self, headers: Headers | None = None) -> Self:
        """200, not acknowledged yet."""
        self.hears_progress()
        self._steps.append(f'<recv response="200" rrs="true">{self._checks(headers or {})}</recv>')
        return self

    def acknowledges_answer(self, sdp: str = "") -> Self:
        """ACK, with the answer to an offer in the 200."""
        kind = ("Content-Type: application/sdp",) if sdp else ()
        lines = (*self.dialog, "CSeq: 1 ACK", CONTACT, *kind)
        return self._request("ACK", lines, sdp, retransmit=False)

    def cancels_in_vain(self) -> Self:
        """CANCEL of an INVITE that has its 200, five steps ago: nothing to cancel (9.2)."""
        via = "Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch-5]"
        to = self.dialog[1].replace("[peer_tag_param]", "")
        lines = (via, "Max-Forwards: 70", self.dialog[0], to, self.dialog[2], "CSeq: 1 CANCEL")
        return self._message(f"CANCEL {NUMBER} SIP/2.0", lines).gets(200)

    def gives_up(self, steps: int = 6) -> Self:
        """CANCEL of the INVITE of so many steps ago: 200, and 487 to that (9.1)."""
        via = f"Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch-{steps}]"
        to = self.dialog[1].replace("[peer_tag_param]", "")
        lines = (via, "Max-Forwards: 70", self.dialog[0], to, self.dialog[2], "CSeq: 1 CANCEL")
        return self._message(f"CANCEL {NUMBER} SIP/2.0", lines).gets(200).is_refused(487)

    def waits_for_bye(self, within: int) -> Self:
        """BYE from the gateway, however late."""
        self._steps.append(f'<recv request="BYE" timeout="{within * 1000}"/>')
        return self.replies(200, "OK")

    def rings_reliably(self) -> Self:
        """180 that is acknowledged by PRACK (RFC 3262 section 4)."""
        self._steps.append('<recv response="100" optional="true"/>')
        number = '<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="rseq"/>'
        self._variables.append("rseq")
        self._steps.append(f'<recv response="180" rrs="true"><action>{number}</action></recv>')
        return self.sends("PRACK", ("RAck: [$rseq] 1 INVITE",)).gets(200)

    def reinvites(self, sdp: str) -> Self:
        """Another offer within the call, answered and acknowledged."""
        self.sends("INVITE", ("Content-Type: application/sdp",), sdp).gets(200)
        cseq = f"CSeq: {self._offered()} ACK"
        return self._request("ACK", (*self.dialog, cseq, CONTACT), retransmit=False)

    def _offered(self) -> int:
        return max(int(each) for each in re.findall(r"CSeq: (\d+) INVITE", "".join(self._steps)))


def sdp_sent(record: dict[str, Any]) -> list[str]:
    """What the gateway has said of its media in a call."""
    rows = [row for row in record["timeline"] if row["name"] == "sip.message"]
    return [row["text"] for row in rows if row["direction"] == "sent" and "m=" in row["text"]]


def kinds_of_media(record: dict[str, Any]) -> set[str]:
    """What the gateway has offered or accepted in a call."""
    return {kind for sdp in sdp_sent(record) for kind in re.findall("^m=([a-z]+)", sdp, re.M)}


async def dialled(
    script: Caller, world: World, peer: StartPeer, number: str = "620", run_limit: float = RUN_LIMIT
) -> None:
    """A call from the carrier that follows this script to its end."""
    where = {"address": CARRIER, "gateway": world.address, "number": number}
    async with await peer(script, run_limit=run_limit, **where):
        pass


class TestTheAcknowledgement:
    """RFC 3261 section 13.3.1.4: the 200 is repeated until its ACK."""

    async def test_a_late_one_makes_the_call(self, world: World, peer: StartPeer, api: Api) -> None:
        script = Trunk("acknowledges late").dials().gets_answer().talks(1.2)
        script.acknowledges_answer()
        await dialled(script.talks(0.3).hangs_up(), world, peer)
        assert (await api.record())["end"] == "caller_hangup"

    async def test_without_one_the_call_is_ended(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Trunk("never acknowledges").dials().gets_answer()
        script.waits_for_bye(NO_ACK_LIMIT)
        await dialled(script, world, peer, run_limit=NO_ACK_LIMIT + network.PATIENCE)
        assert (await api.record())["disposition"] != "transferred"

    async def test_a_cancel_after_the_answer_changes_nothing(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """RFC 3261 section 9.2."""
        script = Trunk("cancels too late").dials().gets_answer().cancels_in_vain()
        await dialled(script.acknowledges_answer().talks(0.3).hangs_up(), world, peer)
        record = await api.record()
        assert record["end"] == "caller_hangup"
        assert record["answered_at"]


class TestTheOfferComesLate:
    """RFC 3261 section 13.2.1: an INVITE without SDP is offered one, and answers in the ACK."""

    async def test_there_is_audio_both_ways(self, world: World, peer: StartPeer, api: Api) -> None:
        script = Trunk("has no offer").dials_without_offer()
        script.gets_answer({"Content-Type": "application/sdp"}).acknowledges_answer(SDP)
        await dialled(script.talks(0.6).hangs_up(), world, peer)
        record = await api.record()
        assert record["media"]["caller"]["tx_packets"] > 10
        assert kinds_of_media(record) == {"audio"}

    async def test_before_the_answer_there_is_nothing_to_hear_it_by(
        self, world: World, peer: StartPeer
    ) -> None:
        """An offer of ours may stand in a reliable response only: 180, and no music by 183."""
        agent = Agent("rings for long").is_called().rings().is_cancelled()
        script = Trunk("has no offer for music").dials_without_offer().rings().waits()
        script.gives_up(steps=4)
        where = {"address": CARRIER, "gateway": world.address, "number": "622"}
        called = await peer(agent, address=PBX, port=world.pbx_port)
        async with called, await peer(script, **where) as sipp:
            await called.said("SIP/2.0 180")
            await sipp.said("SIP/2.0 180")
            sipp.go_on()

    async def test_a_caller_who_waits_for_the_agent_is_offered_then(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        agent = Agent("answers at once").is_called().rings().answers().talks(0.4).hangs_up()
        script = Trunk("has no offer and waits").dials_without_offer()
        script.gets_answer({"Content-Type": "application/sdp"}).acknowledges_answer(SDP)
        script.is_hung_up_on()
        async with await peer(agent, address=PBX, port=world.pbx_port):
            await dialled(script, world, peer, "621")
        assert (await api.record())["disposition"] == "transferred"


class TestTheOfferHasMore:
    """RFC 3264 section 6: what is not taken of an offer has port 0 in the answer."""

    async def test_text_is_declined(self, world: World, peer: StartPeer, api: Api) -> None:
        text = "\nm=text 30000 RTP/AVP 98\na=rtpmap:98 t140/1000"
        script = Trunk("types as well").dials(sdp=SDP + text).is_answered().talks(0.3).hangs_up()
        await dialled(script, world, peer)
        record = await api.record()
        (answer,) = {each for each in sdp_sent(record) if "m=text" in each}
        assert "m=text 0 " in answer


class TestTheInviteComesTwice:
    """RFC 3261 sections 17.2.1 and 8.2.2.2."""

    async def test_repeated_it_is_one_call(self, world: World, peer: StartPeer, api: Api) -> None:
        script = Trunk("repeats itself").dials(once=True).repeats().is_answered()
        await dialled(script.talks(0.3).hangs_up(), world, peer)
        await api.record()  # exactly one

    async def test_merged_on_another_way_it_gets_482(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        agent = Agent("rings").is_called().rings().is_cancelled()
        script = Trunk("comes on two ways").dials(once=True).rings()
        script.repeats(branch="z9hG4bK-elsewhere").gets(482).waits()
        script.gives_up()
        where = {"address": CARRIER, "gateway": world.address, "number": "621"}
        called = await peer(agent, address=PBX, port=world.pbx_port)
        async with called, await peer(script, **where) as sipp:
            await called.said("SIP/2.0 180")
            await sipp.said("SIP/2.0 482")
            sipp.go_on()
        assert (await api.record())["disposition"] == "abandoned"


class TestWhatIsRequired:
    """RFC 3261 section 8.2.2.3, RFC 3262."""

    async def test_an_unknown_extension_gets_420(self, world: World, peer: StartPeer) -> None:
        script = Trunk("requires magic").dials(("Require: x-magic",))
        await dialled(script.is_refused(420, {"Unsupported": "x-magic"}), world, peer)

    async def test_reliable_provisionals_wait_for_prack(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        agent = Agent("takes its time").is_called().rings().waits()
        agent.answers().talks(0.3).hangs_up()
        script = Trunk("requires 100rel").dials(("Require: 100rel",)).rings_reliably()
        script.is_answered().is_hung_up_on()
        where = {"address": CARRIER, "gateway": world.address, "number": "621"}
        called = await peer(agent, address=PBX, port=world.pbx_port)
        async with called, await peer(script, **where) as sipp:
            await called.said("SIP/2.0 180")
            await sipp.said("SIP/2.0 200", within="PRACK")
            called.go_on()
        assert (await api.record())["disposition"] == "transferred"


class TestSessionTimers:
    """RFC 4028 sections 7 and 9."""

    async def test_the_interval_asked_for_is_granted(self, world: World, peer: StartPeer) -> None:
        asked = ("Supported: timer", "Session-Expires: 600;refresher=uac")
        script = Trunk("refreshes itself").dials(asked)
        script.gets_answer({"Session-Expires": "600;refresher=uac"}).acknowledges_answer()
        script.sends("UPDATE", asked).gets(200, {"Session-Expires": "600"})
        await dialled(script.talks(0.2).hangs_up(), world, peer)

    async def test_too_short_a_one_gets_422(self, world: World, peer: StartPeer) -> None:
        script = Trunk("is impatient").dials(("Supported: timer", "Session-Expires: 30"))
        await dialled(script.is_refused(422, {"Min-SE": "90"}), world, peer)


NOWHERE = SDP.replace("c=IN IP[media_ip_type] [media_ip]", "c=IN IP4 0.0.0.0")
SESSION_LEVEL = "t=0 0\n"

HOLDS = {
    "sendonly": SDP.replace("sendrecv", "sendonly"),
    "inactive": SDP.replace("sendrecv", "inactive"),
    "0.0.0.0": NOWHERE,
    "0.0.0.0 sendonly": NOWHERE.replace("sendrecv", "sendonly"),
    "0.0.0.0 inactive": NOWHERE.replace("sendrecv", "inactive"),
    "sendonly for the session": SDP.replace("\na=sendrecv", "").replace(
        SESSION_LEVEL, SESSION_LEVEL + "a=sendonly\n"
    ),
    "inactive for the session": SDP.replace("\na=sendrecv", "").replace(
        SESSION_LEVEL, SESSION_LEVEL + "a=inactive\n"
    ),
}
"""The spellings of hold: RFC 3264 section 8.4, and RFC 2543 before it."""


class TestHold:
    """RFC 3264 section 8.4."""

    @pytest.mark.parametrize("spelling", HOLDS)
    async def test_is_understood_and_undone(
        self, spelling: str, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Trunk(f"holds by {spelling}").dials().is_answered().talks(0.3)
        script.reinvites(HOLDS[spelling]).talks(0.3).reinvites(SDP).talks(0.3).hangs_up()
        await dialled(script, world, peer)
        record = await api.record()
        held = [row["held"] for row in record["timeline"] if row["name"] == "leg.hold"]
        assert held == [True, False]

    async def test_after_the_bye_a_reinvite_gets_481(self, world: World, peer: StartPeer) -> None:
        """RFC 3261 section 12.2.2."""
        script = Trunk("comes back").dials().is_answered().talks(0.2).hangs_up()
        script.sends("INVITE", ("Content-Type: application/sdp",), SDP).gets(481)
        await dialled(script, world, peer)
