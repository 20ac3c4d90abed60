"""A bot that does what the test says: a WebSocket server of `switchhook.v1` in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from sip.audio import Pcm
from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import TONES, Heard, analyse, tone_name
from tests.e2e.world import CALLER_TONE, GATEWAY, World
from tests.peers import network

RECEIVE_BUFFER = 16 * 1024
"""Bytes that the kernel keeps of what a bot does not read; left alone, minutes of audio."""


class Conversation:
    """One connection of the gateway."""

    def __init__(self, socket: ServerConnection) -> None:
        self.start: dict[str, Any] = {}
        self.messages: list[dict[str, Any]] = []
        """Everything received but `start`, in order."""
        self.echo = False
        """Send the caller's audio back."""
        self.audio = bytearray()
        """The caller's audio so far, PCM16."""
        self.more_audio = asyncio.Event()
        """Set by each frame; whoever waits for one clears it before."""
        self.frame_sizes: set[int] = set()
        self.reading = asyncio.Event()
        """While it is clear, this bot reads nothing: what comes fills the buffers between."""
        self.reading.set()
        self.closed = asyncio.Event()
        self._claimed: list[int] = []
        self._socket = socket
        self._ready = asyncio.Event()
        self._news = asyncio.Condition()

    async def expect(
        self, kind: str, within: float = network.PATIENCE, **fields: Any
    ) -> dict[str, Any]:
        """The first message of this type with these fields that was not given out before."""

        def found() -> int | None:
            for index, message in enumerate(self.messages):
                wanted = {"type": kind, **fields}.items()
                if index not in self._claimed and all(pair in message.items() for pair in wanted):
                    return index
            return None

        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: found() is not None or self.closed.is_set())
        except TimeoutError:
            pass
        index = found()
        assert index is not None, f"no {kind} {fields} within {within} s, but: {self.messages}"
        self._claimed.append(index)
        return self.messages[index]

    async def send(self, kind: str, **fields: Any) -> None:
        """A command to the gateway."""
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def say(self, pcm: Pcm) -> None:
        """Audio to the caller, all at once."""
        await self._socket.send(pcm.samples)

    async def hears(self, hertz: int, seconds: float = 0.3) -> None:
        """Wait until so much of a tone has come from the caller."""

        await network.until(
            lambda: self.heard().seconds_of(hertz) >= seconds, f"the bot hears {tone_name(hertz)}"
        )

    def heard(self, tones: Sequence[int] = TONES) -> Heard:
        """What has come from the caller so far, told by these tones."""
        samples = np.frombuffer(bytes(self.audio[: len(self.audio) // 2 * 2]), "<i2") / 32768
        return analyse(samples, self.rate, tones)

    async def break_off(self) -> None:
        """Drop the connection without a closing handshake."""
        self._socket.transport.abort()
        await self.closed.wait()

    async def close(self) -> None:
        """End the session in good order."""
        await self._socket.close()

    @property
    def rate(self) -> int:
        """Samples per second."""
        rate: int = self.start["audio"]["sample_rate"]
        return rate

    async def _run(self) -> None:
        try:
            async for frame in self._socket:
                await self.reading.wait()
                if isinstance(frame, bytes):
                    self.frame_sizes.add(len(frame))
                    self.audio += frame
                    self.more_audio.set()
                    if self.echo:
                        await self._socket.send(frame)
                    continue
                message = json.loads(frame)
                if message["type"] == "start" and not self._ready.is_set():
                    self.start = message
                    self._ready.set()
                    continue
                async with self._news:
                    self.messages.append(message)
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()
            async with self._news:
                self._news.notify_all()


class ScriptedBot:
    """Takes the gateway's connections; the test asks for them one by one."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Conversation] = asyncio.Queue()
        self._server: Server | None = None

    async def start(self, port: int) -> None:
        """Listen."""
        spoken = [Subprotocol("switchhook.v1")]
        self._server = await serve(self._take, GATEWAY, port, subprotocols=spoken, compression=None)
        for listening in self._server.sockets:  # its connections inherit it
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    async def stop(self) -> None:
        """Drop every connection and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def conversation(self, within: float = network.PATIENCE) -> Conversation:
        """The next connection, once it has had its `start`."""
        try:
            async with asyncio.timeout(within):
                talk = await self._waiting.get()
                await talk._ready.wait()
                return talk
        except TimeoutError:
            raise AssertionError(f"no conversation began within {within} s") from None

    async def _take(self, socket: ServerConnection) -> None:
        talk = Conversation(socket)
        self._waiting.put_nowait(talk)
        with contextlib.suppress(ConnectionClosed):
            await talk._run()


async def calls_bot(
    world: World,
    caller: Softphone,
    bot: ScriptedBot,
    record: Path | None = None,
    *,
    number: str = "100",
) -> Conversation:
    """A caller in conversation with the bot."""
    await caller.send(
        commands.Dial(call="a", to=world.number(number), tone=CALLER_TONE, record=record)
    )
    talk = await bot.conversation()
    await caller.expect("confirmed", "a")
    return talk


async def hang_up(caller: Softphone) -> None:
    """The caller's end of it."""
    await caller.send(commands.HangUp(call="a"))
    await caller.expect("disconnected", "a")
