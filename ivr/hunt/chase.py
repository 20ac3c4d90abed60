"""A hunt carried out on a call: what the machine says is done, what happens is told to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from ivr.flow_run import FlowRun
from ivr.hunt.machine import (
    Action,
    Ask,
    End,
    Ending,
    Grant,
    Hunt,
    Input,
    PassOver,
    Ring,
    State,
    Withdraw,
)
from ivr.hunt.plan import Candidate, Plan
from ivr.hunt.verdicts import meaning, most_telling, takes_refer
from ivr.ports import CallEnded, TransferOrder
from ivr.resumption import has_left
from ivr.tasks import cut
from sip.order import Withdrawal
from sip.outcome import Attempt, Method, Outcome, Side, left

TOO_LATE = "the time for this transfer is over"


MakeOrder = Callable[[Candidate, Ring, "Try"], Awaitable[TransferOrder]]
"""Makes the order for a try."""


@dataclass(frozen=True, slots=True)
class Try:
    """What the hunt itself puts into an order."""

    attempt: str
    claim: Callable[[], bool]
    withdrawal: asyncio.Future[Withdrawal]


class Chase:
    """One hunt on one call. Made anew for each."""

    def __init__(self, run: FlowRun, plan: Plan, order: MakeOrder) -> None:
        self._run = run
        self._plan = plan
        self._order = order
        self._loop = asyncio.get_running_loop()
        self._hunt = Hunt(plan, run.lines)
        self._questions: set[asyncio.Task[None]] = set()
        self._transfers: dict[int, asyncio.Task[Attempt]] = {}
        """Those under way, by try."""
        self._rung: dict[int, tuple[Ring, Try]] = {}
        """The same, until their verdict is in."""
        self._orders: dict[int, TransferOrder] = {}
        """Of those under way that have one already, by try."""
        self._ended: dict[int, Attempt] = {}
        """By try."""
        self._failures: list[Attempt] = []
        """In the order of their verdicts, those that were not dialled among them."""
        self._granted: set[int] = set()
        self._called_off: set[int] = set()
        """Tries that were under way when the hunt was stopped."""
        self._why = Withdrawal.CANCELLED
        self._fault: BaseException | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[End] = self._loop.create_future()

    def begin(self) -> None:
        """Ring whoever is first. From now on it may be told what happens."""
        self._happened(Input.BEGIN)

    async def follow(self) -> Attempt:
        """Hunt to the end; it has begun.

        Returns:
            The attempt that stands for the whole: the one that succeeded, else the most telling
            failure; `cancelled` where the hunt was stopped.

        Raises:
            Exception: a fault of ours in a transfer, once the others have been called off.
        """
        try:
            end = await self._over
            if self._fault is not None:
                raise self._fault
            return self._result(end)
        finally:
            if self._wake is not None:
                self._wake.cancel()
            for question in self._questions:
                cut(question)
            await asyncio.gather(*self._questions, return_exceptions=True)

    def stop(self, why: Withdrawal) -> None:
        """Call off whoever is rung, or consulted. Without effect once somebody has the caller: see
        `beyond_recall`, and `FlowRun.connected`."""
        self._why = why
        for number in self._granted & self._transfers.keys():
            _, made = self._rung[number]
            if not made.withdrawal.done():
                made.withdrawal.set_result(why)
        self._called_off = self._called_off or set(self._transfers)
        self._happened(Input.STOP, why=why)

    @property
    def beyond_recall(self) -> bool:
        """Whether the caller has been handed over by REFER or BYE: no message takes that back."""
        # A transfer without an order has not begun: it looks at its withdrawal first.
        under_way = (self._rung[number] for number in self._transfers.keys() & self._orders.keys())
        return any(
            ring.method is Method.BYE or self._has_succeeded(made) for ring, made in under_way
        )

    def _has_succeeded(self, made: Try) -> bool:
        attempt = self._run.attempts.get(made.attempt)
        return attempt is not None and attempt.outcome.succeeded

    def caller_left(self) -> None:
        """Nobody new is rung; attempts under way notice it themselves."""
        if not self._transfers:
            self._happened(Input.STOP)

    def line_free(self) -> None:
        """A leg is gone."""
        self._happened(Input.LINE_FREE)

    def let_go(self) -> None:
        """The call goes elsewhere: call off whoever is rung, or end the talk."""
        if self._hunt.state is State.TAKEN:
            self.release()  # there is no verdict to wait for
        else:
            self.stop(Withdrawal.LET_GO)

    def release(self) -> None:
        """Let go of whoever has the caller, or is still being called off, without his verdict."""
        for transfer in self._transfers.values():
            cut(transfer)

    def _happened(
        self, what: Input, whom: int = 0, why: Withdrawal = Withdrawal.CANCELLED
    ) -> list[Action]:
        actions = self._hunt.happened(what, self._loop.time(), whom, why)
        for action in actions:
            self._do(action)
        if self._wake is not None:
            self._wake.cancel()
        at = self._hunt.wake_at
        self._wake = None if at is None else self._loop.call_at(at, self._happened, Input.WAKE)
        return actions

    def _do(self, action: Action) -> None:
        match action:
            case Ask(number):
                question = asyncio.create_task(self._ask(number))
                self._questions.add(question)
                question.add_done_callback(self._questions.discard)
            case Ring():
                self._ring(action)
            case Grant(number):
                self._granted.add(number)
            case Withdraw(number, why):
                _, made = self._rung[number]
                if not made.withdrawal.done():
                    made.withdrawal.set_result(why)
            case PassOver(number):
                candidate = self._plan.candidates[number]
                reason = self._run.lines.why_not(candidate.destination, self._loop.time())
                self._not_dialled(candidate, reason or TOO_LATE)
            case End():
                self._over.set_result(action)

    async def _ask(self, number: int) -> None:
        candidate = self._plan.candidates[number]
        reason = await self._run.availability.unavailable(candidate.name, candidate.target)
        if self._over.done():
            return
        if reason is not None:
            self._not_dialled(candidate, reason)
        self._happened(Input.REACHABLE if reason is None else Input.UNREACHABLE, number)

    def _not_dialled(self, candidate: Candidate, reason: str) -> None:
        attempt = self._run.undialled(
            candidate.ladder[0], candidate.name, Outcome.UNAVAILABLE, reason
        )
        self._failures.append(attempt)

    def _ring(self, ring: Ring) -> None:
        number = ring.attempt
        made = Try(
            self._run.next_attempt(), partial(self._claim, number), self._loop.create_future()
        )
        self._rung[number] = ring, made
        self._run.lines.begin(made.attempt, self._plan.candidates[ring.candidate].destination)
        transfer = asyncio.create_task(self._transfer(ring, made))
        self._transfers[number] = transfer
        transfer.add_done_callback(partial(self._verdict, number))

    async def _transfer(self, ring: Ring, made: Try) -> Attempt:
        order = await self._order(self._plan.candidates[ring.candidate], ring, made)
        self._orders[ring.attempt] = order
        return await self._run.call.transfer(order)

    def _claim(self, number: int) -> bool:
        """A target has answered; whether it gets the caller. The others are called off at once."""
        self._happened(Input.CLAIM, number)
        return number in self._granted

    def _verdict(self, number: int, transfer: asyncio.Task[Attempt]) -> None:
        del self._transfers[number]
        ring, made = self._rung[number]
        candidate = self._plan.candidates[ring.candidate]
        attempt = self._attempt(candidate, ring, made, transfer)
        self._ended[number] = attempt
        if not attempt.outcome.succeeded:
            self._failures.append(attempt)
        self._run.record(attempt)
        order = self._orders.pop(number, None)
        if order is not None and order.token and not has_left(attempt):
            self._run.resumptions.withdraw(order.token)
        self._run.lines.end(made.attempt)
        if attempt.retry_after is not None:
            until = self._loop.time() + attempt.retry_after
            self._run.lines.leave_alone(candidate.destination, until)
        takes = takes_refer(attempt)
        if takes is not None and self._run.directory.trunk is not None:
            trunk = self._run.directory.trunk
            self._run.capabilities.showed_refer(trunk, takes=takes, code=attempt.code)
        gone = self._run.caller_left is not None or attempt.outcome is Outcome.ABANDONED
        if gone or self._fault is not None:
            self._happened(Input.STOP)
        self._happened(meaning(attempt), number)
        del self._rung[number]

    def _attempt(
        self, candidate: Candidate, ring: Ring, made: Try, transfer: asyncio.Task[Attempt]
    ) -> Attempt:
        """The verdict of a transfer: its own; of one that was torn away, the one in its
        `TransferEnded`, else what is known here."""
        if not transfer.cancelled():
            error = transfer.exception()
            if error is None:
                return transfer.result()
            if not isinstance(error, CallEnded):
                self._fault = error
        if made.attempt in self._run.attempts:
            return self._run.attempts[made.attempt]
        here = self._run.caller_left is None and transfer.cancelled()
        ours = here or self._run.caller_left is Side.GATEWAY
        outcome = Outcome.CANCELLED if ours else Outcome.ABANDONED
        where = candidate.destination
        return Attempt(made.attempt, ring.method, candidate.name, where, outcome)

    def _result(self, end: End) -> Attempt:
        if end.attempt is not None:
            return self._ended[end.attempt]
        if end.how is Ending.FAILED and self._failures:
            return most_telling(self._failures)
        gone = self._run.caller_left
        if gone is not None and self._failures:
            return self._failures[-1]
        called_off = [self._ended[number] for number in sorted(self._called_off)]
        if called_off:
            return next((each for each in called_off if each.reason == self._why), called_off[-1])
        first = self._plan.candidates[0]
        outcome, reason = (Outcome.CANCELLED, self._why) if gone is None else left(gone)
        return self._run.undialled(first.ladder[0], first.name, outcome, reason)
