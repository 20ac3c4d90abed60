"""Which transports a trunk's requests may come over: the gate (sip/native/gate.c) holds it to them.

The gateway listens on UDP, TCP and TLS; the peers are softphones and bare sockets of the trunk's
own address.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from sip.agent import SipAgent
from sip.softphone.commands import Dial, HangUp
from sip.softphone.driver import Softphone
from tests.peers import network
from tests.peers.authority import Authority
from tests.peers.datagram import GATEWAY, LIMIT, SDP, Peer

CARRIER, ANYWHERE = "127.0.0.2", "127.0.0.9"
USER, PASSWORD = "branch-7", "s3cret"
TLS_PROXY = f"sip:{CARRIER};transport=tls"


@dataclass
class Line:
    """A gateway's SIP side with one trunk, and telephones at it."""

    agent: SipAgent
    ports: dict[str, int]
    authority: Authority
    end: AsyncExitStack

    @property
    def refused(self) -> int:
        """How many requests came over another transport than they should."""
        return self.agent.counters().gate_refused_transport

    async def dials(self, transport: str, address: str = CARRIER, *options: str) -> Softphone:
        """A telephone that calls over this transport."""
        phone = await Softphone.start(
            address,
            name="carrier",
            transport=transport,
            options=(*self.authority.signs("sbc.test").options, *options),
        )
        await self.end.enter_async_context(phone)
        uri = f"sip:100@{GATEWAY}:{self.ports[transport]};transport={transport}"
        await phone.send(Dial(call="a", to=uri))
        return phone

    async def is_taken(self, phone: Softphone) -> None:
        """Its call arrives, is answered and ended."""
        async with asyncio.timeout(LIMIT):
            leg = await anext(self.agent.inbound())
        await leg.answer()
        await phone.expect("confirmed", "a")
        await phone.send(HangUp(call="a"))
        await leg.wait_ended()

    async def peer(self) -> Peer:
        """A bare UDP socket of the trunk's."""
        peer = await Peer.at(CARRIER, self.ports["udp"])
        self.end.push_async_callback(peer.socket.close)
        return peer


Start = Callable[..., Awaitable[Line]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a gateway: `await start(proxy=…)`."""
    async with AsyncExitStack() as end:

        async def begin(unknown_source: str = "refuse", **trunk: Any) -> Line:
            authority = Authority(tmp_path / "authority")
            own = authority.signs(GATEWAY)
            files = {"certificate": str(own.certificate), "key": str(own.key)}
            ports = {name: network.free_port(GATEWAY) for name in ("udp", "tcp", "tls")}
            listen: list[dict[str, Any]] = [
                {"address": GATEWAY, "port": port, "transport": name}
                for name, port in ports.items()
            ]
            listen[2]["tls"] = files
            first, last = network.free_udp_range(GATEWAY, 64)
            known = {} if "digest" in trunk else {"sources": [f"{CARRIER}/32"]}
            settings = {
                "sip": {
                    "listen": listen,
                    "rtp": {"address": GATEWAY, "first_port": first, "last_port": last},
                    "max_calls": 8,
                    "unknown_source": unknown_source,
                },
                "trunks": {"carrier": {**known, "routes": [{"flow": "any"}], **trunk}},
            }
            agent = SipAgent(Settings.model_validate(settings))
            await agent.start()
            end.push_async_callback(agent.stop)
            return Line(agent, ports, authority, end)

        yield begin


class TestDefault:
    """Where the trunk is reached over TLS, it is heard over TLS alone."""

    @pytest.mark.parametrize("transport", ["udp", "tcp"])
    async def test_a_trunk_reached_over_tls_gets_403_over_another(
        self, start: Start, transport: str
    ) -> None:
        line = await start(proxy=TLS_PROXY)
        before = line.refused
        phone = await line.dials(transport)
        await phone.expect("disconnected", "a", code=403)
        assert line.refused == before + 1
        assert dict(line.agent.legs) == {}

    async def test_a_trunk_reached_over_tls_is_taken_over_tls(self, start: Start) -> None:
        line = await start(proxy=TLS_PROXY)
        await line.is_taken(await line.dials("tls"))

    @pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
    @pytest.mark.parametrize("trunk", [{"proxy": f"sip:{CARRIER}"}, {}], ids=["by udp", "never"])
    async def test_any_other_trunk_is_taken_over_all(
        self, start: Start, trunk: dict[str, str], transport: str
    ) -> None:
        line = await start(**trunk)
        await line.is_taken(await line.dials(transport))


class TestTransports:
    """`transports` says it otherwise."""

    @pytest.mark.parametrize(("transport", "taken"), [("udp", True), ("tcp", False), ("tls", True)])
    async def test_those_that_are_named_are_taken(
        self, start: Start, transport: str, taken: bool
    ) -> None:
        line = await start(proxy=TLS_PROXY, transports=["tls", "udp"])
        phone = await line.dials(transport)
        if taken:
            await line.is_taken(phone)
        else:
            await phone.expect("disconnected", "a", code=403)

    async def test_a_trunk_that_only_calls_in_may_be_held_to_tls(self, start: Start) -> None:
        line = await start(transports=["tls"])
        assert (await (await line.peer()).calls()).status == 403
        await line.is_taken(await line.dials("tls"))

    @pytest.mark.parametrize(("transport", "taken"), [("udp", False), ("tls", True)])
    async def test_a_trunk_known_by_its_digest_is_held_to_them_too(
        self, start: Start, tmp_path: Path, transport: str, taken: bool
    ) -> None:
        secret = tmp_path / "password"
        secret.write_text(PASSWORD)
        digest = {"username": USER, "password": {"file": str(secret)}}
        line = await start(digest=digest, transports=["tls"])
        proves = ("--username", USER, "--password", PASSWORD)
        phone = await line.dials(transport, ANYWHERE, *proves)
        if taken:
            await line.is_taken(phone)
        else:
            await phone.expect("disconnected", "a", code=403)
            assert line.refused


class TestForgedSources:
    """Over UDP anybody can write a trunk's address as the source."""

    async def test_every_request_outside_a_dialog_is_refused(self, start: Start) -> None:
        line = await start(proxy=TLS_PROXY)
        for method in ("INVITE", "OPTIONS", "REGISTER", "MESSAGE", "CANCEL"):
            refused = await (await line.peer()).asks(method)
            assert (refused.status, refused.reason) == (403, "Not over this transport")

    async def test_they_are_answered_no_oftener_than_strangers(self, start: Start) -> None:
        """Who is answered may be the one whose address was forged."""
        line = await start(proxy=TLS_PROXY)
        peer = await line.peer()
        before = line.agent.counters()
        for _ in range(100):
            peer.send("OPTIONS")
        phone = await line.dials("tls")
        await line.is_taken(phone)
        after = line.agent.counters()
        assert after.gate_refused_transport - before.gate_refused_transport < 50
        assert after.gate_refused_rate > before.gate_refused_rate

    async def test_they_are_dropped_where_strangers_are(self, start: Start) -> None:
        line = await start(unknown_source="drop", proxy=TLS_PROXY)
        before = line.refused
        peer = await line.peer()
        peer.send("INVITE", "Content-Type: application/sdp", body=SDP)
        await network.until(lambda: line.refused == before + 1, "it is dropped")
        assert peer.socket.received.empty()


class TestConnections:
    """A connection costs a socket: one that brings no request is not kept."""

    @pytest.mark.parametrize("said", [b"", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
    async def test_one_that_brings_no_request_is_closed(self, start: Start, said: bytes) -> None:
        line = await start()
        reader, writer = await asyncio.open_connection(
            GATEWAY, line.ports["tcp"], local_addr=(ANYWHERE, 0)
        )
        writer.write(said)
        async with asyncio.timeout(3 * LIMIT):
            await reader.read()
        writer.close()

    async def test_one_that_brings_requests_is_kept(self, start: Start) -> None:
        line = await start()
        reader, writer = await asyncio.open_connection(
            GATEWAY, line.ports["tcp"], local_addr=(CARRIER, 0)
        )
        silent, other = await asyncio.open_connection(GATEWAY, line.ports["tcp"])
        for cseq in (1, 2):
            writer.write(
                f"OPTIONS sip:{GATEWAY} SIP/2.0\r\n"
                f"Via: SIP/2.0/TCP {CARRIER};branch=z9hG4bK{cseq}\r\n"
                f"From: <sip:{CARRIER}>;tag=1\r\nTo: <sip:{GATEWAY}>\r\nCall-ID: kept\r\n"
                f"CSeq: {cseq} OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode()
            )
            async with asyncio.timeout(3 * LIMIT):
                answer = await reader.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"SIP/2.0 200 ")
                await silent.read()
        writer.close()
        other.close()
