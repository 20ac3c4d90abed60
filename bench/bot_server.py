"""A bot's end of the WebSocket (docs/bots.md), as far as the measurements need it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import picows

from gateway.bots.messages import SUBPROTOCOL
from tests.e2e.world import GATEWAY


class BotCall(picows.WSListener):
    """One call with the bot."""

    def on_start(self, transport: picows.WSTransport, caller: str) -> None:
        """The call begins; `caller` is the user part of its From, which counts the load's calls."""

    def on_audio(self, transport: picows.WSTransport, frame: bytes) -> None:
        """20 ms of PCM16 from the caller."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Called by picows."""
        if frame.msg_type == picows.WSMsgType.BINARY:
            self.on_audio(transport, frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.TEXT:
            message = json.loads(frame.get_payload_as_utf8_text())
            if message["type"] == "start":
                self.on_start(transport, message["from"].partition(":")[2].partition("@")[0])
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()


async def listening(port: int, made: Callable[[], BotCall]) -> asyncio.Server:
    """The bot, at this port where the gateway expects it; `made` for each call."""

    def accept(_: picows.WSUpgradeRequest) -> picows.WSUpgradeResponseWithListener:
        answer = picows.WSUpgradeResponse.create_101_response(
            extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL}
        )
        return picows.WSUpgradeResponseWithListener(answer, made())

    return await picows.ws_create_server(accept, GATEWAY, port)
