"""A caller is handed over: asked for, announced, hunted for, and tried again as the node says."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import structlog

from config import flows
from config.flows import AgentTransfer, Retry
from config.groups import Group
from config.outcomes import NEVER_RETRIED
from config.targets import Target
from ivr.events import ResumeOffered, TransferRetried
from ivr.fallback import choose
from ivr.flow_run import FlowRun
from ivr.hunt.chase import Chase, MakeOrder, Try
from ivr.hunt.machine import PATIENCE, Ring
from ivr.hunt.plan import Candidate, Plan, plan_for_group, plan_for_one
from ivr.hunt.waiting import Waiting
from ivr.hunt.whispering import Whispering
from ivr.ports import TransferOrder
from ivr.reaching import Progress
from ivr.resumption import Resumption, trunk_of, way_back
from ivr.tasks import finished, stop
from ivr.transfer_request import asked_method, method_for, method_refused
from sip.order import Acceptance
from sip.outcome import Attempt, Handover, HandoverStatus, Method, Outcome

log = structlog.get_logger()

RELEASE_LIMIT = 10.0
"""Seconds for the verdict on an attempt that is torn away: cancelled (a CANCEL has its 487 within
a round trip), or left by the caller (a trunk's `bye_grace` is a second). Then it is cut off."""

MAX_ATTEMPTS = 50
"""In one call. More is a flow that retries for ever, and a phone that never stops ringing."""


class HandingOver:
    """One visit of the node: whom it is trying to reach, and how often it has."""

    def __init__(self, node: AgentTransfer, run: FlowRun) -> None:
        request = run.request
        # The method was asked for once; a fallback node that tries again has its own.
        run.request = replace(request, method=None)
        self._node = node
        self._run = run
        self._request = request
        self._name, self._whom = run.directory.reached_by(node, request)
        self._method = asked_method(node, request)
        self._retries: Counter[str] = Counter()
        self._waiting = Waiting(node, run)
        run.handover = Handover(HandoverStatus.QUEUED, target=self._name)

    async def carry_out(self) -> Attempt:
        """Announce, then hunt as often as the fallback table says; the handover has the result."""
        run = self._run
        run.bot.tell(Progress(self._name, HandoverStatus.QUEUED))
        try:
            attempt = await self._first()
            while (retry := self._retry(attempt)) is not None:
                attempt = await self._again(retry)
            # Before anything is waited for: from here on there is nothing to be taken back.
            run.handover = Handover.of(attempt)
            run.withdrawn = None  # one that came too late is not for the next transfer
            run.bot.tell(run.handover)
        finally:
            await self._waiting.end()
        return attempt

    async def _first(self) -> Attempt:
        barred = await self._barred()
        if barred is not None:
            return barred
        await _announce(self._node, self._run)
        # One target alone has been asked for; a group's members are asked for one by one.
        return await self._hunt(self._plan(ask=False))

    async def _again(self, retry: Retry) -> Attempt:
        run = self._run
        if retry.next_target is not None:
            self._name, self._whom = retry.next_target, run.directory.find(retry.next_target)
            self._method = None
        if isinstance(self._whom, Group) and (barred := await self._barred()) is not None:
            return barred
        return await self._hunt(replace(self._plan(ask=True), delay=retry.delay))

    def _retry(self, attempt: Attempt) -> Retry | None:
        """What the fallback table says about another try; None: nothing, or none can be made."""
        run = self._run
        if attempt.outcome.succeeded or attempt.outcome is Outcome.ABANDONED:
            return None
        if attempt.outcome.value in NEVER_RETRIED or run.caller_left is not None:
            return None
        key, row = choose(self._node.fallback, attempt)
        retry = row.retry
        if retry is None or self._retries[key] == retry.times:
            return None
        patience = 0 if retry.next_target else attempt.retry_after or 0
        if patience > PATIENCE or run.attempts_made >= MAX_ATTEMPTS:
            return None
        self._retries[key] += 1
        delay = round(1000 * max(retry.delay, patience))
        run.emit(TransferRetried(attempt.id, key, retry.next_target or self._name, delay))
        return retry

    async def _barred(self) -> Attempt | None:
        """Why nobody is dialled: no such target, not by this method, not now."""
        run, name, whom = self._run, self._name, self._whom
        if whom is None:
            reason = f"no such target: {name}" if name else "no target was asked for"
            return self._undialled(Outcome.BAD_DESTINATION, reason)
        if (refused := method_refused(self._method, whom)) is not None:
            return self._undialled(Outcome.METHOD_UNSUPPORTED, refused.message)
        with self._waiting.meanwhile():
            closed = await run.availability.unavailable(name, whom)
        if run.withdrawn is not None:
            return None  # taken back meanwhile: that is what became of it
        return None if closed is None else self._undialled(Outcome.UNAVAILABLE, closed)

    def _undialled(self, outcome: Outcome, reason: str) -> Attempt:
        whom = self._whom
        usual = Method(whom.usual_method) if isinstance(whom, Target) else Method.INVITE
        how = self._method or usual
        if how is Method.AUTO:
            how = Method.REFER if self._takes_refer else Method.INVITE
        return self._run.undialled(how, self._name, outcome, reason)

    @property
    def _takes_refer(self) -> bool:
        """Whether a ladder begins with REFER: unless the caller's trunk is known not to take it."""
        trunk = self._run.directory.trunk
        if self._node.answer_on_bridge and not self._run.answered.is_set():
            return False  # a dialog that is not confirmed cannot be referred
        return trunk is not None and self._run.capabilities.takes_refer(trunk) is not False

    def _plan(self, *, ask: bool) -> Plan:
        node, run, refer = self._node, self._run, self._takes_refer
        match self._whom:
            case Target() as target:
                timeout = node.timeout or target.timeout
                how = method_for(self._method, target)
                return plan_for_one(self._name, target, how, timeout, refer=refer, ask=ask)
            case Group() as group:
                targets = run.directory.targets
                return plan_for_group(group, targets, run.rng, timeout=node.timeout, refer=refer)
            case None:
                raise LookupError(f"no such target: {self._name}")

    def _orders(self, plan: Plan) -> MakeOrder:
        """Makes the order for each try of a hunt, from what is known of the call now."""
        node, run, asked = self._node, self._run, self._request
        filling = run.filling()
        # The flow's author has the last word on what both say.
        headers = {**asked.headers, **filling.headers(node.headers)}
        context = asked.context.under(filling.context(node.context))
        # Of several who ring at once, whose early media would it be?
        alone = all(len(wave) == 1 for wave in plan.waves)
        accept, whispering = _acceptance(node, run), Whispering(node.whisper, context, filling, run)
        max_talk_prompt = run.audio(node.max_talk_prompt)

        async def order(candidate: Candidate, ring: Ring, made: Try) -> TransferOrder:
            whisper = whispering.for_a_try(ring.method)
            run.bot.tell(run.reaching.begin(made.attempt, candidate.name))
            return TransferOrder(
                attempt=made.attempt,
                name=candidate.name,
                target=candidate.target,
                method=ring.method,
                timeout=ring.timeout,
                headers=headers,
                context=context,
                token=await self._token(candidate, ring.method),
                dropped=tuple(filling.dropped),
                early_media=alone and node.waiting is flows.Waiting.EARLY_MEDIA,
                accept=accept,
                whisper=whisper,
                max_talk=node.max_talk,
                max_talk_prompt=max_talk_prompt,
                hold_music=run.prompts.waiting(flows.Waiting.MUSIC),
                claim=made.claim,
                withdrawal=made.withdrawal,
            )

        return order

    async def _token(self, candidate: Candidate, how: Method) -> str:
        """The hand-back token that the call leaves with; empty: it does not come back."""
        run = self._run
        back = way_back(self._node, how)
        trunk = trunk_of(how, run.call.info.trunk, candidate.target)
        if back is None or trunk is None:
            return ""
        variables = dict(run.variables)
        leaving = Resumption(run.call.id, run.place.flow, back, candidate.name, variables)
        token = await run.resumptions.offer(leaving, trunk)
        if token:
            run.emit(ResumeOffered(trunk, back))
        return token

    async def _hunt(self, plan: Plan) -> Attempt:
        run = self._run
        why, run.withdrawn = run.withdrawn, None
        if why is not None:
            return self._undialled(Outcome.CANCELLED, f"{why} before it was dialled")
        if any(way is not Method.INVITE for each in plan.candidates for way in each.ladder):
            await run.answer()
        run.handover = Handover(HandoverStatus.RINGING, target=self._name)
        self._waiting.begin()
        chase = Chase(run, plan, self._orders(plan))
        run.chase = chase
        chase.begin()  # at once: a leg may end, or the bot think better of it, before a task runs
        hunting = asyncio.create_task(chase.follow())
        try:
            return await asyncio.shield(hunting)
        except asyncio.CancelledError:
            attempt = await self._let_go(chase, hunting)
            run.handover = Handover.of(attempt)
            if run.caller_left is None:
                raise
            return attempt
        finally:
            run.chase = None

    async def _let_go(self, chase: Chase, hunting: asyncio.Task[Attempt]) -> Attempt:
        """The verdict on a hunt that is torn away: the caller left, or a decision came."""
        run = self._run
        if run.caller_left is not None:
            chase.caller_left()
        else:
            chase.let_go()
        if not await finished(hunting, RELEASE_LIMIT):
            log.error("transfer without a verdict", call_id=run.call.id, target=self._name)
            chase.release()
            await finished(hunting)
        return hunting.result()


async def _announce(node: AgentTransfer, run: FlowRun) -> None:
    """Play the accepted message out; returns early where the transfer is cancelled meanwhile."""
    if node.accepted_message is None or run.withdrawn is not None:
        return
    message = run.spawn(run.play(node.accepted_message))
    run.announcement = message
    try:
        await asyncio.wait({message})
    finally:
        run.announcement = None
        await stop(message)
    if not message.cancelled():
        message.result()


def _acceptance(node: AgentTransfer, run: FlowRun) -> Acceptance | None:
    """The question to the agent; None also where its prompt cannot be played, as with others."""
    accept = node.accept
    prompt = run.audio(accept.prompt) if accept is not None else None
    if accept is None or prompt is None:
        return None
    return Acceptance(prompt, accept.digits, accept.timeout, accept.times)
