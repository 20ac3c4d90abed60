"""The bot of Asterisk's calls: over AudioSocket, it sends every frame back."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from bench.load import raise_priority
from bench.numbered import SAMPLES
from tests.e2e.world import GATEWAY

_AUDIO, _HEADER = 0x10, 3
"""AudioSocket: one byte of kind, two of length, the payload."""


class _Echo(asyncio.Protocol):
    """One call of AudioSocket. It speaks first, so that the caller's audio finds its way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._received = bytearray()
        silence = bytes(2 * SAMPLES)
        self._transport.write(bytes([_AUDIO]) + len(silence).to_bytes(2, "big") + silence)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        while len(received) >= _HEADER:
            end = _HEADER + int.from_bytes(received[1:_HEADER], "big")
            if len(received) < end:
                return
            if received[0] == _AUDIO:
                self._transport.write(bytes(received[:end]))
            del received[:end]


def serve(port: int, pipe: Connection) -> None:
    """The bot's process: `ready`, then until told to `stop`."""
    raise_priority()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Echo, GATEWAY, port)
        pipe.send("ready")
        await loop.run_in_executor(None, pipe.recv)
        server.close()

    uvloop.run(run())
