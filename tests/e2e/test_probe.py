"""`switchhook trunk probe`: what a trunk's peer takes, over UDP, TCP and TLS (RFC 3261 11)."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sip.faulty import wording
from sip.faulty.peer import FaultyPeer
from sip.faulty.steps import Behaviour, Reply
from sip.message import Message
from tests.e2e.process import SWITCHHOOK
from tests.e2e.world import GATEWAY, PBX, World
from tests.peers import network
from tests.peers.authority import Authority

LIMIT = 30.0

TELLS = (
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS",
    "Supported: timer, replaces",
    "Server: sbc/7",
    "Content-Type: application/sdp",
)

Probe = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    """Runs the command, with `trunk` merged into the settings of the trunk `pbx`."""
    own = Authority(tmp_path / "own").signs(GATEWAY)
    files = {"certificate": str(own.certificate), "key": str(own.key)}
    listen = [
        {"transport": "udp", "address": GATEWAY, "port": 0},
        {"transport": "tcp", "address": GATEWAY, "port": 0},
        {"transport": "tls", "address": GATEWAY, "port": 0, "tls": files},
    ]
    world = World(tmp_path / "world", settings={"sip": {"listen": listen}})

    async def run(*arguments: str, **trunk: object) -> subprocess.CompletedProcess[str]:
        world.settings["trunks"] = {"pbx": trunk}
        if not world.configuration.exists():
            world.write()
        command = (SWITCHHOOK, "trunk", "probe", "pbx", *arguments, "-c", str(world.configuration))
        return await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=LIMIT, check=False
        )

    return run


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = Message((await reader.readuntil(b"\r\n\r\n")).decode())
    writer.write(b"\r\n\r\n")  # a keep-alive (RFC 5626 section 4.4.1) before the answer
    body = wording.sdp(PBX, 4000)
    writer.write(wording.response(request, 200, "OK", tag="a", headers=TELLS, body=body).encode())
    await writer.drain()
    writer.close()


@pytest.fixture
async def listen() -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Starts a peer that answers one OPTIONS over TCP, or TLS where it has a context."""
    servers: list[asyncio.Server] = []

    async def start(context: ssl.SSLContext | None = None) -> int:
        port = network.free_port(PBX)
        servers.append(await asyncio.start_server(_answer, PBX, port, ssl=context))
        return port

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


class TestOverUdp:
    async def test_what_is_allowed_is_told(self, probe: Probe) -> None:
        async with FaultyPeer(PBX) as peer:
            result = await probe(proxy=f"sip:{PBX}:{peer.port}")
            assert [message.method for message in peer.strays] == ["OPTIONS"]
        assert result.returncode == 0, result.stderr
        assert "OPTIONS: 200 OK after" in result.stdout
        assert "REFER      yes" in result.stdout
        assert "Replaces   not told" in result.stdout

    async def test_a_call_is_taken_back_as_soon_as_it_rings(self, probe: Probe) -> None:
        ringing = Behaviour(invite=(Reply(100), Reply(183, sdp=True)))
        async with FaultyPeer(PBX, behaviour=ringing) as peer:
            proxy = f"sip:{PBX}:{peer.port}"
            result = await probe("--call", "+493012345", proxy=proxy)
            assert [len(peer.received(what)) for what in ("INVITE", "CANCEL", "ACK")] == [1, 1, 1]
        assert "INVITE to +493012345, taken back: 487 Request Terminated" in result.stdout
        assert "codecs     PCMU/8000, PCMA/8000" in result.stdout

    async def test_a_call_that_is_answered_at_once_is_ended(self, probe: Probe) -> None:
        hasty = Behaviour(invite=(Reply(200, sdp=True),))
        async with FaultyPeer(PBX, behaviour=hasty) as peer:
            await probe("--call", "+493012345", proxy=f"sip:{PBX}:{peer.port}")
            (call,) = peer.calls.values()
            await call.finished(within=LIMIT)
            assert len(peer.received("BYE")) == 1

    async def test_a_number_outside_the_rules_is_not_called(self, probe: Probe) -> None:
        async with FaultyPeer(PBX) as peer:
            result = await probe("--call", "+90066", proxy=f"sip:{PBX}:{peer.port}")
            assert peer.received("INVITE") == []
        assert result.returncode == 2
        assert "matches nothing of `allow`" in result.stderr

    @pytest.mark.parametrize(
        ("number", "trunk", "said"),
        [
            ("++1", {}, "--call ++1: is not an E.164 number. Write one such as `+493012345`"),
            ("+493012345", {"allow": ["+44*"]}, "matches nothing of `trunks.pbx.allow`"),
        ],
    )
    async def test_the_trunks_own_rules_hold(
        self, probe: Probe, number: str, trunk: dict[str, Any], said: str
    ) -> None:
        async with FaultyPeer(PBX) as peer:
            result = await probe("--call", number, proxy=f"sip:{PBX}:{peer.port}", **trunk)
            assert peer.received("INVITE") == []
        assert result.returncode == 2
        assert said in result.stderr
        assert "Traceback" not in result.stderr

    async def test_a_number_is_dialled_as_the_trunk_writes_it(self, probe: Probe) -> None:
        numbers = {"country": "49", "sends": "national"}
        async with FaultyPeer(PBX) as peer:
            await probe("--call", "+493012345", proxy=f"sip:{PBX}:{peer.port}", numbers=numbers)
            (invite,) = peer.received("INVITE")
        assert invite.start_line.startswith("INVITE sip:03012345@")

    async def test_nobody_there(self, probe: Probe) -> None:
        result = await probe(proxy=f"sip:{PBX}:{network.free_port(PBX)}")
        assert result.returncode == 1
        assert "nothing listens on that UDP port" in result.stderr


class TestOverTcpAndTls:
    async def test_over_tcp(self, probe: Probe, listen: Callable[..., Awaitable[int]]) -> None:
        result = await probe(proxy=f"sip:{PBX}:{await listen()};transport=tcp")
        assert result.returncode == 0, result.stderr
        assert "agent      sbc/7" in result.stdout
        assert "REFER      no" in result.stdout
        assert "reach targets over this trunk by `invite`" in result.stdout

    async def test_over_tls_the_certificate_is_told(
        self, probe: Probe, listen: Callable[..., Awaitable[int]], tmp_path: Path
    ) -> None:
        authority = Authority(tmp_path / "ca")
        context = _server(authority)
        port = await listen(context)
        tls = {"ca": str(authority.file)}
        result = await probe(proxy=f"sip:{PBX}:{port};transport=tls", tls=tls)
        assert result.returncode == 0, result.stderr
        assert "TLSv1." in result.stdout
        assert f"for {PBX}" in result.stdout

    async def test_a_certificate_of_an_unknown_authority_is_refused(
        self, probe: Probe, listen: Callable[..., Awaitable[int]], tmp_path: Path
    ) -> None:
        context = _server(Authority(tmp_path / "theirs"))
        tls = {"ca": str(Authority(tmp_path / "ours").file)}
        port = await listen(context)
        result = await probe(proxy=f"sip:{PBX}:{port};transport=tls", tls=tls)
        assert result.returncode == 1
        assert "the peer's certificate is not accepted" in result.stderr


def _server(authority: Authority) -> ssl.SSLContext:
    signed = authority.signs(PBX)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed.certificate, signed.key)
    return context
