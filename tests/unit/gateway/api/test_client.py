"""What the command line makes of whoever listens where the gateway's API should be."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from config.secrets import Secret
from config.settings import Api, ApiKey
from gateway.api import client

Listen = Callable[[bytes], Api]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Starts a server that answers every request with these octets, or never where there are
    none."""
    servers: list[socket.socket] = []
    kept: list[socket.socket] = []

    def serve(server: socket.socket, answer: bytes) -> None:
        with suppress(OSError):
            while True:
                taken, _ = server.accept()
                kept.append(taken)
                if answer:
                    asked.append(taken.recv(65_536))
                    taken.sendall(answer)
                    taken.close()

    def start(answer: bytes) -> Api:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=serve, args=(server, answer), daemon=True).start()
        return Api(port=server.getsockname()[1])

    asked.clear()
    yield start
    for server in (*servers, *kept):
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


asked: list[bytes] = []
"""What the servers were asked."""

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert client.live_calls(Api(port=port)) == []
    assert client.trunk_states(Api(port=port)) is None


@pytest.mark.parametrize("answer", [PAGE, b"220 mail.example.com ESMTP\r\n"])
def test_somebody_else_listens(listen: Listen, answer: bytes) -> None:
    api = listen(answer)
    for ask in (client.live_calls, client.trunk_states):
        with pytest.raises(client.ApiRefused, match=rf"127\.0\.0\.1:{api.port} is no gateway"):
            ask(api)


def test_a_gateway_that_does_not_answer(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs: what it knows must not be changed behind its back."""
    monkeypatch.setattr(client, "TIMEOUT", 0.05)
    with pytest.raises(client.ApiRefused, match=r"does not answer within 0\.05 s"):
        client.forget_capabilities(listen(b""), "carrier")


def test_a_key_beyond_ascii_is_sent_as_utf_8(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_KEY", "schlüssel")
    keys = [ApiKey(name="desk", secret=Secret(env="DESK_KEY"))]
    api = listen(PAGE).model_copy(update={"keys": keys})
    with pytest.raises(client.ApiRefused):
        client.live_calls(api)
    assert "X-API-Key: schlüssel\r\n".encode() in asked[0]
