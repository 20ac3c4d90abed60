"""The bot's side of a conversation: a real WebSocket server whose connections the test holds."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

DEADLINE = 10.0
"""Seconds after which a test that waits for something has failed. No test is decided by it."""


class Connection:
    """The bot's end of one connection."""

    def __init__(self, websocket: ServerConnection) -> None:
        self.websocket = websocket

    async def receive(self) -> dict[str, Any]:
        """The next text frame; audio before it is skipped."""
        async with asyncio.timeout(DEADLINE):
            while True:
                frame = await self.websocket.recv()
                if isinstance(frame, str):
                    message = json.loads(frame)
                    assert isinstance(message, dict)
                    return message

    async def receive_audio(self) -> bytes:
        """The next frame, which must be audio."""
        async with asyncio.timeout(DEADLINE):
            frame = await self.websocket.recv()
        assert isinstance(frame, bytes)
        return frame

    async def send(self, *messages: object) -> None:
        for message in messages:
            await self.websocket.send(json.dumps(message))

    async def settle(self) -> None:
        """Return once the gateway has worked off everything sent so far."""
        async with asyncio.timeout(DEADLINE):
            await (await self.websocket.ping())

    async def closed(self) -> tuple[int | None, str | None]:
        """Read to the connection's end; the close code and reason that the gateway sent."""
        async with asyncio.timeout(DEADLINE):
            with suppress(ConnectionClosed):
                while True:
                    await self.websocket.recv()
            await self.websocket.wait_closed()
        return self.websocket.close_code, self.websocket.close_reason


class BotTwin:
    """A `switchhook.v1` server on ports of its own."""

    def __init__(self) -> None:
        self._connections: asyncio.Queue[Connection] = asyncio.Queue()
        self._servers: list[Server] = []

    async def listen(self, subprotocol: str = "switchhook.v1", **options: Any) -> str:
        """Start listening; returns the URL."""
        server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol(subprotocol)],
            ping_interval=None,
            **options,
        )
        self._servers.append(server)
        return f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/bot"

    async def accept(self) -> Connection:
        """The next connection of the gateway."""
        async with asyncio.timeout(DEADLINE):
            return await self._connections.get()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()

    async def _serve(self, websocket: ServerConnection) -> None:
        await self._connections.put(Connection(websocket))
        await websocket.wait_closed()
