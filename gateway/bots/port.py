"""The bots of one call: `ivr.ports.BotPort` over `switchhook.v1` connections.

A conversation has two connections at most. When the first cannot be made or breaks off, the caller
hears music, the bot gets one more chance, and then the flow goes on at its `error` exit.

A bot that stays keeps its connection while its transfer is under way, and the next conversation at
the same node goes on with it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from config import secrets, settings
from config.errors import SecretError
from config.flows import Waiting
from gateway.bots import messages
from gateway.bots.caller import CallerAudio, CallerLeg
from gateway.bots.connect import ConnectError, ConnectFailure, connect
from gateway.bots.listening import Listening
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
    Dismissal,
)
from ivr.reaching import Progress
from sip.audio import Pcm
from sip.events import Event, LegEvent
from sip.outcome import Handover

log = structlog.get_logger()

RECONNECT_DELAY = 1.0
"""Seconds between the two connections, at least: what a restarted bot needs to listen again."""

RECONNECT_SPREAD = 2.0
"""How many times as long the delay may be. A bot's server that is restarted loses all its
calls in one moment; were they all back in one moment, its queue of connections would overflow (8 of
300 did not get through)."""


def reconnect_delay() -> float:
    """Seconds from the loss of a connection to the next one, of each call its own."""
    return RECONNECT_DELAY * random.uniform(1, RECONNECT_SPREAD)


@dataclass(frozen=True, slots=True)
class _Link:
    """The connection to a bot that stands or is being made, and the start it was made for."""

    session: Session
    start: BotStart

    def serves(self, start: BotStart) -> bool:
        """Whether a conversation that begins so goes on with a bot that has stayed."""
        here, there = self.start, start
        same = (here.bot, here.flow, here.node) == (there.bot, there.flow, there.node)
        return same and self.session.waiting


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
        self._link: _Link | None = None
        leg.subscribe(self._on_event)  # the replay finds no session, and reaches no bot

    async def converse(self, start: BotStart, accepts: Accepts) -> BotExit:
        """Connect the caller's audio to the bot until one of them decides.

        Raises:
            CallEnded: the caller hung up.
        """
        bot = self._bots[start.bot]
        audio = self._leg.open_audio(bot.sample_rate, bot.samples)
        audio.backlog_limit = bot.backlog
        if bot.speech is not None:
            audio.listen(bot.speech.start_ms, bot.speech.stop_ms, bot.speech.threshold_db)
        try:
            link = self._link
            if link is not None and link.serves(start):
                first = await self._resume(link, audio)
            else:
                self.dismiss(Dismissal.ELSEWHERE)
                first = await self._attempt(start, accepts, audio, music=None)
            if not isinstance(first, BotFailed):
                return first
            music = asyncio.create_task(self._play_music())
            try:
                await asyncio.sleep(reconnect_delay())
                return await self._attempt(start, accepts, audio, music)
            finally:
                music.cancel()
        finally:
            audio.close()

    def tell(self, news: Progress | Handover) -> None:
        """Tell the bot that has stayed how its transfer goes."""
        if self._link is not None and self._link.session.waiting:
            told = _progress(news) if isinstance(news, Progress) else _handed_over(news)
            self._link.session.send(told)

    def dismiss(self, why: Dismissal) -> None:
        """End the session of the bot that has stayed."""
        if self._link is not None and self._link.session.waiting:
            self._part(self._link, StopReason(why.value), _DISMISSED[why])

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
        session = Session(self._leg, audio, start, accepts, left=self._left, log=call_log)
        if bot.speech is not None:
            session.listening = Listening(start.bot, audio, bot.speech, session.send, self._emit)
        self._link = link = _Link(session, start)
        try:
            await connect(session, bot.url, _headers(bot), within=bot.connect_timeout)
            if music is not None:
                music.cancel()
            session.begin(self._start_message(start, reconnected=music is not None))
            self._emit(BotConnected(start.bot, round((loop.time() - began) * 1000)))
        except (ConnectError, SecretError) as error:
            failed = _unreachable(error)
            self._part(link, StopReason.FLOW, _ending(failed))
            return failed
        except BaseException:
            self._part(link, StopReason.FLOW, _INTERRUPTED)
            raise
        return await self._follow(link)

    async def _resume(self, link: _Link, audio: CallerAudio) -> BotExit:
        link.session.resume(audio)
        return await self._follow(link)

    async def _follow(self, link: _Link) -> BotExit:
        """The conversation with a bot that is there, to its decision or failure."""
        ending = _INTERRUPTED
        stays = False
        try:
            exit_ = await link.session.ended()
            ending, stays = _ending(exit_), link.session.waiting
            return exit_
        except CallEnded:
            ending = _LEFT
            raise
        finally:
            if not stays:
                self._part(link, StopReason.FLOW, ending)

    def _left(self, how: BotDone | BotFailed) -> None:
        """The bot that waits for its transfer has closed, or is gone."""
        if self._link is not None:
            self._part(self._link, StopReason.FLOW, _ending(how))

    def _part(self, link: _Link, reason: StopReason, ending: tuple[str, str]) -> None:
        """The connection is over. Does nothing the second time."""
        if self._link is not link:
            return
        self._link = None
        link.session.stop(reason)
        # The flow is cut as soon as the caller has left, often before the session is asked.
        left = ending is _INTERRUPTED and link.session.caller_left
        why, message = _LEFT if left else ending
        bot = self._bots[link.start.bot]
        a_second = bot.sample_rate * bot.samples.width
        dropped = link.session.protocol.counters.dropped_bytes
        pump = link.session.pump
        self._emit(
            BotDisconnected(
                link.start.bot,
                why,
                message,
                frames_dropped=link.session.frames_dropped,
                dropped_ms=dropped * 1000 // a_second,
                overruns=pump.rx_dropped,
                underruns=pump.tx_underruns,
                frames_waited=pump.rx_high_frames,
                waited_ms=pump.tx_high_bytes * 1000 // a_second,
            )
        )

    async def _play_music(self) -> None:
        sound = self._waiting(Waiting.MUSIC)
        with suppress(CallEnded):
            while True:
                await self._leg.play(sound)

    def _on_event(self, event: Event) -> None:
        link = self._link
        if link is not None and isinstance(event, LegEvent) and event.leg == self._leg.label:
            link.session.on_event(event)

    def _start_message(self, start: BotStart, *, reconnected: bool) -> messages.Start:
        call = self._leg.info
        bot = self._bots[start.bot]
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
            audio=messages.AudioFormat(encoding=bot.samples, sample_rate=bot.sample_rate),
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


def _handed_over(handover: Handover) -> messages.HandedOver:
    return messages.HandedOver(**dict(_handover(handover)))


def _progress(progress: Progress) -> messages.TransferProgress:
    return messages.TransferProgress(
        attempt=progress.attempt or None,
        target=progress.target,
        status=progress.status,
        outcome=progress.outcome,
        sip_code=progress.sip_code,
    )


_INTERRUPTED = "interrupted", ""
_LEFT = "caller_hangup", ""

_DISMISSED = {
    Dismissal.TRANSFERRED: ("transfer", ""),
    Dismissal.CALLER_LEFT: _LEFT,
    Dismissal.ELSEWHERE: _INTERRUPTED,
}
"""Reason and message of `BotDisconnected`."""


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
