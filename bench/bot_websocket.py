"""Which WebSocket client carries bot audio: CPU per 20 ms frame, picows against websockets.

One client process holds SESSIONS connections and sends one 320-byte frame on each every 20 ms;
an echo server in another process sends every frame back. The CPU counted is the client's alone.

    python -m bench.bot_websocket [--sessions 100] [--seconds 10]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection

import picows
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bench.bot_server import BotCall, listening
from bench.load import beside
from gateway.bots.messages import SUBPROTOCOL
from tests.e2e.world import GATEWAY
from tests.peers import network

FRAME = bytes(range(160)) * 2
"""20 ms of PCM16 at 8 kHz; what it sounds like does not matter."""

OFFERED = {"Sec-WebSocket-Protocol": SUBPROTOCOL}

TICK = 0.02
"""Seconds that a frame lasts."""


@dataclass
class Received:
    """Frames that came back; shared by all sessions of a run."""

    frames: int = 0


class _Echo(BotCall):
    def on_audio(self, transport: picows.WSTransport, frame: bytes) -> None:
        transport.send(picows.WSMsgType.BINARY, frame)


def serve(port: int, pipe: Connection) -> None:
    """The echo server's process: `ready`, then until it is ended."""

    async def run() -> None:
        await listening(port, _Echo)
        pipe.send("ready")
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)

    uvloop.run(run())


async def ticks(seconds: float, send_all: Callable[[], Awaitable[None]]) -> tuple[float, int]:
    """Call `send_all` every 20 ms; return the CPU seconds used and the number of ticks."""
    loop = asyncio.get_running_loop()
    count = round(seconds / TICK)
    begin, cpu = loop.time(), time.process_time()
    for tick in range(count):
        await send_all()
        await asyncio.sleep(max(0.0, begin + (tick + 1) * TICK - loop.time()))
    return time.process_time() - cpu, count


async def with_picows(url: str, sessions: int, seconds: float) -> tuple[float, int, int]:
    """Seconds of CPU, frames sent, and frames that came back."""
    received = Received()

    class Client(picows.WSListener):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            frame.get_payload_as_memoryview()
            received.frames += 1

    transports = [
        (await picows.ws_connect(Client, url, extra_headers=OFFERED))[0] for _ in range(sessions)
    ]
    binary = picows.WSMsgType.BINARY

    async def send_all() -> None:
        for transport in transports:
            transport.send(binary, FRAME)

    cpu, count = await ticks(seconds, send_all)
    for transport in transports:
        transport.disconnect()
    return cpu, count * sessions, received.frames


async def with_websockets(url: str, sessions: int, seconds: float) -> tuple[float, int, int]:
    """The same of the other library."""
    received = Received()

    async def read(connection: ClientConnection) -> None:
        async for _frame in connection:
            received.frames += 1

    connections = [
        await connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None)
        for _ in range(sessions)
    ]
    readers = [asyncio.create_task(read(connection)) for connection in connections]

    async def send_all() -> None:
        for connection in connections:
            await connection.send(FRAME)

    cpu, count = await ticks(seconds, send_all)
    for connection in connections:
        await connection.close()
    await asyncio.gather(*readers)
    return cpu, count * sessions, received.frames


async def measured(sessions: int, seconds: float) -> None:
    """Measure both, one after the other, and print a table."""
    print(f"{sessions} sessions, {seconds:g} s, 20 ms frames of {len(FRAME)} bytes")
    print(f"{'client':24}{'sent':>9}{'back':>9}{'us/frame':>10}{'% core/session':>16}")
    port = network.free_port(GATEWAY)
    async with beside(serve, port):
        for name, run in (("picows", with_picows), ("websockets", with_websockets)):
            cpu, sent, back = await run(f"ws://{GATEWAY}:{port}/", sessions, seconds)
            per_frame = cpu / (sent + back) * 1e6
            per_session = cpu / seconds / sessions * 100
            client = f"{name} {version(name)}"
            print(f"{client:24}{sent:>9}{back:>9}{per_frame:>10.2f}{per_session:>16.3f}")


def main() -> None:
    """Take the sizes from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.bot_websocket", description=__doc__)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    uvloop.run(measured(given.sessions, given.seconds))


if __name__ == "__main__":
    main()
