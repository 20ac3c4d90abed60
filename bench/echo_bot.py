"""The bot of the media measurement: sends every frame back, and notes when each number came."""

from __future__ import annotations

import asyncio
import time
from multiprocessing.connection import Connection

import picows
import uvloop

from bench.arrivals import Arrivals
from bench.bot_server import BotCall, listening
from bench.load import raise_priority


class _Echo(BotCall):
    def __init__(self, calls: dict[int, Arrivals]) -> None:
        self._calls = calls
        self._arrivals = Arrivals()

    def on_start(self, _: picows.WSTransport, caller: str) -> None:
        self._calls[int(caller)] = self._arrivals

    def on_audio(self, transport: picows.WSTransport, frame: bytes) -> None:
        now = time.monotonic()
        transport.send(picows.WSMsgType.BINARY, frame)
        self._arrivals.take_pcm(frame, now)


def serve(port: int, pipe: Connection) -> None:
    """The bot's process: `ready`, then until told to `stop`, then its arrivals by caller."""
    raise_priority()

    async def run() -> None:
        calls: dict[int, Arrivals] = {}
        server = await listening(port, lambda: _Echo(calls))
        pipe.send("ready")
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        server.close()
        pipe.send(calls)

    uvloop.run(run())
