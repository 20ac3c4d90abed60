"""Reaching a bot: name, TCP, TLS, WebSocket upgrade and subprotocol, within one limit of time."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from urllib.parse import urlsplit

import picows

from gateway.bots.connection import MAX_MESSAGE, BotConnection, Peer
from gateway.bots.messages import SUBPROTOCOL

SEND_BUFFER = 32 * 1024
"""Bytes asked of the kernel per socket: about 2 s at 8 kHz. Left alone it would grow to megabytes,
and a bot that fell behind would hear the caller minutes late."""

PING_INTERVAL = 10.0
"""Seconds without a frame from the bot until it is pinged, and as many for its pong."""

_SILENT = logging.getLogger("switchhook.bots.picows")
_SILENT.setLevel(logging.CRITICAL + 1)  # what picows finds wrong is told by `Peer.closed`


class ConnectFailure(StrEnum):
    """Why there is no connection: slugs of `ivr.ports.BotFailed`."""

    FAILED = "connect_failed"
    TIMEOUT = "connect_timeout"
    PROTOCOL = "protocol_error"


class ConnectError(Exception):
    """The bot could not be reached, or is no `switchhook.v1` server."""

    def __init__(self, failure: ConnectFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message


async def connect(peer: Peer, url: str, headers: Mapping[str, str], within: float) -> BotConnection:
    """Connect to a bot, `within` so many seconds for name, TCP, TLS and upgrade together.

    Raises:
        ConnectError: it cannot be reached in time, or does not speak `switchhook.v1`.
    """
    dialled: list[socket.socket] = []

    async def dial(parsed: picows.WSParsedURL) -> socket.socket:
        dialled.append(await _tcp(parsed.host, parsed.port))
        return dialled[0]

    def upgraded(
        _request: picows.WSUpgradeRequest, response: picows.WSUpgradeResponse
    ) -> BotConnection:
        agreed = response.headers.get("Sec-WebSocket-Protocol")
        if agreed != SUBPROTOCOL:
            raise ConnectError(
                ConnectFailure.PROTOCOL,
                f"the bot agreed to subprotocol {agreed!r}; it must answer with {SUBPROTOCOL!r}",
            )
        return BotConnection(peer)

    try:
        async with asyncio.timeout(within):
            _transport, connection = await picows.ws_connect(
                upgraded,
                url,
                ssl_context=await _trust() if urlsplit(url).scheme == "wss" else None,
                extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL, **headers},
                socket_factory=dial,
                max_frame_size=MAX_MESSAGE,
                max_redirects=0,
                logger_name=_SILENT,
                websocket_handshake_timeout=None,
                enable_auto_pong=False,
                enable_auto_ping=True,
                auto_ping_idle_timeout=PING_INTERVAL,
                auto_ping_reply_timeout=PING_INTERVAL,
            )
    except TimeoutError:
        _hang_up(dialled)
        raise ConnectError(ConnectFailure.TIMEOUT, f"no connection within {within:g} s") from None
    except picows.WSHandshakeError as refused:
        raise ConnectError(ConnectFailure.FAILED, str(refused)) from refused
    except OSError as unreachable:
        raise ConnectError(ConnectFailure.FAILED, str(unreachable)) from unreachable
    except BaseException:
        _hang_up(dialled)
        raise
    if not isinstance(connection, BotConnection):
        raise ConnectError(ConnectFailure.FAILED, "the bot closed the connection in its handshake")
    return connection


async def _trust() -> ssl.SSLContext:
    return await asyncio.to_thread(_system_authorities)


@cache
def _system_authorities() -> ssl.SSLContext:
    """The system's certificate authorities. They take 30 ms to read: one context is for all."""
    return ssl.create_default_context()


async def _tcp(host: str, port: int) -> socket.socket:
    """Connect to the first address of `host` that answers."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, proto, _name, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        dialled = socket.socket(family, kind, proto)
        try:
            dialled.setblocking(False)
            dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            dialled.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            await loop.sock_connect(dialled, address)
        except OSError as error:
            dialled.close()
            failure = error
        except BaseException:
            dialled.close()
            raise
        else:
            return dialled
    raise failure


def _hang_up(dialled: list[socket.socket]) -> None:
    """End a connection whose handshake was given up: its transport sees the end of stream."""
    for given_up in dialled:
        try:
            given_up.shutdown(socket.SHUT_RDWR)
        except OSError:
            given_up.close()
