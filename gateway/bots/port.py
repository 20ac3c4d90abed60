"""The bots of one call: `ivr.ports.BotPort` over `switchhook.v1` connections.

A conversation has two connections at most. When the first cannot be made or breaks off, the caller
hears music, the bot gets one more chance, and then the flow goes on at its `error` exit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from config import secrets, settings
from config.errors import SecretError
from config.flows import Waiting
from gateway.bots import messages
from gateway.bots.caller import CallerAudio, CallerLeg
from gateway.bots.connect import ConnectError, ConnectFailure, connect
from gateway.bots.messages import StopReason
from gateway.bots.session import Session
from ivr.events import BotConnected, BotDisconnected
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
from sip.audio import Pcm
from sip.events import Event, LegEvent
from sip.outcome import Handover

log = structlog.get_logger()

RECONNECT_DELAY = 1.0
"""Seconds between the two connections: what a bot that is restarted needs to listen again."""


class BotConversations:
    """Connects one caller to the bots that the flow asks for, one after the other.

    Args:
        bots: the configuration's.
        leg: the caller's.
        waiting: the sound of each kind, made to be looped.
        emit: takes the events of the conversations.
    """

    def __init__(
        self,
        bots: Mapping[str, settings.Bot],
        leg: CallerLeg,
        waiting: Callable[[Waiting], Pcm],
        emit: Callable[[Event], object],
    ) -> None:
        self._bots = bots
        self._leg = leg
        self._waiting = waiting
        self._emit = emit
        self._session: Session | None = None
        leg.subscribe(self._on_event)  # the replay finds no session, and reaches no bot

    async def converse(self, start: BotStart, accepts: Accepts) -> BotExit:
        """Connect the caller's audio to the bot until one of them decides.

        Raises:
            CallEnded: the caller hung up.
        """
        bot = self._bots[start.bot]
        audio = self._leg.open_audio(bot.sample_rate)
        audio.backlog_limit = bot.backlog
        try:
            first = await self._attempt(start, accepts, audio, music=None)
            if not isinstance(first, BotFailed):
                return first
            music = asyncio.create_task(self._play_music())
            try:
                await asyncio.sleep(RECONNECT_DELAY)
                return await self._attempt(start, accepts, audio, music)
            finally:
                music.cancel()
        finally:
            audio.close()

    async def _attempt(
        self,
        start: BotStart,
        accepts: Accepts,
        audio: CallerAudio,
        music: asyncio.Task[None] | None,
    ) -> BotExit:
        """One connection from beginning to end. `music` plays until the second one stands."""
        bot = self._bots[start.bot]
        loop = asyncio.get_running_loop()
        began = loop.time()
        call_log = log.bind(call_id=self._leg.id, bot=start.bot)
        session = Session(self._leg, audio, start.variables, accepts, call_log)
        self._session = session
        ending, message = "interrupted", ""
        try:
            await connect(session, bot.url, _headers(bot), within=bot.connect_timeout)
            if music is not None:
                music.cancel()
            session.begin(self._start_message(start, reconnected=music is not None))
            self._emit(BotConnected(start.bot, round((loop.time() - began) * 1000)))
            exit_ = await session.ended()
            ending, message = _ending(exit_)
            return exit_
        except (ConnectError, SecretError) as error:
            ending, message = _ending(failed := _unreachable(error))
            return failed
        except CallEnded:
            ending = "caller_hangup"
            raise
        finally:
            session.stop(StopReason.FLOW)
            self._session = None
            self._emit(
                BotDisconnected(
                    start.bot,
                    ending,
                    message,
                    frames_dropped=session.frames_dropped,
                    dropped_ms=session.protocol.counters.dropped_bytes
                    * 1000
                    // (2 * bot.sample_rate),
                )
            )

    async def _play_music(self) -> None:
        sound = self._waiting(Waiting.MUSIC)
        with suppress(CallEnded):
            while True:
                await self._leg.play(sound)

    def _on_event(self, event: Event) -> None:
        session = self._session
        if session is not None and isinstance(event, LegEvent) and event.leg == self._leg.label:
            session.on_event(event)

    def _start_message(self, start: BotStart, *, reconnected: bool) -> messages.Start:
        call = self._leg.info
        return messages.Start(
            call_id=self._leg.id,
            from_=call.from_uri,
            to=call.to_uri,
            trunk=call.trunk,
            sip=messages.SipFacts(
                call_id=call.sip_call_id,
                headers=dict(call.received.headers),
                user_to_user=[
                    messages.UserToUser(text=datum.text, value=datum.value, purpose=datum.purpose)
                    for datum in call.received.user_to_user
                ],
            ),
            audio=messages.AudioFormat(sample_rate=self._bots[start.bot].sample_rate),
            flow=messages.FlowPosition(name=start.flow, node=start.node),
            variables=dict(start.variables),
            handover=None if start.handover is None else _handover(start.handover),
            reconnected=reconnected,
        )


def _headers(bot: settings.Bot) -> dict[str, str]:
    if bot.token is None:
        return {}
    return {"Authorization": f"Bearer {secrets.resolve(bot.token)}"}


def _unreachable(error: ConnectError | SecretError) -> BotFailed:
    if isinstance(error, ConnectError):
        return BotFailed(error.failure, error.message)
    return BotFailed(ConnectFailure.FAILED, f"the bot's token: {error}")


def _handover(handover: Handover) -> messages.HandoverFacts:
    reason = handover.error_reason
    return messages.HandoverFacts(
        status=handover.status,
        outcome=handover.outcome,
        sip_code=handover.sip_code,
        target=handover.target,
        message=handover.message,
        error=None if reason is None else messages.HandoverError(reason=reason),
    )


def _ending(exit_: BotExit) -> tuple[str, str]:
    """Reason and message of `BotDisconnected`."""
    match exit_:
        case BotTransfer(target=target):
            return "transfer", target
        case BotHangup():
            return "hangup", ""
        case BotGoto(node=node):
            return "goto", node
        case BotDone():
            return "done", ""
        case BotFailed(reason=reason, message=message):
            return reason, message
