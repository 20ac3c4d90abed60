"""What an operator decides for a call, carried out as far as the call can follow it now."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Never

from config.call_recordings import Consent
from config.flows import AgentTransfer, Prompt
from ivr.decisions import (
    CancelTransfer,
    ContinueAt,
    Decision,
    DecisionRefused,
    GotoDecision,
    HangupDecision,
    PlayDecision,
    RecordDecision,
    RefusalReason,
    TransferDecision,
)
from ivr.events import DecisionTaken
from ivr.flow_run import End, FlowRun, Step, prompt_label
from ivr.ports import CallEnded, RecordOrder
from ivr.prompts.errors import PromptError
from ivr.result import EndReason
from ivr.transfer_request import TransferRequest
from sip.order import Withdrawal
from sip.outcome import Handover, HandoverStatus


class Operator:
    """Follows the decisions for one call."""

    def __init__(self, run: FlowRun) -> None:
        self._run = run
        self._prompt: asyncio.Task[None] | None = None

    def decide(self, decision: Decision) -> Step | None:
        """Follow a decision.

        Returns:
            Where the call goes, once the current node has let go of it; None: the node goes on.

        Raises:
            DecisionRefused: the call cannot follow it now. Nothing has changed.
        """
        match decision:
            case TransferDecision():
                return self._transfer(decision)
            case CancelTransfer():
                self._cancel_transfer()
            case HangupDecision(headers=headers, tags=tags):
                self._run.file_under(tags)
                self._run.emit(DecisionTaken("hangup"))
                return self._elsewhere(End(EndReason.OPERATOR_HANGUP, headers))
            case PlayDecision(prompt=prompt):
                self._play(prompt)
            case GotoDecision(node=node):
                self._check_node(node)
                self._run.emit(DecisionTaken("goto", node))
                return self._elsewhere(self._run.to(node))
            case ContinueAt(node=node):
                self._continue_at(node)
            case RecordDecision(order=order, consent=consent):
                self._record(order, consent)
        return None

    def _elsewhere(self, step: Step) -> Step:
        self._run.drop_handover()
        return step

    def _transfer(self, decision: TransferDecision) -> Step | None:
        """One to the target that a running one is for is joined to that one."""
        run = self._run
        name = run.flow.transfer_node
        node = run.flow.nodes[name] if name else None
        if name is None or not isinstance(node, AgentTransfer):
            message = f"the flow {run.flow.flow!r} names no `transfer_node`"
            _refuse(RefusalReason.NO_TRANSFER_NODE, message)
        request = TransferRequest(
            decision.target, decision.method, decision.headers, decision.context
        )
        target, _ = run.directory.reached_by(node, request)
        if decision.target and not run.directory.same(decision.target, target):
            _refuse(RefusalReason.TARGET_FIXED, f"the node {name!r} serves {target} only")
        if refusal := run.directory.refusal(node, request):
            _refuse(refusal.reason, refusal.message)
        if run.handover is not None and run.handing_over:
            if not run.directory.same(target, run.handover.target):
                message = f"a transfer to {run.handover.target} is running"
                _refuse(RefusalReason.TRANSFER_RUNNING, message)
            run.emit(DecisionTaken("transfer", target))
            return None
        run.emit(DecisionTaken("transfer", target))
        run.request = request
        step = self._elsewhere(run.to(name))
        run.handover = Handover(HandoverStatus.QUEUED, target=target)
        return step

    def _cancel_transfer(self) -> None:
        run = self._run
        if run.handover is None or not run.handing_over:
            _refuse(RefusalReason.NO_TRANSFER, "no transfer is running")
        if (why := run.beyond_recall) is not None:
            _refuse(RefusalReason.TRANSFER_ACTIVE, why)
        run.take_back(Withdrawal.CANCELLED)
        run.emit(DecisionTaken("cancel_transfer", run.handover.target))

    def _continue_at(self, node: str) -> None:
        run = self._run
        self._check_node(node)
        match run.flow.nodes[run.place.node]:
            case AgentTransfer(flow_continuation="below"):
                message = f"the node {run.place.node!r} goes on below, whatever is set"
                _refuse(RefusalReason.CONTINUATION_FIXED, message)
        run.emit(DecisionTaken("continue_at", node))
        run.continue_at = run.to(node)

    def _record(self, order: RecordOrder | None, consent: Consent | None) -> None:
        run = self._run
        refusal = run.record_call(order, consent)
        if refusal:
            _refuse(RefusalReason.RECORDING, refusal)
        done = order and f"{order.action} {order.leg}".rstrip()
        said = [each for each in (done, consent and f"consent {consent}") if each]
        run.emit(DecisionTaken("recording", ", ".join(said)))

    def _check_node(self, node: str) -> None:
        flow = self._run.flow
        if node not in flow.nodes:
            message = (
                f"the flow {flow.flow!r} has no node {node!r}; it has: {', '.join(flow.nodes)}"
            )
            _refuse(RefusalReason.UNKNOWN_NODE, message)

    def _play(self, prompt: Prompt) -> None:
        run = self._run
        refusal = run.prompts.refusal(run.place.flow, prompt)
        if refusal is not None:
            _refuse(RefusalReason.UNPLAYABLE, refusal)
        if self._prompt is not None and not self._prompt.done():
            _refuse(RefusalReason.ANNOUNCING, "the last prompt is still being played")
        run.emit(DecisionTaken("play", prompt_label(prompt)))
        self._prompt = run.spawn(_play_over(run, run.place.flow, prompt))


async def _play_over(run: FlowRun, flow: str, prompt: Prompt) -> None:
    """Play an operator's prompt over whatever else is heard."""
    await run.answered.wait()
    try:
        audio = await run.prompts.render(flow, prompt)
    except PromptError as error:
        run.report_unplayable(prompt, error)
        return
    with suppress(CallEnded):
        await run.sound(prompt, audio)


def _refuse(reason: RefusalReason, message: str) -> Never:
    raise DecisionRefused(reason, message)
