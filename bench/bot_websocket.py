"""Which WebSocket client carries bot audio: CPU per 20 ms frame, picows against websockets.

One client process holds SESSIONS connections and sends one 320-byte frame on each every 20 ms;
an echo server in another process sends every frame back. The CPU counted is the client's alone.

    python bench/bot_websocket.py [--sessions 100] [--seconds 10]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection

import picows
import uvloop
import websockets.asyncio.client

FRAME = bytes(range(160)) * 2
"""20 ms of PCM16 at 8 kHz; what it sounds like does not matter."""

TICK = 0.02
"""Seconds that a frame lasts."""


@dataclass
class Received:
    """Frames that came back; shared by all sessions of a run."""

    frames: int = 0


class Echo(picows.WSListener):
    """The server's side: every frame goes back as it came."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
        else:
            transport.send(picows.WSMsgType.BINARY, frame.get_payload_as_memoryview())


def serve(pipe: Connection) -> None:
    """The echo server's process: its port, then until told to end."""

    async def main() -> None:
        server = await picows.ws_create_server(lambda _request: Echo(), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        server.close()

    uvloop.run(main())


async def ticks(seconds: float, send_all: Callable[[], Awaitable[None]]) -> tuple[float, int]:
    """Call `send_all` every 20 ms; return the CPU seconds used and the number of ticks."""
    loop = asyncio.get_running_loop()
    count = round(seconds / TICK)
    begin, cpu = loop.time(), time.process_time()
    for tick in range(count):
        await send_all()
        await asyncio.sleep(max(0.0, begin + (tick + 1) * TICK - loop.time()))
    return time.process_time() - cpu, count


async def with_picows(port: int, sessions: int, seconds: float) -> tuple[float, int, int]:
    """Seconds of CPU, frames sent, and frames that came back."""
    received = Received()

    class Client(picows.WSListener):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            frame.get_payload_as_memoryview()
            received.frames += 1

    transports = [
        (await picows.ws_connect(Client, f"ws://127.0.0.1:{port}/"))[0] for _ in range(sessions)
    ]
    binary = picows.WSMsgType.BINARY

    async def send_all() -> None:
        for transport in transports:
            transport.send(binary, FRAME)

    cpu, count = await ticks(seconds, send_all)
    for transport in transports:
        transport.disconnect()
    return cpu, count * sessions, received.frames


async def with_websockets(port: int, sessions: int, seconds: float) -> tuple[float, int, int]:
    """The same of the other library."""
    received = Received()

    async def read(connection: websockets.asyncio.client.ClientConnection) -> None:
        async for _frame in connection:
            received.frames += 1

    connections = [
        await websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}/", compression=None)
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


def main() -> None:
    """Measure both, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()

    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    print(f"{args.sessions} sessions, {args.seconds:g} s, 20 ms frames of {len(FRAME)} bytes")
    print(f"{'client':24}{'sent':>9}{'back':>9}{'us/frame':>10}{'% core/session':>16}")
    for name, run in (
        ("picows", with_picows),
        ("websockets", with_websockets),
    ):
        cpu, sent, back = uvloop.run(run(port, args.sessions, args.seconds))
        per_frame = cpu / (sent + back) * 1e6
        per_session = cpu / args.seconds / args.sessions * 100
        client = f"{name} {version(name)}"
        print(f"{client:24}{sent:>9}{back:>9}{per_frame:>10.2f}{per_session:>16.3f}")
    ours.send("end")
    server.join(5)


if __name__ == "__main__":
    main()
