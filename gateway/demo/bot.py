"""A bot in one file: it speaks with espeak-ng, understands digits, and hands the caller over.

    python gateway/demo/bot.py --port 8765

A WebSocket server of the protocol `switchhook.v1` (docs/bots.md) that imports nothing of the
gateway: copy it to begin a bot of your own. `picows.websockets` has the interface of `websockets`;
with that library installed, the import is all that changes.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import sys
from contextlib import suppress
from typing import Any

import soundfile
import soxr
from picows.websockets import ConnectionClosed, ServerConnection, serve

MENU = (
    "Press 1 for billing. Press 2 for an expert, 3 for our partner,"
    " 4 to go back to where you came from, or 9 to end this call."
)
GREETING = f"Hello, I am the demo bot. {MENU}"
BACK_AGAIN = f"Sorry, I was away for a moment. {MENU}"
UNKNOWN_DIGIT = f"There is nothing behind that digit. {MENU}"
GOODBYE = "It was nice to talk to you. Goodbye."

CONTEXT = {"X-Case": "4711", "User-to-User": "3034373131;encoding=hex"}
"""What the bot learned, for whoever takes the call next (User-to-User: RFC 7433)."""

DECISIONS: dict[str, dict[str, object]] = {
    "1": {"type": "transfer", "target": "billing"},
    "2": {"type": "transfer", "target": "expert", "method": "refer"},
    "3": {"type": "transfer", "target": "partner", "method": "refer"},
    "4": {"type": "transfer", "target": "ivr", "method": "bye", "headers": CONTEXT},
    "9": {"type": "hangup"},
}
"""What each digit makes the bot ask the gateway for."""

WHY = {
    "busy": "the line is busy",
    "no_answer": "nobody answers",
    "declined": "they do not take calls now",
    "server_unavailable": "their system is out of order",
}

log = logging.getLogger("demo bot")


def after_transfer(handover: dict[str, Any]) -> str:
    """What to say when the caller comes back from a transfer."""
    if handover["status"] == "completed":
        return f"Welcome back. {MENU}"
    reason = WHY.get(handover["outcome"], "they cannot be reached")
    return f"I am sorry about {handover['target']}: {reason}. {MENU}"


async def speak(text: str, sample_rate: int) -> bytes:
    """Text as PCM16 little-endian mono."""
    engine = await asyncio.create_subprocess_exec(
        *("espeak-ng", "--stdout", "-v", "en-gb", "-s", "160", text),
        stdout=asyncio.subprocess.PIPE,
    )
    wav, _ = await engine.communicate()
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="int16")
    resampled: bytes = soxr.resample(samples, rate, sample_rate).astype("<i2").tobytes()
    return resampled


class Conversation:
    """One connection of the gateway: one caller, from `start` to `stop`."""

    def __init__(self, websocket: ServerConnection) -> None:
        self._websocket = websocket
        self._sample_rate = 8000
        self._next: dict[str, object] | None = None
        """Sent once the words before it have been heard."""

    async def run(self) -> None:
        """Read frames until the gateway closes the connection."""
        async for frame in self._websocket:
            if isinstance(frame, str):
                await self._receive(json.loads(frame))
            # Binary frames are the caller's voice, 20 ms each: speech recognition would take them.

    async def _receive(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "start":
                self._sample_rate = message["audio"]["sample_rate"]
                log.info("call %s from %s", message["call_id"], message["from"])
                if message["handover"] is not None:
                    await self._say(after_transfer(message["handover"]))
                else:
                    await self._say(BACK_AGAIN if message["reconnected"] else GREETING)
            case "dtmf":
                self._next = None
                await self._send({"type": "clear"})  # the caller does not wait for the menu's end
                await self._decide(message["digit"])
            case "mark" if message["played"] and self._next is not None:
                await self._send(self._next)
            case "error":
                log.warning("%s: %s", message["code"], message["message"])
            case "stop":
                log.info("stopped: %s", message["reason"])

    async def _decide(self, digit: str) -> None:
        decision = DECISIONS.get(digit)
        if decision is None:
            await self._say(UNKNOWN_DIGIT)
        elif decision["type"] == "hangup":
            self._next = decision
            await self._say(GOODBYE)
            await self._send({"type": "mark", "name": "goodbye"})
        else:
            await self._send(decision)  # the flow has the words for a transfer

    async def _say(self, text: str) -> None:
        await self._websocket.send(await speak(text, self._sample_rate))

    async def _send(self, message: dict[str, object]) -> None:
        await self._websocket.send(json.dumps(message))


async def main(address: str, port: int) -> None:
    """Serve conversations until the process is told to end."""

    async def converse(websocket: ServerConnection) -> None:
        with suppress(ConnectionClosed):  # the caller hung up while the bot was about to speak
            await Conversation(websocket).run()

    async with serve(converse, address, port, subprotocols=["switchhook.v1"]):
        log.info("listening on ws://%s:%d", address, port)
        await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="A demo bot for Switchhook.")
    options.add_argument("--address", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8765)
    chosen = options.parse_args()
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    asyncio.run(main(chosen.address, chosen.port))
