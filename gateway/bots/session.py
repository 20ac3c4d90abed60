"""One connection of a bot to a caller's leg: frames and commands become calls on the leg.

A session lives in callbacks of the loop: the frame pump hands it the caller's audio, the WebSocket
the bot's frames, and the first decision ends it. Every command acts at once. A bot that wants to
be heard out sends a `mark` after its words, and decides when the mark comes back.

A bot that stays outlives its transfer: between `wait` and `resume` it has no audio, and is told by
`send` how the transfer goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from structlog.typing import FilteringBoundLogger

from gateway.bots import messages
from gateway.bots.caller import CallerAudio, CallerLeg
from gateway.bots.connection import NORMAL_CLOSURE, BotConnection, Closed
from gateway.bots.listening import Listening
from gateway.bots.messages import ErrorCode, StopReason, ToBot
from gateway.bots.protocol import Protocol, State
from ivr.ports import (
    Accepts,
    BotDone,
    BotExit,
    BotFailed,
    BotGoto,
    BotHangup,
    BotStart,
    BotTransfer,
    CallEnded,
)
from sip.events import DtmfReceived, Event, HoldChanged, LegEnded
from sip.frame_pump import PortCounters


class Session:
    """A `connection.Peer` that obeys one connection's bot until something ends it.

    Args:
        leg: the caller's.
        audio: the leg's audio, at the rate that `start` announces.
        start: of the conversation; `set` changes its variables in place.
        accepts: the flow's answer to a transfer or goto.
        left: told how a bot that waits for its transfer has closed.
        log: bound to the call and the bot.
    """

    def __init__(
        self,
        leg: CallerLeg,
        audio: CallerAudio,
        start: BotStart,
        accepts: Accepts,
        *,
        left: Callable[[BotDone | BotFailed], None],
        log: FilteringBoundLogger,
    ) -> None:
        self.protocol = Protocol(audio.samples.width)
        self.listening: Listening | None = None
        """Tells the bot who speaks; None: it does not want to know."""
        self._leg = leg
        self._audio = audio
        self._variables = start.variables
        self._accepts = accepts
        self._take_back = start.take_back
        self._left = left
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._connection: BotConnection | None = None
        self._dropped = 0
        """What the connection had dropped when it was given up."""
        self._exit: asyncio.Future[BotExit | None] = self._loop.create_future()
        self._digits: asyncio.Task[None] | None = None

    @property
    def frames_dropped(self) -> int:
        """Frames of the caller's audio that the bot was too slow for."""
        return self._dropped if self._connection is None else self._connection.frames_dropped

    @property
    def pump(self) -> PortCounters:
        """What the audio went through on its way between bridge and loop."""
        return self._audio.counters

    def begin(self, start: messages.Start) -> None:
        """Tell the connected bot `start` and let audio flow."""
        if self.protocol.state is not State.OPENING:
            return  # the bot closed right after its handshake
        self.protocol.state = State.STARTED
        self.send(start)
        if self._leg.held:
            self.send(messages.Hold())
        self._attach()

    @property
    def caller_left(self) -> bool:
        """Whether the caller's hang-up has ended the conversation."""
        ended = self._exit.done() and not self._exit.cancelled()
        return ended and self._exit.result() is None

    @property
    def waiting(self) -> bool:
        """Whether the bot has asked for a transfer and stays for it."""
        return self.protocol.state is State.WAITING

    def send(self, message: ToBot) -> None:
        """Send the bot a frame."""
        if self._connection is not None:
            self._connection.send_text(_frame(message))

    def resume(self, audio: CallerAudio) -> None:
        """The caller is back with the waiting bot: let audio flow."""
        self._audio = audio
        self._exit = self._loop.create_future()
        self.protocol.state = State.STARTED
        self._attach()

    async def ended(self) -> BotExit:
        """Wait for the bot's decision or failure.

        Raises:
            CallEnded: the caller hung up.
        """
        exit_ = await self._exit
        if exit_ is None:
            raise CallEnded("the caller hung up")
        return exit_

    def stop(self, reason: StopReason) -> None:
        """Take the bot off the leg: `stop`, then a normal closure. Does nothing the second time."""
        connection = self._connection
        if self._end() and connection is not None:
            connection.close(_frame(messages.Stop(reason=reason)))

    def on_event(self, event: Event) -> None:
        """Something happened on the caller's leg."""
        state = self.protocol.state
        if isinstance(event, LegEnded) and state in (State.OPENING, State.STARTED):
            self.stop(StopReason.CALLER_HANGUP)
            self._exit.set_result(None)
        if state not in (State.STARTED, State.WAITING):
            return
        match event:
            case DtmfReceived():
                self.send(messages.Dtmf(digit=event.digit, duration_ms=event.duration_ms))
            case HoldChanged():
                self._hold_changed(event.held)
            case _:
                pass

    # connection.Peer

    def opened(self, connection: BotConnection) -> None:
        """The WebSocket is open; frames may arrive from now on."""
        self._connection = connection

    def audio(self, payload: bytes) -> None:
        """Audio for the caller."""
        error: messages.Error | None
        if self.protocol.takes_audio(len(payload)):
            dropped = self._audio.write(payload)
            if not dropped:
                return
            error = self.protocol.audio_dropped(dropped, self._loop.time())
        else:
            error = self.protocol.refuse_audio(len(payload), self._loop.time())
        if error is not None:
            self.send(error)

    def text(self, payload: bytes) -> None:
        """A command."""
        match self.protocol.receive_text(payload, self._loop.time()):
            case None:
                pass
            case messages.Error() as error:
                self.send(error)
            case messages.Mark(name=name):
                self._audio.mark(name)
            case messages.Clear():
                self._audio.clear()
            case messages.Transfer() as ask:
                exit_ = BotTransfer(ask.target, ask.method, ask.headers, ask.context)
                self._decide(exit_, StopReason.TRANSFER, "target")
            case messages.CancelTransfer():
                self._cancel_transfer()
            case messages.Hangup(headers=headers, tags=tags):
                self._leave(BotHangup(headers, tuple(tags)), StopReason.HANGUP)
            case messages.Goto(node=node):
                self._decide(BotGoto(node), StopReason.FLOW, "node")
            case messages.SendDtmf(digits=digits):
                self._press(digits)
            case messages.Set(variables=variables):
                self._set(variables)
            case messages.Log() as line:
                self._log.log(_LEVELS[line.level], "bot says", message=line.message)

    def closed(self, how: Closed) -> None:
        """The bot closed, or is gone."""
        waiting = self.waiting
        self._end()
        exit_: BotDone | BotFailed
        if how.code == NORMAL_CLOSURE and not how.fault:
            exit_ = BotDone()
        else:
            reason = "protocol_error" if how.fault else "connection_lost"
            exit_ = BotFailed(reason, f"closed with {how.code}: {how.reason}")
        if waiting:
            self._left(exit_)
        else:
            self._exit.set_result(exit_)

    # Inside

    def _decide(self, exit_: BotTransfer | BotGoto, reason: StopReason, at: str) -> None:
        refusal = self._accepts(exit_)
        if refusal is not None:
            words = refusal.removeprefix(f"{at}: ")
            self.send(self.protocol.refuse(ErrorCode.REFUSED, words, at))
        elif self._take_back is not None and isinstance(exit_, BotTransfer):
            self._detach()
            self.protocol.state = State.WAITING
            self._exit.set_result(exit_)
        else:
            self._leave(exit_, reason)

    def _cancel_transfer(self) -> None:
        refusal = self._take_back() if self._take_back is not None else "no transfer is under way"
        if refusal is not None:
            self.send(self.protocol.refuse(ErrorCode.REFUSED, refusal, "type"))

    def _leave(self, exit_: BotExit, reason: StopReason) -> None:
        self.stop(reason)
        self._exit.set_result(exit_)

    def _end(self) -> bool:
        """Let go of leg and connection for good. False: that has happened before."""
        if self.protocol.state is State.STOPPED:
            return False
        self.protocol.state = State.STOPPED
        self._dropped, self._connection = self.frames_dropped, None
        self._audio.on_mark = None  # what was not played needs no report any more
        self._detach()
        return True

    def _attach(self) -> None:
        self._audio.sink = self._connection.send_audio if self._connection is not None else None
        self._audio.on_mark = self._mark_reached
        if self.listening is not None:
            self.listening.begin(self._audio, held=self._leg.held)

    def _detach(self) -> None:
        self._audio.sink = None
        if self.listening is not None:
            self.listening.stop()
        self._audio.clear()
        self._audio.on_mark = None
        if self._digits is not None:
            self._digits.cancel()

    def _hold_changed(self, held: bool) -> None:
        self.send(messages.Hold() if held else messages.Resume())
        if self.listening is None or self.waiting:
            return
        if held:
            self.listening.hold()
        else:
            self.listening.resume()

    def _mark_reached(self, name: str, played: bool) -> None:
        self.send(self.protocol.mark_reached(name, played))

    def _press(self, digits: str) -> None:
        if self._digits is not None and not self._digits.done():
            busy = "the digits of the last `send_dtmf` are still being sent"
            self.send(self.protocol.refuse(ErrorCode.BUSY, busy, "digits"))
            return
        self._digits = self._loop.create_task(self._send_digits(digits))

    async def _send_digits(self, digits: str) -> None:
        with suppress(CallEnded):  # LegEnded is on its way
            await self._leg.send_dtmf(digits)

    def _set(self, variables: dict[str, str]) -> None:
        if len(self._variables.keys() | variables.keys()) > messages.MAX_VARIABLES:
            full = f"a call has at most {messages.MAX_VARIABLES} variables"
            self.send(self.protocol.refuse(ErrorCode.REFUSED, full, "variables"))
            return
        self._variables.update(variables)


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def _frame(message: ToBot) -> bytes:
    return message.model_dump_json(by_alias=True).encode()
