"""An open WebSocket to a bot: whole messages, a bounded outbox, a bounded end (RFC 6455).

Everything happens in callbacks of the loop; no task runs for a connection, and none for a frame.
A frame goes to the kernel in the call that sends it. Only when the kernel takes no more (the bot
does not read) do frames wait here, and the oldest audio gives way to the newest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import picows
from picows.picows import WSCloseHandshake

from gateway.bots.messages import FRAME_MS

OUTBOX_FRAMES = 2_000 // FRAME_MS
"""Caller's audio kept for a bot that does not read: 2 s. What is older helps no conversation."""

OUTBOX_TEXTS = 256
"""Text frames kept for it. A bot that leaves so many unread is treated as gone."""

MAX_MESSAGE = 2 * 1024 * 1024
"""Bytes of a WebSocket message. Up to here an oversized one is answered with an `error` frame;
beyond, the connection is closed with 1009."""

CLOSE_TIMEOUT = 1.0
"""Seconds that a bot has to answer our close frame and to read what was sent before it."""

NORMAL_CLOSURE = 1000
NO_CODE = 1005
ABNORMAL_CLOSURE = 1006

# Taken out of their enumeration once: they are looked at for each frame, and that took 40 ns more.
_BINARY, _TEXT = picows.WSMsgType.BINARY, picows.WSMsgType.TEXT


@dataclass(frozen=True, slots=True)
class Closed:
    """How a connection ended. `fault`: the bot broke RFC 6455, or a limit of ours."""

    code: int
    reason: str
    fault: bool


class Peer(Protocol):
    """Who is told what arrives; called on the loop, never after `closed`."""

    def opened(self, connection: BotConnection) -> None:
        """The upgrade is done; called before any message."""

    def text(self, payload: bytes) -> None:
        """A whole text message."""

    def audio(self, payload: bytes) -> None:
        """A whole binary message."""

    def closed(self, how: Closed) -> None:
        """The bot closed, or the connection was lost. Not called for a `close` of our own."""


class BotConnection(picows.WSListener):
    """One WebSocket to a bot. `connect` makes it; `close` or `abort` ends it."""

    def __init__(self, peer: Peer) -> None:
        self.frames_dropped = 0
        """Frames of the caller's audio that a slow bot never got."""
        self._peer = peer
        self._transport: picows.WSTransport
        self._audio: deque[bytes] = deque(maxlen=OUTBOX_FRAMES)
        self._texts: deque[bytes] = deque()
        self._paused = False
        self._over = False
        self._abort_timer: asyncio.TimerHandle | None = None
        self._farewell: asyncio.Future[None] | None = None
        self._ping: bytes | None = None
        """What the bot's latest ping carries, as long as it is not answered."""
        self._fragments = bytearray()
        self._fragmented: picows.WSMsgType | None = None

    # Sending

    def send_audio(self, frame: memoryview) -> None:
        """Send one frame of the caller's audio; while the bot does not read, keep it for later."""
        if self._over:
            return
        if self._paused:
            if len(self._audio) == OUTBOX_FRAMES:
                self.frames_dropped += 1
            self._audio.append(bytes(frame))
        else:
            self._transport.send(_BINARY, frame)

    def send_text(self, payload: bytes) -> None:
        """Send a text frame; it may overtake audio that is kept for later."""
        if self._over:
            return
        if not self._paused:
            self._transport.send(_TEXT, payload)
        elif len(self._texts) < OUTBOX_TEXTS:
            self._texts.append(payload)
        else:
            self._fail(f"the bot left {OUTBOX_TEXTS} text frames unread")

    def close(self, last: bytes) -> None:
        """Send `last` and a close frame; the socket is gone within CLOSE_TIMEOUT."""
        if self._over:
            return
        self._over = True
        for payload in (*self._texts, last):
            self._transport.send(_TEXT, payload)
        self._forget()
        self._transport.send_close(picows.WSCloseCode.OK)
        self._abort_later()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._over = True
        self._forget()
        self._transport.disconnect(graceful=False)

    # picows' callbacks

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        # Pause as soon as one byte waits outside the kernel: what waits is ours to order and drop.
        transport.underlying_transport.set_write_buffer_limits(high=0)
        self._peer.opened(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if self._over or transport.is_close_frame_sent:  # sent by us, or by picows
            if kind == picows.WSMsgType.CLOSE:
                transport.disconnect()
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._violation(
                picows.WSCloseCode.PROTOCOL_ERROR, "reserved bits are set: no extension was agreed"
            )
        elif kind == _BINARY and frame.fin and self._fragmented is None:
            self._peer.audio(frame.get_payload_as_bytes())
        elif kind == _TEXT and frame.fin and self._fragmented is None:
            self._peer.text(frame.get_payload_as_bytes())
        elif kind == picows.WSMsgType.CLOSE:
            if frame.payload_size:
                self._closed_by_bot(frame.get_close_code().value, frame.get_close_reason() or "")
            else:
                self._closed_by_bot(NO_CODE, "a close without a code; 1000 ends a conversation")
        elif kind == picows.WSMsgType.PING:
            self._pinged(frame.get_payload_as_bytes())
        elif kind != picows.WSMsgType.PONG:
            self._fragment(frame)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        if self._over:
            return
        self._over = True
        self._forget()
        handshake: WSCloseHandshake | None = transport.close_handshake
        sent = handshake.sent if handshake is not None else None
        if sent is None:
            self._peer.closed(Closed(ABNORMAL_CLOSURE, "the connection was lost", fault=False))
            return
        # picows closed it: a malformed frame, one beyond MAX_MESSAGE, or a ping unanswered.
        fault = sent.code != picows.WSCloseCode.GOING_AWAY
        self._peer.closed(Closed(sent.code.value, sent.reason, fault))
        self._farewell = asyncio.ensure_future(transport.wait_disconnected())
        self._farewell.add_done_callback(_look_at)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pong()
        while self._texts and not self._paused:
            self._transport.send(_TEXT, self._texts.popleft())
        while self._audio and not self._paused:
            self._transport.send(_BINARY, self._audio.popleft())

    # Inside

    def _pinged(self, payload: bytes) -> None:
        """Answer soon, and of pings that come until then the latest (RFC 6455 section 5.5.3).

        Answered one by one, pings of a bot that does not read would fill the memory.
        """
        if self._ping is None and not self._paused:
            asyncio.get_running_loop().call_soon(self._pong)
        self._ping = payload

    def _pong(self) -> None:
        if self._ping is not None and not (self._paused or self._over):
            self._transport.send(picows.WSMsgType.PONG, self._ping)
            self._ping = None

    def _fragment(self, frame: picows.WSFrame) -> None:
        """Collect a message sent in fragments (RFC 6455 section 5.4)."""
        continues = frame.msg_type == picows.WSMsgType.CONTINUATION
        if continues is (self._fragmented is None):
            self._violation(picows.WSCloseCode.PROTOCOL_ERROR, "a fragment out of order")
            return
        if len(self._fragments) + frame.payload_size > MAX_MESSAGE:
            self._violation(
                picows.WSCloseCode.MESSAGE_TOO_BIG, f"a message of more than {MAX_MESSAGE} bytes"
            )
            return
        if not continues:
            self._fragmented = frame.msg_type
        self._fragments += frame.get_payload_as_memoryview()
        if frame.fin:
            kind, whole = self._fragmented, bytes(self._fragments)
            self._fragmented = None
            self._fragments.clear()
            if kind == _TEXT:
                self._peer.text(whole)
            else:
                self._peer.audio(whole)

    def _violation(self, code: picows.WSCloseCode, reason: str) -> None:
        """The bot broke RFC 6455: close with the code for it."""
        self._over = True
        self._forget()
        self._transport.send_close(code, reason)
        self._abort_later()
        self._peer.closed(Closed(code.value, reason, fault=True))

    def _closed_by_bot(self, code: int, reason: str) -> None:
        self._over = True
        self._forget()
        self._transport.send_close(picows.WSCloseCode.OK)
        self._transport.disconnect()
        self._abort_later()
        self._peer.closed(Closed(code, reason, fault=False))

    def _fail(self, reason: str) -> None:
        self.abort()
        self._peer.closed(Closed(ABNORMAL_CLOSURE, reason, fault=False))

    def _forget(self) -> None:
        self._audio.clear()
        self._texts.clear()
        self._ping = None

    def _abort_later(self) -> None:
        self._abort_timer = asyncio.get_running_loop().call_later(
            CLOSE_TIMEOUT, self._transport.disconnect, False
        )


def _look_at(farewell: asyncio.Future[None]) -> None:
    """picows keeps its reason for closing as an exception, which asyncio wants to be seen."""
    if not farewell.cancelled():
        farewell.exception()
