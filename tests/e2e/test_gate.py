"""The admission gate (sip/native/gate.c): what is refused, with which answer, before a call exists.

The peer is a bare UDP socket: most of these requests no well-behaved user agent would send.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from config.settings import Settings
from config.targets import Reach, Target
from sip.agent import SipAgent
from sip.errors import DestinationBlocked
from sip.leg import Leg
from sip.legs import Legs
from sip.outcome import Side
from tests.peers import network
from tests.peers.datagram import GATEWAY, LIMIT, SDP, Peer, Socket

TRUNK, STRANGER = "127.0.0.2", "127.0.0.9"


@dataclass
class Line:
    """An agent, and peers at it."""

    agent: SipAgent
    port: int
    sockets: list[Socket]

    async def peer(self, address: str = TRUNK, port: int = 0) -> Peer:
        peer = await Peer.at(address, self.port, port)
        self.sockets.append(peer.socket)
        return peer

    async def talking(self) -> tuple[Peer, Leg]:
        """A call that was answered and acknowledged."""
        peer = await self.peer()
        peer.send("INVITE", "Content-Type: application/sdp", body=SDP)
        async with asyncio.timeout(LIMIT):
            leg = await anext(self.agent.inbound())
        await leg.answer()
        answer = await peer.socket.final("INVITE")
        peer.to_tag = answer.header("To").partition("tag=")[2]
        peer.cseq -= 1
        peer.send("ACK")
        return peer, leg


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with opened({}) as line:
        yield line


@pytest.fixture
async def limited() -> AsyncIterator[Line]:
    """Its trunk may begin three calls at once, then one in 100 s, and have one in progress."""
    rate = {"calls_per_second": 0.01, "burst": 3}
    async with opened({"limits": {"calls": 1, "rate": rate}}) as line:
        yield line


@asynccontextmanager
async def opened(trunk: dict[str, Any], **sip: Any) -> AsyncIterator[Line]:
    port = network.free_port(GATEWAY)
    first, last = network.free_udp_range(GATEWAY, 64)
    agent = SipAgent(
        Settings.model_validate(
            {
                "sip": {
                    "listen": [{"address": GATEWAY, "port": port}],
                    "rtp": {"address": GATEWAY, "first_port": first, "last_port": last},
                    "max_calls": 2,
                    **sip,
                },
                "trunks": {
                    "trunk": {
                        "sources": [f"{TRUNK}/32"],
                        "proxy": f"sip:{TRUNK}",
                        "routes": [{"flow": "any"}],
                        **trunk,
                    }
                },
                "allow": ["+4930*", f"sip:one@{STRANGER}"],
            }
        )
    )
    await agent.start()
    line = Line(agent, port, [])
    try:
        yield line
    finally:
        await agent.stop()
        for socket in line.sockets:
            await socket.close()


class TestWhoMayAsk:
    """The source decides, before anything else is looked at."""

    async def test_a_stranger_is_refused_and_no_leg_is_made(self, line: Line) -> None:
        stranger = await line.peer(STRANGER)
        before = line.agent.counters().gate_refused_source
        refused = await stranger.calls()
        assert (refused.status, refused.reason) == (403, "Unknown source")
        assert line.agent.counters().gate_refused_source == before + 1
        assert dict(line.agent.legs) == {}

    async def test_a_tag_that_a_stranger_invents_changes_nothing(self, line: Line) -> None:
        """RFC 3261 section 12.2.2: 481; but to a stranger as few as of any other answer."""
        stranger, peer = await line.peer(STRANGER), await line.peer()
        before = line.agent.counters()
        for each in (stranger, peer):
            each.to_tag = "invented"
            assert (await each.asks("BYE")).status == 481
            for _ in range(30):
                each.send("BYE")
        assert (await peer.asks("MESSAGE")).status == 481
        after = line.agent.counters()
        answered = after.gate_refused_source - before.gate_refused_source
        assert answered + after.gate_refused_rate - before.gate_refused_rate == 31
        assert answered < 20

    async def test_where_strangers_get_no_answer_an_invented_tag_brings_none(self) -> None:
        async with opened({}, unknown_source="drop") as line:
            stranger, peer = await line.peer(STRANGER), await line.peer()
            before = line.agent.counters().gate_refused_source
            stranger.to_tag = "invented"
            for method in ("BYE", "INVITE", "OPTIONS", "ACK"):
                stranger.send(method)
            assert (await peer.asks("OPTIONS")).status == 200
            assert stranger.socket.received.empty()
            assert line.agent.counters().gate_refused_source == before + 3

    async def test_while_draining_new_calls_and_options_get_503_with_retry_after(
        self, line: Line
    ) -> None:
        await line.agent.drain()
        for peer, method in ((await line.peer(), "INVITE"), (await line.peer(), "OPTIONS")):
            refused = await (peer.calls() if method == "INVITE" else peer.asks(method))
            assert (refused.status, refused.retry_after) == (503, 5)

    async def test_beyond_the_limit_calls_get_503_with_retry_after(self, line: Line) -> None:
        for _ in range(2):
            await line.talking()
        refused = await (await line.peer()).calls()
        assert (refused.status, refused.retry_after) == (503, 5)

    async def test_a_call_as_large_as_carriers_send_is_taken(self, line: Line) -> None:
        peer = await line.peer()
        identity = [f"Identity: {'x' * 900}" for _ in range(5)]
        peer.send("INVITE", "Content-Type: application/sdp", *identity, body=SDP)
        async with asyncio.timeout(LIMIT):
            leg = await anext(line.agent.inbound())
        leg.reject(486)
        assert (await peer.socket.final("INVITE")).status == 486

    async def test_bytes_that_are_no_text_reach_nobody_as_such(self, line: Line) -> None:
        """They would break the first JSON they come into."""
        peer = await line.peer()
        peer.send("INVITE", "Content-Type: application/sdp", "X-Name: caf\udce9", body=SDP)
        async with asyncio.timeout(LIMIT):
            leg = await anext(line.agent.inbound())
        assert leg.info.received.headers == {"X-Name": "caf\N{REPLACEMENT CHARACTER}"}
        leg.reject(486)
        await leg.wait_ended()


class TestHangingUpBeforeTheAck:
    """RFC 3261 section 15: the callee waits for the ACK before it says BYE."""

    async def test_the_bye_waits_and_keeps_its_headers(self, line: Line) -> None:
        peer = await line.peer()
        peer.send("INVITE", "Content-Type: application/sdp", body=SDP)
        async with asyncio.timeout(LIMIT):
            leg = await anext(line.agent.inbound())
        await leg.answer()
        answer = await peer.socket.final("INVITE")
        leg.release({"X-Transfer-To": "sip:ivr@127.0.0.2"})
        assert not leg.gone
        peer.to_tag = answer.header("To").partition("tag=")[2]
        peer.cseq -= 1
        peer.send("ACK")
        bye = await peer.socket.request("BYE")
        assert bye.header("X-Transfer-To") == "sip:ivr@127.0.0.2"


class TestWhatIsNotServed:
    """A fixed answer, by method."""

    @pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "REFER"])
    async def test_outside_a_dialog(self, line: Line, method: str) -> None:
        refused = await (await line.peer()).asks(method)
        assert refused.status == 405
        assert "INVITE" in refused.header("Allow")

    @pytest.mark.parametrize("method", ["BYE", "CANCEL", "UPDATE", "PRACK", "INFO", "NOTIFY"])
    async def test_what_belongs_to_a_dialog_outside_of_any(self, line: Line, method: str) -> None:
        """RFC 3261 section 12.2.2."""
        assert (await (await line.peer()).asks(method)).status == 481

    async def test_replacing_a_call_is_not_allowed(self, line: Line) -> None:
        """RFC 3891."""
        refused = await (await line.peer()).calls("Replaces: x@y;to-tag=1;from-tag=2")
        assert (refused.status, refused.reason) == (403, "Replaces is not allowed here")

    async def test_a_refer_inside_a_call_is_declined_and_the_call_goes_on(self, line: Line) -> None:
        peer, leg = await line.talking()
        refused = await peer.asks("REFER", "Refer-To: <sip:premium@127.0.0.9?X-Injected=1>")
        assert refused.status == 603
        assert not leg.gone
        assert (await peer.asks("OPTIONS")).status == 200

    async def test_a_refer_with_the_call_s_tags_and_another_call_id_dials_nobody(
        self, line: Line
    ) -> None:
        """PJSIP finds a dialog by its tags alone (against section 12.2.2), and would follow it."""
        peer, leg = await line.talking()
        victim = await line.peer(STRANGER)
        call_id, peer.call_id = peer.call_id, "another"
        refer_to = f"Refer-To: <sip:premium@{STRANGER}:{victim.port}>"
        assert (await peer.asks("REFER", refer_to)).status == 481
        peer.call_id = call_id
        assert (await peer.asks("OPTIONS")).status == 200
        assert victim.socket.received.empty()
        assert not leg.gone

    async def test_an_empty_info_is_a_keep_alive(self, line: Line) -> None:
        peer, _ = await line.talking()
        assert (await peer.asks("INFO")).status == 200

    async def test_an_info_of_another_kind_gets_415(self, line: Line) -> None:
        peer, leg = await line.talking()
        refused = await peer.asks("INFO", "Content-Type: text/plain", body="hello")
        assert (refused.status, refused.header("Accept")) == (415, "application/dtmf-relay")
        assert not leg.gone


class TestTheCallIdOfAnotherCall:
    """RFC 3261 section 8.2.2.2: what happens to one call must not be taken for the other's."""

    async def test_a_second_call_with_it_gets_482_and_the_first_one_can_end(
        self, line: Line
    ) -> None:
        peer, leg = await line.talking()
        again = await line.peer()
        again.call_id = peer.call_id
        again.send("INVITE", "Content-Type: application/sdp", body=SDP)
        assert (await again.socket.final("INVITE")).status == 482
        assert line.agent.counters().gate_refused_call_id == 1
        peer.send("BYE")
        assert (await peer.socket.final("BYE")).status == 200
        async with asyncio.timeout(LIMIT):
            assert (await leg.wait_ended()).by is Side.CALLER

    async def test_a_call_that_ended_may_be_tried_again_with_it(self, line: Line) -> None:
        peer, leg = await line.talking()
        peer.send("BYE")
        await peer.socket.final("BYE")
        async with asyncio.timeout(LIMIT):
            await leg.wait_ended()
        again = await line.peer()
        again.call_id, again.cseq = peer.call_id, peer.cseq
        again.send("INVITE", "Content-Type: application/sdp", body=SDP)
        async with asyncio.timeout(LIMIT):
            second = await anext(line.agent.inbound())
        assert second.info.sip_call_id == leg.info.sip_call_id
        second.reject(486)
        assert (await again.socket.final("INVITE")).status == 486


class TestShape:
    """What could reach a known defect of PJSIP never gets there."""

    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            ([f"X-Long: {'x' * 1100}"], SDP),
            ([f"X-{n}: {'x' * 900}" for n in range(9)], SDP),
            ([], SDP + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n" * 33),
            ([], SDP + "m=audio 40002 RTP/AVP 0\r\n" * 4),
        ],
        ids=["a long line", "a large message", "many crypto lines", "many media lines"],
    )
    async def test_it_gets_513_and_the_gateway_goes_on(
        self, line: Line, headers: list[str], body: str
    ) -> None:
        peer = await line.peer()
        before = line.agent.counters().gate_refused_shape
        refused = await peer.asks("INVITE", "Content-Type: application/sdp", *headers, body=body)
        assert refused.status == 513
        assert line.agent.counters().gate_refused_shape == before + 1
        assert (await (await line.peer()).asks("OPTIONS")).status == 200

    async def test_a_cr_alone_which_ends_a_line_for_some_readers_gets_400(self, line: Line) -> None:
        """Repeated in an INVITE to an agent, this Diversion would have another header behind it."""
        peer = await line.peer()
        header = "Diversion: <sip:a@example.com>\rX-Account: 4711"
        assert (await peer.asks("INVITE", header)).status == 400
        assert (await (await line.peer()).asks("OPTIONS")).status == 200

    @pytest.mark.parametrize("space", ["\t", "\r\n ", "  "], ids=["a tab", "a fold", "two spaces"])
    async def test_a_request_line_that_pjsip_alone_would_read_gets_400(
        self, line: Line, space: str
    ) -> None:
        """RFC 3261 section 7.1: the elements are separated by a single space."""
        peer = await line.peer()
        peer.send("INVITE", "Content-Type: application/sdp", body=SDP, space=space)
        refused = await peer.socket.final("INVITE")
        assert (refused.status, refused.reason) == (400, "Malformed request line")
        assert not line.agent.legs


class TestAnErrorOfOurOwn:
    """An INVITE that cannot be taken in is refused, and leaves no call behind."""

    async def test_it_gets_500_and_holds_nothing(
        self, line: Line, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Legs, "new", lambda *_: 1 / 0)
            for _ in range(3):  # one more than there may be calls
                assert (await (await line.peer()).calls()).status == 500
        await line.talking()


class TestLimits:
    """How much a trunk, an address and a target may do at once."""

    async def test_a_trunk_over_its_calls_gets_503_with_retry_after(self, limited: Line) -> None:
        _, leg = await limited.talking()
        refused = await (await limited.peer()).calls()
        assert (refused.status, refused.reason) == (503, "Too many calls of this trunk")
        assert refused.retry_after == 5
        target = Target(kind=Reach.EXTERNAL, destination="+4930555", trunk="trunk")
        with pytest.raises(DestinationBlocked, match=r"trunks\.trunk\.limits\.calls"):
            await limited.agent.dial(target)
        await leg.hangup({})
        await limited.talking()

    async def test_a_trunk_that_is_too_fast_gets_503_until_tokens_are_back(
        self, limited: Line
    ) -> None:
        answers = [await (await limited.peer()).calls("Replaces: a;to-tag=1;from-tag=2")]
        for _ in range(3):
            peer = await limited.peer()
            peer.send("INVITE", "Content-Type: application/sdp", body=SDP)
            async with asyncio.timeout(LIMIT):
                leg = await anext(limited.agent.inbound())
            leg.reject(486)
            answers.append(await peer.socket.final("INVITE"))
        refused = await (await limited.peer()).calls()
        assert [each.status for each in answers] == [403, 486, 486, 486]
        assert (refused.status, refused.retry_after) == (503, 1)

    async def test_a_target_takes_no_more_than_its_calls(self, line: Line) -> None:
        target = Target(
            kind=Reach.EXTERNAL, destination=f"sip:one@{STRANGER}", method="invite", max_calls=1
        )
        leg = await line.agent.dial(target)
        with pytest.raises(DestinationBlocked, match="max_calls"):
            await line.agent.dial(target)
        leg.release()
        await leg.wait_ended()


class TestNumbers:
    """Whatever the trunk writes, the rest of the gateway sees E.164, and the trunk its own way."""

    async def test_in_and_out(self) -> None:
        numbers = {"country": "49", "sends": "national"}
        routes = [{"number": "+4930*", "flow": "berlin"}, {"flow": "any"}]
        port = network.free_port(TRUNK)
        trunk = {"numbers": numbers, "routes": routes, "proxy": f"sip:{TRUNK}:{port}"}
        async with opened(trunk) as line:
            peer = await line.peer()
            peer.send("INVITE", "Content-Type: application/sdp", body=SDP, to="03012345")
            async with asyncio.timeout(LIMIT):
                leg = await anext(line.agent.inbound())
            assert (leg.info.number, leg.info.flow) == ("+493012345", "berlin")
            leg.reject(486)
            await leg.wait_ended()
            proxy = await line.peer(port=port)
            target = Target(kind=Reach.EXTERNAL, destination="+4930555", trunk="trunk")
            out = await line.agent.dial(target, caller="+491715550100")
            invite = await proxy.socket.request("INVITE")
            assert invite.request_uri == f"sip:030555@{TRUNK}:{port}"
            assert "sip:01715550100@" in invite.header("From")
            out.release()
            await out.wait_ended()
