"""A call's way through its flow, as one coroutine.

A node does its work and returns where the call goes next. An operator's decision, the caller's
hang-up and the gateway's stop cut into that work: it is cancelled, releases what it holds (bot
session, prompt, transfer), and only then does the call go elsewhere.

    run() ── node ── node ── node ── End ── BYE ── FlowResult
               ▲
               └── cut into by decide(), by LegEnded, or by cancelling run()
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from random import Random

import structlog

from config.call_recordings import Consent, RecordAction
from config.flows import AgentTransfer, Bot, Flow, Goto, Hangup, Lookup, Node, Play, Record
from ivr.decisions import Decision, DecisionRefused, RefusalReason
from ivr.events import (
    FlowEnded,
    FlowStarted,
    NodeEntered,
    NodeLeft,
    RecordingRefused,
    ValueDropped,
)
from ivr.flow_run import End, FlowRun, Place, Step
from ivr.nodes import agent_transfer, bot, goto, hangup, lookup, play, record
from ivr.operator import Operator
from ivr.ports import (
    Availability,
    BotPort,
    CallEnded,
    CallerCall,
    Dismissal,
    PromptSource,
    Recording,
    RecordOrder,
    TrunkCapabilities,
)
from ivr.result import EndReason, FlowResult
from ivr.resumption import Resumption, Resumptions
from ivr.tasks import cut, done, finished, stop
from ivr.transfer_request import Directory
from sip.context.rendering import fitting
from sip.events import (
    DtmfReceived,
    Event,
    LegEnded,
    LegStarted,
    LegWent,
    SipMessage,
    TransferEnded,
    TransferJoined,
)
from sip.outcome import Handover, Side

log = structlog.get_logger()

MAX_NODES_ENTERED = 500
"""A call that enters more nodes runs in circles: an hour of a bot that is left and re-entered every
ten seconds stays below it, and a loop without a pause is over in milliseconds."""

HANGUP_LIMIT = 5.0
"""Seconds for the answer to our BYE, a round trip; after it the leg is left to its own timers."""


class Interpreter:
    """Runs one call through its flows."""

    def __init__(
        self,
        *,
        flows: Mapping[str, Flow],
        start: str,
        call: CallerCall,
        bot: BotPort,
        prompts: PromptSource,
        directory: Directory,
        availability: Availability,
        capabilities: TrunkCapabilities,
        emit: Callable[[Event], None],
        rng: Random,
        recording: Recording,
        resumptions: Resumptions,
        resumed: Resumption | None = None,
    ) -> None:
        """Prepare a call that begins at the start node of the flow `start`, or, `resumed`, where
        another one has left it.

        `emit` takes the flow's events; those of the legs have listeners of their own.
        """
        self._run = FlowRun(
            flows=flows,
            start=resumed.flow if resumed else start,
            call=call,
            bot=bot,
            prompts=prompts,
            directory=directory,
            availability=availability,
            capabilities=capabilities,
            emit=emit,
            rng=rng,
            recording=recording,
            resumptions=resumptions,
            resumed=resumed,
        )
        self._operator = Operator(self._run)
        self._work: asyncio.Task[Step] | None = None
        """What the current node is doing."""
        self._diversion: Step | None = None
        """Where a decision sends the call, until the current node has let go of it."""
        self._recorded_for = ""
        """The flow whose `record` was last heeded."""
        self._stopped = False
        """The task that runs the flow was cancelled."""
        self._joined = False
        """One of the parties goes on in another call."""
        self._over = False

    @property
    def position(self) -> str:
        """The node the call is in; `flow/node` outside the call's first flow."""
        return self._run.label(self._run.place)

    @property
    def handover(self) -> Handover | None:
        """The call's last transfer: ringing or active while it runs, and what it came to."""
        return self._run.handover

    @property
    def consent(self) -> Consent:
        """Whether the caller agrees to be recorded."""
        return self._run.consent

    async def run(self) -> FlowResult:
        """Run the flow to its end and end the caller's leg. Call it once.

        Returns a result however the call ends: a caller's hang-up, a fault in a node, and also a
        cancellation of the task that runs this, which is taken as the gateway's stop (or, where
        the caller's leg has ended, as the news of that) and not passed on. Only a task cancelled
        before its first step gives no result.
        """
        run = self._run
        run.call.subscribe(self._observe)
        run.emit(FlowStarted(run.start))
        end = await self._walk()
        self._over = True
        run.bot.dismiss(_dismissal(end.reason))
        await run.stop_tasks()
        run.drop_handover()
        await self._hang_up(end)
        self._absorb_cancellation()
        run.emit(FlowEnded(end.reason, end.message))
        return FlowResult(
            path=tuple(run.path),
            end=end.reason,
            handover=None if run.handover is run.brought else run.handover,
            attempts=tuple(sorted(run.attempts.values(), key=lambda each: int(each.id[1:]))),
            message=end.message,
            tags=tuple(run.tags),
        )

    async def _walk(self) -> End:
        step = self._diversion or self._run.place
        self._diversion = None
        for _ in range(MAX_NODES_ENTERED):
            if isinstance(step, End):
                return step
            step = await self._visit(step)
        if isinstance(step, End):
            return step
        message = f"{MAX_NODES_ENTERED} nodes entered: the flow runs in circles"
        log.error("flow stopped", call_id=self._run.call.id, reason=message)
        return End(EndReason.FAILED, message=message)

    async def _visit(self, place: Place) -> Step:
        """Let a node do its work; return where the call goes, whoever decided that."""
        run = self._run
        run.place = place
        if place.flow != self._recorded_for:
            self._recorded_for = place.flow
            self._record_flow()
        run.path.append(run.label(place))
        node = run.flow.nodes[place.node]
        self._work = work = asyncio.create_task(self._enter(node))
        run.emit(NodeEntered(place.flow, place.node, node.type))
        try:
            await done(work)
        except asyncio.CancelledError:
            self._stopped = True
            await stop(work)
        self._work = None  # the traceback of one that was cut into leads back here
        step = self._next(self._returned(work))
        if isinstance(step, End):
            run.emit(NodeLeft(place.flow, place.node, "", step.reason))
        else:
            run.emit(NodeLeft(place.flow, place.node, run.label(step)))
        return step

    def _record_flow(self) -> None:
        run = self._run
        for wanted in run.flow.recorded_legs:
            if run.recording.active(wanted.leg):
                continue
            refusal = run.record_call(RecordOrder(RecordAction.START, wanted.leg, wanted.sides))
            if refusal:
                run.emit(RecordingRefused(RecordAction.START, refusal))

    async def _enter(self, node: Node) -> Step:
        run = self._run
        if not isinstance(node, AgentTransfer | Record | Lookup | Goto):
            await run.answer()  # a transfer may let the target answer first, and the rest is silent
        match node:
            case Play():
                return await play.enter(node, run)
            case Bot():
                return await bot.enter(node, run)
            case AgentTransfer():
                return await agent_transfer.enter(node, run)
            case Record():
                return record.enter(node, run)
            case Lookup():
                return lookup.enter(node, run)
            case Goto():
                return goto.enter(node, run)
            case Hangup():
                return await hangup.enter(node, run)

    def _returned(self, work: asyncio.Task[Step]) -> Step | None:
        """What a node returned; None: it was cut into."""
        if work.cancelled():
            return None
        error = work.exception()
        if error is None:
            return work.result()
        if isinstance(error, CallEnded):
            self._run.caller_left = self._run.caller_left or Side.CALLER
            return None
        log.error("node failed", call_id=self._run.call.id, node=self.position, exc_info=error)
        return End(EndReason.FAILED, message=f"{self.position}: {type(error).__name__}: {error}")

    def _next(self, step: Step | None) -> Step:
        """Where the call goes: a lost caller outweighs a stop, a stop a decision, a decision the
        node's own step. A flow that had come to its end by then keeps that end."""
        diversion, self._diversion = self._diversion, None
        left = self._run.caller_left
        if left is not None or self._stopped:
            if isinstance(step, End):
                return step
            if left is not None and self._joined:
                return End(EndReason.JOINED)
            ours = left is None or left is Side.GATEWAY
            return End(EndReason.SHUTDOWN if ours else EndReason.CALLER_HANGUP)
        if diversion is not None:
            return diversion
        if step is None:
            return End(EndReason.FAILED, message=f"{self.position}: cancelled from outside")
        return step

    async def _hang_up(self, end: End) -> None:
        if self._run.caller_left is not None:
            return
        last = fitting(end.headers)
        for lost in last.dropped:
            self._run.emit(ValueDropped(lost.field, lost.reason))
        goodbye = asyncio.create_task(self._run.call.hangup(last.headers, end.code))
        if not await finished(goodbye, HANGUP_LIMIT):
            await stop(goodbye)
        error = None if goodbye.cancelled() else goodbye.exception()
        if error is not None and not isinstance(error, CallEnded):
            log.error("hang-up failed", call_id=self._run.call.id, exc_info=error)

    def _absorb_cancellation(self) -> None:
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()

    def _observe(self, event: Event) -> None:
        """What happens on the caller's leg while a node waits for something else."""
        if isinstance(event, SipMessage):
            return  # every second event is one, and no flow's business
        progress = self._run.reaching.happened(event)
        if progress is not None:
            self._run.bot.tell(progress)
        match event:
            case TransferJoined():
                self._run.answered.set()
                self._run.joined()
            case TransferEnded(attempt=attempt) if attempt.referred_by:
                self._run.attempts[attempt.id] = attempt  # within a transfer, or beside all of them
            case TransferEnded(attempt=attempt):
                self._run.record(attempt)
            case DtmfReceived(leg=leg, digit=digit) if leg == self._run.call.label:
                self._run.pressed(digit)
            case LegStarted(leg=leg, attempt=attempt) if attempt:
                self._run.lines.opened(leg, attempt)
            case LegWent():
                self._joined = True
            case LegEnded(leg=leg, by=side) if leg == self._run.call.label:
                self._run.caller_left = side
                if self._work is not None:
                    cut(self._work)
            case LegEnded(leg=leg):
                self._run.lines.closed(leg)
                if self._run.chase is not None:
                    self._run.chase.line_free()

    def decide(self, decision: Decision) -> None:
        """Follow an operator's decision.

        Returns once it is accepted; the current node is then letting go of the call. A transfer to
        the target that a running one is for is joined to that one.

        Raises:
            DecisionRefused: the call cannot follow it now. Nothing has changed.
        """
        if self._over or self._run.caller_left is not None or isinstance(self._diversion, End):
            raise DecisionRefused(RefusalReason.CALL_ENDED, "the call is over")
        step = self._operator.decide(decision)
        if step is not None:
            self._run.bot.dismiss(Dismissal.ELSEWHERE)
            self._diversion = step
            if self._work is not None:
                cut(self._work)


def _dismissal(end: EndReason) -> Dismissal:
    """Why a bot that has stayed leaves when the flow ends."""
    match end:
        case EndReason.TRANSFERRED | EndReason.HANDED_BACK:
            return Dismissal.TRANSFERRED
        case EndReason.CALLER_HANGUP | EndReason.JOINED:
            return Dismissal.CALLER_LEFT
        case _:
            return Dismissal.ELSEWHERE
