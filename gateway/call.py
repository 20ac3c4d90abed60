"""One inbound call in the service, from its INVITE to its record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from random import Random
from typing import Protocol

import structlog

from config.call_recordings import Consent, Party, RecordAction
from config.configuration import Configuration
from gateway.agent import CallerLeg
from gateway.bots.port import BotConversations
from gateway.events import (
    CallFailed,
    CallFinished,
    CallResumed,
    CallStarted,
    ResumeRefused,
)
from gateway.recording.call_recordings import CallRecordings
from gateway.recording.leg_recording import Place
from gateway.records import CallRecord, FinishedCall, Recording, encode_events
from gateway.resumptions import Refused
from gateway.timeline import CallEvent, Timeline
from ivr.decisions import Decision, DecisionRefused, RefusalReason
from ivr.disposition import disposition
from ivr.events import NodeEntered, RecordingRefused
from ivr.interpreter import Interpreter
from ivr.ports import Availability, BotPort, CallEnded, PromptSource, TrunkCapabilities
from ivr.result import EndReason, FlowResult
from ivr.resumption import Resumption, Resumptions
from ivr.transfer_request import Directory
from sip.events import (
    Direction,
    Event,
    LegAnswered,
    LegCame,
    LegEnded,
    LegReplaced,
    LegStarted,
    MediaQuality,
    SipMessage,
    TransferEnded,
)
from sip.outcome import Handover

log = structlog.get_logger()

RELEASE_LIMIT = 40.0
"""Seconds that our BYE may take: 64*T1 = 32 s (RFC 3261 section 17.1.2), and some reserve."""

AGENT_LIMIT = 3.0
"""Seconds that agents' legs may outlive the caller's: what is said in them then (the answer to our
BYE or CANCEL, their media) still belongs into the record. A leg waits 2 s for the answer to BYE."""

DIRECTIONS = {Direction.RECEIVED: "inbound", Direction.SENT: "outbound"}
"""What a call is called by the way its first INVITE went."""

_CHANCE = Random()


class CallState(StrEnum):
    """How far a call is."""

    RINGING = "ringing"
    ANSWERED = "answered"
    ENDING = "ending"
    """The caller's leg is gone, the record not yet made."""
    ENDED = "ended"


class Tokens(Resumptions, Protocol):
    """Hand-back tokens, given out and taken back (gateway.resumptions.ResumptionStore)."""

    async def redeem(self, token: str, trunk: str) -> Resumption | Refused:
        """Take a token that came over `trunk`."""


class CallSession:
    """Runs the flow of one caller's leg, and leaves exactly one record."""

    def __init__(
        self,
        leg: CallerLeg,
        configuration: Configuration,
        prompts: PromptSource,
        publish: Callable[[CallEvent], None],
        resumptions: Tokens,
        *,
        availability: Availability,
        capabilities: TrunkCapabilities,
        recordings: Place | None = None,
        bots: BotPort | None = None,
    ) -> None:
        """
        Args:
            recordings: where they are written; None: nothing is recorded.
            bots: who talks to the caller instead of the bots of the configuration.
        """
        self.leg = leg
        self.direction = DIRECTIONS[leg.info.direction]
        self.timeline = Timeline(leg.id, publish)
        self.state = CallState.RINGING
        self.answered_at: float | None = None
        """POSIX seconds; None: not answered yet."""
        self._configuration = configuration
        self._prompts = prompts
        self._availability = availability
        self._capabilities = capabilities
        self._publish = publish
        self._resumptions = resumptions
        self._recordings = CallRecordings(
            leg.id, leg.record, recordings, self.timeline.record, self.timeline.now
        )
        self._resumed: Resumption | None = None
        self._bots = bots
        self._interpreter: Interpreter | None = None
        self._media: dict[str, MediaQuality] = {}
        self._agents: set[str] = set()
        """Legs that transfers of this call have dialled and that are still there."""
        self._agents_gone = asyncio.Event()

    @property
    def resumed_from(self) -> str:
        """Id of the call whose hand-back token this one brought back; empty: none."""
        return self._resumed.call if self._resumed else ""

    @property
    def flow(self) -> str:
        """The flow that the call began in."""
        return self._resumed.flow if self._resumed else self.leg.info.flow

    @property
    def position(self) -> str | None:
        """The node the call is in."""
        return self._interpreter.position if self._interpreter else None

    @property
    def handover(self) -> Handover | None:
        """The last transfer, running or finished."""
        return self._interpreter.handover if self._interpreter else None

    def decide(self, decision: Decision) -> None:
        """Do what an operator decided.

        Raises:
            DecisionRefused: the call cannot follow it now; nothing has changed.
        """
        if self._interpreter is None or self.state is CallState.ENDING:
            raise DecisionRefused(RefusalReason.CALL_ENDED, "the call is over")
        self._interpreter.decide(decision)

    async def run(self) -> None:
        """Run the flow, release the caller's leg, and publish the record."""
        structlog.contextvars.bind_contextvars(call_id=self.leg.id)
        result: FlowResult | None = None
        try:
            result = await self._follow_flow()
        except Exception as error:
            log.exception("call failed")
            message = f"{type(error).__name__}: {error}"
            self.timeline.record(CallFailed(message))
            result = _broken_off(self.timeline, EndReason.FAILED, message)
        finally:
            try:
                try:
                    await self._release()
                finally:
                    await self._recordings.finish()
            finally:
                if result is None:  # cancelled before the flow's first step
                    result = _broken_off(self.timeline, EndReason.SHUTDOWN)
                self._finish(result)
                self.leg.unwatch()

    async def _follow_flow(self) -> FlowResult:
        info = self.leg.info
        self.timeline.record(
            CallStarted(
                self.direction, info.trunk, info.flow, info.caller, info.number, info.source
            )
        )
        self.leg.subscribe(self._observe)
        settings = self._configuration.settings
        if info.received.token:
            await self._resume(info.received.token)
        if not self.flow:
            log.warning("no route", trunk=info.trunk, number=info.number, to=info.to_uri)
            return _broken_off(self.timeline, EndReason.FAILED, f"no route for {info.number}")
        self._interpreter = Interpreter(
            flows=self._configuration.flows,
            start=info.flow,
            call=self.leg,
            bot=self._bots
            or BotConversations(
                settings.bots, self.leg, self._prompts.waiting, self.timeline.record
            ),
            prompts=self._prompts,
            directory=Directory(settings.targets, settings.groups, info.trunk),
            availability=self._availability,
            capabilities=self._capabilities,
            emit=self.timeline.record,
            rng=_CHANCE,
            recording=self._recordings,
            resumptions=self._resumptions,
            resumed=self._resumed,
        )
        return await self._interpreter.run()

    async def _resume(self, token: str) -> None:
        found = await self._resumptions.redeem(token, self.leg.info.trunk)
        if isinstance(found, Refused):
            self.timeline.record(ResumeRefused(found.reason.value, found.call))
            return
        self._resumed = found
        self.timeline.record(CallResumed(found.call, found.flow, found.node))

    def _observe(self, event: Event) -> None:
        self.timeline.record(event)
        if isinstance(event, SipMessage):
            return  # every second event is one, and no other case
        match event:
            case LegAnswered(leg=self.leg.label):
                self.state = CallState.ANSWERED
                self.answered_at = self.timeline.now()
            case LegEnded(leg=self.leg.label, media=media):
                self.state = CallState.ENDING
                self._media[self.leg.label] = media
            case LegStarted(leg=leg) | LegCame(leg=leg) if leg != self.leg.label:
                self._agents.add(leg)
            case LegAnswered(leg=leg):
                self._agent_answered(leg)
            case LegReplaced(leg=leg, by=self.leg.label):
                self._agents.discard(self.leg.label)
                self._agents.add(leg)
            case LegEnded(leg=leg, media=media):
                self._media[leg] = media
                self._recordings.agent_left(leg)
                self._agents.discard(leg)
                if not self._agents:
                    self._agents_gone.set()

    def _agent_answered(self, leg: str) -> None:
        if not leg.startswith(Party.AGENT):
            return  # it takes the caller's place, and is recorded there
        agreed = self._consent is not Consent.DECLINED
        if refusal := self._recordings.agent_answered(leg, agreed=agreed):
            self.timeline.record(RecordingRefused(RecordAction.START, refusal))

    async def _release(self) -> None:
        """See every leg of the call off, whatever the flow left of them."""
        if self.state is not CallState.ENDING:
            await self._end_leg()
        if self._agents:
            self._agents_gone.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._agents_gone.wait(), AGENT_LIMIT)

    async def _end_leg(self) -> None:
        with suppress(CallEnded):
            if self.state is CallState.RINGING:
                if self.flow:
                    self.leg.reject(500, "Server Internal Error")  # lets the trunk try elsewhere
                else:
                    self.leg.reject(404)
            else:
                await self.leg.hangup({})
        try:
            await asyncio.wait_for(self.leg.wait_ended(), RELEASE_LIMIT)
        except TimeoutError:
            log.error("leg does not end", seconds=RELEASE_LIMIT)

    @property
    def _consent(self) -> Consent:
        return self._interpreter.consent if self._interpreter else Consent.UNKNOWN

    def _recordings_made(self) -> tuple[Recording, ...]:
        if not self._recordings.finished:
            return ()
        consent = self._consent
        return tuple(replace(each, consent=consent) for each in self._recordings.finished)

    def _finish(self, result: FlowResult) -> None:
        info = self.leg.info
        record = CallRecord(
            id=self.leg.id,
            direction=self.direction,
            trunk=info.trunk,
            caller=info.caller,
            number=info.number,
            sip_call_id=info.sip_call_id,
            started_at=self.timeline.started_at,
            answered_at=self.answered_at,
            ended_at=self.timeline.now(),
            flow=self.flow,
            path=result.path,
            disposition=disposition(result, answered=self.answered_at is not None),
            end=result.end,
            message=result.message,
            attempts=result.attempts,
            media=self._media,
            events_dropped=self.timeline.dropped,
            resumed_from=self.resumed_from,
            tags=_tags(result),
            recordings=self._recordings_made(),
        )
        finished = FinishedCall(record, encode_events(self.timeline.events))
        self._publish(self.timeline.stamp(CallFinished(finished)))


def _tags(result: FlowResult) -> tuple[str, ...]:
    handed_over = (tag for attempt in result.attempts for tag in attempt.tags)
    return tuple(dict.fromkeys([*handed_over, *result.tags]))


def _broken_off(timeline: Timeline, end: EndReason, message: str = "") -> FlowResult:
    """What a flow came to that could not say it itself."""
    happened = [stamped.event for stamped in timeline.events]
    return FlowResult(
        path=tuple(event.node for event in happened if isinstance(event, NodeEntered)),
        end=end,
        handover=None,
        attempts=tuple(event.attempt for event in happened if isinstance(event, TransferEnded)),
        message=message,
    )
