"""The bot of the media measurement: sends every frame back, and notes when each number came."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import picows
import uvloop

from bench.numbered import Reader
from bench.rtp_load import raise_priority
from gateway.bots.messages import SUBPROTOCOL


@dataclass
class Arrivals:
    """What one call's frames looked like here."""

    numbers: array[int] = field(default_factory=lambda: array("i"))
    times: array[float] = field(default_factory=lambda: array("d"))
    """Monotonic seconds, beside `numbers`."""
    reader: Reader = field(default_factory=Reader)


class _Echo(picows.WSListener):
    def __init__(self, calls: dict[int, Arrivals]) -> None:
        self._calls = calls
        self._arrivals = Arrivals()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.BINARY:
            now = time.monotonic()
            audio = frame.get_payload_as_bytes()
            transport.send(picows.WSMsgType.BINARY, audio)
            if found := self._arrivals.reader.pcm(audio, now):
                self._arrivals.numbers.append(found[0])
                self._arrivals.times.append(found[1])
        elif frame.msg_type == picows.WSMsgType.TEXT:
            message = json.loads(frame.get_payload_as_utf8_text())
            if message["type"] == "start":
                # The load's callers are numbered: sip:17@…
                caller = message["from"].partition(":")[2].partition("@")[0]
                self._calls[int(caller)] = self._arrivals
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()


def serve(port: int, pipe: Connection) -> None:
    """The bot's process: `ready`, then until told to `stop`, then its arrivals by caller."""

    raise_priority()

    async def run() -> None:
        calls: dict[int, Arrivals] = {}

        def accept(request: picows.WSUpgradeRequest) -> picows.WSUpgradeResponseWithListener:
            answer = picows.WSUpgradeResponse.create_101_response(
                extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL}
            )
            return picows.WSUpgradeResponseWithListener(answer, _Echo(calls))

        server = await picows.ws_create_server(accept, "127.0.0.1", port)
        pipe.send("ready")
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        server.close()
        pipe.send(calls)

    uvloop.run(run())
