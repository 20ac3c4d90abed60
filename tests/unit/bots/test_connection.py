"""The WebSocket to a bot (RFC 6455): whole messages, a bounded outbox, a bounded end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.bots.connect import ConnectError, ConnectFailure, _system_authorities, connect
from gateway.bots.connection import (
    OUTBOX_FRAMES,
    OUTBOX_TEXTS,
    BotConnection,
    Closed,
)
from tests.peers.authority import Authority, Certificate
from tests.unit.bots.bot import DEADLINE, BotTwin, Connection

FRAME = memoryview(bytes(range(160)) * 2)


class Gateway:
    """A `connection.Peer` that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[bytes | str] = []
        self.spoken_to = asyncio.Event()
        self.how: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self.connection: BotConnection | None = None

    def opened(self, connection: BotConnection) -> None:
        self.connection = connection

    def text(self, payload: bytes) -> None:
        self.messages.append(payload.decode())
        self.spoken_to.set()

    def audio(self, payload: bytes) -> None:
        self.messages.append(bytes(payload))

    def closed(self, how: Closed) -> None:
        self.how.set_result(how)

    async def end(self) -> Closed:
        async with asyncio.timeout(DEADLINE):
            return await self.how


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


async def connected(bot: BotTwin, gateway: Gateway) -> tuple[BotConnection, Connection]:
    url = await bot.listen()
    connection = await connect(gateway, url, {}, within=DEADLINE)
    return connection, await bot.accept()


class TestConnecting:
    async def test_headers_and_subprotocol_are_sent(self, bot: BotTwin, gateway: Gateway) -> None:
        url = await bot.listen()
        connection = await connect(gateway, url, {"Authorization": "Bearer s3"}, within=DEADLINE)
        peer = await bot.accept()
        assert peer.websocket.request is not None
        assert peer.websocket.request.headers["Authorization"] == "Bearer s3"
        assert peer.websocket.subprotocol == "switchhook.v1"
        connection.close(b"{}")

    async def test_a_server_of_another_protocol_is_refused(
        self, bot: BotTwin, gateway: Gateway
    ) -> None:
        url = await bot.listen(
            "audio.example", select_subprotocol=lambda _connection, _offered: None
        )
        with pytest.raises(ConnectError) as refused:
            await connect(gateway, url, {}, within=DEADLINE)
        assert refused.value.failure is ConnectFailure.PROTOCOL
        assert "switchhook.v1" in refused.value.message

    async def test_nobody_listens(self, gateway: Gateway) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"ws://127.0.0.1:{unused.getsockname()[1]}/"
            with pytest.raises(ConnectError) as refused:
                await connect(gateway, url, {}, within=DEADLINE)
        assert refused.value.failure is ConnectFailure.FAILED

    async def test_http_says_no(self, bot: BotTwin, gateway: Gateway) -> None:
        url = await bot.listen(
            process_request=lambda connection, _request: connection.respond(403, "no\n")
        )
        with pytest.raises(ConnectError, match="403") as refused:
            await connect(gateway, url, {}, within=DEADLINE)
        assert refused.value.failure is ConnectFailure.FAILED

    async def test_a_silent_server_costs_no_longer_than_the_limit(self, gateway: Gateway) -> None:
        async with silent_server() as (url, hung_up):
            with pytest.raises(ConnectError) as refused:
                await connect(gateway, url, {}, within=0.5)
            assert refused.value.failure is ConnectFailure.TIMEOUT
            await hung_up.wait()

    async def test_a_cancelled_handshake_leaves_no_socket(self, gateway: Gateway) -> None:
        async with silent_server() as (url, hung_up):
            task = asyncio.create_task(connect(gateway, url, {}, within=DEADLINE))
            async with asyncio.timeout(DEADLINE):
                await hung_up.connected.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await hung_up.wait()

    async def test_a_server_that_hangs_up_in_the_handshake(self, gateway: Gateway) -> None:
        async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            with pytest.raises(ConnectError) as refused:
                await connect(gateway, url, {}, within=DEADLINE)
        assert refused.value.failure is ConnectFailure.FAILED


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
        """The one that the system trusts."""
        authority = Authority(tmp_path / "ca")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
        _system_authorities.cache_clear()
        return authority

    @pytest.fixture(autouse=True)
    def the_real_ones_again(self) -> Iterator[None]:
        yield
        _system_authorities.cache_clear()

    async def listen(self, bot: BotTwin, certificate: Certificate) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        return (await bot.listen(ssl=context)).replace("ws:", "wss:")

    async def test_the_systems_authorities_are_read_once_for_all_bots(
        self, bot: BotTwin, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[object] = []

        def make(*arguments: Any, **options: Any) -> ssl.SSLContext:
            made.append(arguments)
            return real(*arguments, **options)

        real = ssl.create_default_context
        monkeypatch.setattr(ssl, "create_default_context", make)
        url = await self.listen(bot, authority.signs("127.0.0.1"))
        for _ in range(3):
            connection = await connect(Gateway(), url, {}, within=DEADLINE)
            connection.close(b"{}")
            await (await bot.accept()).closed()
        assert len(made) == 1

    async def test_a_certificate_for_another_host_is_refused(
        self, bot: BotTwin, gateway: Gateway, authority: Authority
    ) -> None:
        url = await self.listen(bot, authority.signs("127.0.0.2"))
        with pytest.raises(ConnectError, match="IP address mismatch") as refused:
            await connect(gateway, url, {}, within=DEADLINE)
        assert refused.value.failure is ConnectFailure.FAILED

    async def test_a_certificate_that_nobody_known_has_signed_is_refused(
        self, bot: BotTwin, gateway: Gateway, authority: Authority, tmp_path: Path
    ) -> None:
        url = await self.listen(bot, Authority(tmp_path / "other").signs("127.0.0.1"))
        with pytest.raises(ConnectError, match=r"issuer certificate|self-signed"):
            await connect(gateway, url, {}, within=DEADLINE)


class HungUp:
    """What a silent server saw."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self._ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.set()
        while await reader.read(65_536):
            pass
        self._ended.set()
        writer.close()

    async def wait(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self._ended.wait()


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[str, HungUp]]:
    """A TCP server that takes connections and never says a word."""
    seen = HungUp()
    server = await asyncio.start_server(seen.serve, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", seen


class TestMessages:
    async def test_both_ways(self, bot: BotTwin, gateway: Gateway) -> None:
        connection, peer = await connected(bot, gateway)
        connection.send_text(b'{"type": "x"}')
        connection.send_audio(FRAME)
        assert await peer.receive() == {"type": "x"}
        assert await peer.receive_audio() == bytes(FRAME)
        await peer.websocket.send("hello")
        await peer.websocket.send(bytes(FRAME))
        await peer.settle()
        assert gateway.messages == ["hello", bytes(FRAME)]
        connection.close(b"{}")

    async def test_fragments_are_one_message(self, bot: BotTwin, gateway: Gateway) -> None:
        connection, peer = await connected(bot, gateway)
        await peer.websocket.send([b"ab", b"cd", b"ef"])
        await peer.websocket.send(["one ", "word"])
        await peer.settle()
        assert gateway.messages == [b"abcdef", "one word"]
        connection.close(b"{}")

    @pytest.mark.parametrize("fragments", [1, 3])
    async def test_beyond_the_limit_the_connection_is_closed_with_1009(
        self, bot: BotTwin, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, fragments: int
    ) -> None:
        monkeypatch.setattr("gateway.bots.connect.MAX_MESSAGE", 1000)
        monkeypatch.setattr("gateway.bots.connection.MAX_MESSAGE", 1000)
        _connection, peer = await connected(bot, gateway)
        part = bytes(1002 // fragments)
        with contextlib.suppress(Exception):  # the connection may be gone before all is sent
            await peer.websocket.send(part if fragments == 1 else [part] * fragments)
        how = await gateway.end()
        assert (how.code, how.fault) == (1009, True)
        assert gateway.messages == []
        assert (await peer.closed())[0] == 1009

    async def test_reserved_bits_close_it_with_1002(self, bot: BotTwin, gateway: Gateway) -> None:
        _connection, peer = await connected(bot, gateway)
        peer.websocket.transport.write(b"\xf1\x01x")
        how = await gateway.end()
        assert (how.code, how.fault) == (1002, True)
        await peer.closed()

    async def test_a_continuation_of_nothing_closes_it(
        self, bot: BotTwin, gateway: Gateway
    ) -> None:
        _connection, peer = await connected(bot, gateway)
        peer.websocket.transport.write(b"\x80\x01x")
        how = await gateway.end()
        assert (how.code, how.fault) == (1002, True)
        await peer.closed()


class TestPings:
    async def test_they_are_answered(self, bot: BotTwin, gateway: Gateway) -> None:
        connection, peer = await connected(bot, gateway)
        async with asyncio.timeout(DEADLINE):
            await (await peer.websocket.ping(b"there?"))
            await (await peer.websocket.ping(b"and now?"))
        connection.close(b"{}")


class TestEnd:
    @pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (1011, "boom"), (4000, "mine")])
    async def test_the_bots_close_code_is_told(
        self, bot: BotTwin, gateway: Gateway, code: int, reason: str
    ) -> None:
        _connection, peer = await connected(bot, gateway)
        await peer.websocket.close(code, reason)
        assert await gateway.end() == Closed(code, reason, fault=False)

    async def test_a_close_without_a_code_is_1005_and_says_what_to_send(
        self, bot: BotTwin, gateway: Gateway
    ) -> None:
        _connection, peer = await connected(bot, gateway)
        peer.websocket.transport.write(b"\x88\x00")
        how = await gateway.end()
        assert (how.code, how.fault) == (1005, False)
        assert "1000" in how.reason
        await peer.closed()

    async def test_a_lost_connection_is_1006(self, bot: BotTwin, gateway: Gateway) -> None:
        _connection, peer = await connected(bot, gateway)
        peer.websocket.transport.abort()
        assert (await gateway.end()).code == 1006

    async def test_our_close_sends_the_last_word_and_1000(
        self, bot: BotTwin, gateway: Gateway
    ) -> None:
        connection, peer = await connected(bot, gateway)
        connection.close(b'{"type": "stop"}')
        assert await peer.receive() == {"type": "stop"}
        assert (await peer.closed())[0] == 1000
        assert not gateway.how.done()

    async def test_nothing_is_sent_or_told_after_our_close(
        self, bot: BotTwin, gateway: Gateway
    ) -> None:
        connection, peer = await connected(bot, gateway)
        connection.close(b'{"type": "stop"}')
        connection.send_text(b'{"type": "late"}')
        connection.send_audio(FRAME)
        connection.close(b'{"type": "again"}')
        await peer.websocket.send("late too")
        assert await peer.receive() == {"type": "stop"}
        await peer.closed()
        assert gateway.messages == []

    async def test_a_bot_that_does_not_answer_our_close_is_dropped(
        self, bot: BotTwin, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.bots.connection.CLOSE_TIMEOUT", 0.05)
        async with deaf_server() as (url, gone):
            connection = await connect(gateway, url, {}, within=DEADLINE)
            connection.close(b"{}")
            async with asyncio.timeout(DEADLINE):
                await gone.wait()

    async def test_a_bot_that_answers_no_ping_is_gone(
        self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.bots.connect.PING_INTERVAL", 0.05)
        async with deaf_server() as (url, gone):
            await connect(gateway, url, {}, within=DEADLINE)
            how = await gateway.end()
            assert (how.code, how.fault) == (1001, False)
            async with asyncio.timeout(DEADLINE):
                await gone.wait()


@contextlib.asynccontextmanager
async def deaf_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that upgrades, then only notices when its socket is reset."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(
            line.split(": ")[1]
            for line in request.split("\r\n")
            if line.lower().startswith("sec-websocket-key")
        )
        magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1((key + magic).encode()).digest()).decode()  # noqa: S324
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n"
            "Sec-WebSocket-Protocol: switchhook.v1\r\n\r\n".encode()
        )
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", gone


class TestSlowBot:
    """A bot that does not read loses the oldest audio, and costs nobody else anything."""

    async def stall(self, connection: BotConnection, peer: Connection) -> None:
        """Let the bot stop reading, and fill every buffer on the way to it."""
        peer.websocket.transport.pause_reading()
        for _ in range(100_000):
            connection.send_audio(FRAME)
            if connection.frames_dropped:
                return
        raise AssertionError("no frame was dropped")

    async def test_the_oldest_frames_are_dropped_and_counted(
        self, bot: BotTwin, gateway: Gateway
    ) -> None:
        connection, peer = await connected(bot, gateway)
        await self.stall(connection, peer)
        for number in range(OUTBOX_FRAMES):
            connection.send_audio(memoryview(number.to_bytes(2, "little") * 160))
        assert connection.frames_dropped == 1 + OUTBOX_FRAMES
        peer.websocket.transport.resume_reading()
        frame = await peer.receive_audio()
        while frame == bytes(FRAME):
            frame = await peer.receive_audio()
        newest = [frame] + [await peer.receive_audio() for _ in range(OUTBOX_FRAMES - 1)]
        assert [int.from_bytes(frame[:2], "little") for frame in newest] == list(
            range(OUTBOX_FRAMES)
        )
        connection.close(b"{}")

    async def test_text_is_kept_in_order_and_not_dropped(
        self, bot: BotTwin, gateway: Gateway
    ) -> None:
        connection, peer = await connected(bot, gateway)
        await self.stall(connection, peer)
        for number in range(OUTBOX_TEXTS):
            connection.send_text(b'{"n": %d}' % number)
        peer.websocket.transport.resume_reading()
        assert [(await peer.receive())["n"] for _ in range(OUTBOX_TEXTS)] == list(
            range(OUTBOX_TEXTS)
        )
        connection.close(b"{}")
        await peer.closed()

    async def test_a_bot_that_leaves_too_much_text_unread_is_gone(
        self, bot: BotTwin, gateway: Gateway
    ) -> None:
        connection, peer = await connected(bot, gateway)
        await self.stall(connection, peer)
        for number in range(OUTBOX_TEXTS + 1):
            connection.send_text(b'{"n": %d}' % number)
        how = await gateway.end()
        assert (how.code, how.fault) == (1006, False)
        peer.websocket.transport.resume_reading()
        await peer.closed()

    async def test_of_pings_that_it_sends_meanwhile_the_latest_is_answered(
        self, bot: BotTwin, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """RFC 6455 section 5.5.3: so their answers fill no memory."""
        connection, peer = await connected(bot, gateway)
        await self.stall(connection, peer)
        answered: list[bytes] = []
        monkeypatch.setattr(peer.websocket, "acknowledge_pings", answered.append)
        peer.websocket.transport.write(b"\x89\x7d" + bytes(125))
        peer.websocket.transport.write(b"\x89\x06latest\x81\x03end")
        async with asyncio.timeout(DEADLINE):
            await gateway.spoken_to.wait()
        connection.send_text(b'{"after": "the pong"}')
        peer.websocket.transport.resume_reading()
        await peer.receive()
        assert answered == [b"latest"]
        connection.close(b"{}")

    async def test_another_bot_is_not_affected(self, bot: BotTwin, gateway: Gateway) -> None:
        slow, stalled = await connected(bot, gateway)
        await self.stall(slow, stalled)
        other, peer = await connected(bot, Gateway())
        other.send_audio(FRAME)
        assert await peer.receive_audio() == bytes(FRAME)
        assert other.frames_dropped == 0
        other.close(b"{}")
        slow.abort()
        stalled.websocket.transport.abort()
