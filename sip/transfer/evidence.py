"""What an attempt leaves behind: each thing as it happens, and one `Attempt` at the end."""

from __future__ import annotations

import time
from collections.abc import Callable

from sip.events import Event, TransferEnded, TransferProgress, TransferStarted
from sip.leg import Leg
from sip.message import Message
from sip.order import TransferOrder
from sip.outcome import Attempt, Outcome, Side, Step, left

# A peer that floods us with NOTIFYs or 18x is evidence enough by its first ones.
MAX_STEPS = 64
MAX_CAUSES = 8


class Evidence:
    """Collects one attempt. `conclude` takes effect once; what comes later changes nothing."""

    def __init__(self, order: TransferOrder, uri: str, emit: Callable[[Event], None]) -> None:
        self.order = order
        self._uri = uri
        self.emit = emit
        self._started = time.monotonic()
        self._joined_at: float | None = None
        self._steps: list[Step] = []
        self._sipfrags: list[str] = []
        self._causes: list[str] = []
        self._verdict_ms: int | None = None
        self.retry_after: int | None = None
        self.bye_by: Side | None = None
        self.taken_over = False
        """The caller's peer has both parties of an attended transfer."""
        self.attempt: Attempt | None = None
        emit(TransferStarted(order.attempt, order.method, order.name, uri))

    def step(self, what: str, code: int | None = None, detail: str = "") -> None:
        """Note that something happened."""
        if len(self._steps) < MAX_STEPS:
            self._steps.append(Step(self._elapsed_ms(), what, code, detail))

    def progress(self, code: int, reason: str) -> None:
        """The target is being reached."""
        self.emit(TransferProgress(self.order.attempt, code, reason))

    def sipfrag(self, status_line: str) -> None:
        """A status line reported by NOTIFY."""
        if len(self._sipfrags) < MAX_STEPS:
            self._sipfrags.append(status_line)

    def because(self, message: Message | None) -> None:
        """Keep why a response, NOTIFY or BYE says that it came."""
        for cause in message.causes if message is not None else ():
            if cause not in self._causes and len(self._causes) < MAX_CAUSES:
                self._causes.append(cause)

    def joined(self) -> None:
        """Caller and target hear each other from now on."""
        self._joined_at = time.monotonic()
        self._verdict_ms = self._elapsed_ms()
        self.step("joined")

    @property
    def was_joined(self) -> bool:
        """Whether caller and target heard each other."""
        return self._joined_at is not None

    def conclude(
        self, outcome: Outcome, code: int | None = None, reason: str = "", timer: str | None = None
    ) -> Attempt:
        """The verdict, emitted once; a second call returns the first one's attempt."""
        if self.attempt is not None:
            return self.attempt
        now = self._elapsed_ms()
        talk = 0.0 if self._joined_at is None else time.monotonic() - self._joined_at
        self.attempt = Attempt(
            id=self.order.attempt,
            method=self.order.method,
            target=self.order.name,
            uri=self._uri,
            outcome=outcome,
            referred_by=self.order.referred_by,
            code=code,
            reason=reason,
            causes=tuple(self._causes),
            retry_after=self.retry_after,
            timer=timer,
            taken_over=self.taken_over,
            bye_by=self.bye_by,
            sipfrags=tuple(self._sipfrags),
            steps=tuple(self._steps),
            verdict_ms=now if self._verdict_ms is None else self._verdict_ms,
            talk_ms=round(talk * 1000),
            tags=tuple(self.order.context.tags),
            dropped=self.order.dropped,
        )
        self.emit(TransferEnded(self.attempt))
        return self.attempt

    def torn_away(self, caller: Leg) -> Attempt:
        """Conclude what was cancelled from outside: the caller left, or the call goes elsewhere."""
        if caller.gone:
            return self.left_by(caller)
        return self.conclude(Outcome.CANCELLED)

    def left_by(self, caller: Leg) -> Attempt:
        """Conclude what the caller has not waited for: its leg has ended, before it was joined."""
        self.bye_by = caller.dialog.ended_by
        outcome, reason = left(self.bye_by)
        return self.conclude(outcome, reason=reason)

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)


class TakeOver(Evidence):
    """Of the REFER that completes an attended transfer: its steps are the attempt's, and so is its
    success. Its failure is not: the attempt goes on.
    """

    def __init__(self, whole: Evidence) -> None:
        self.__dict__.update(whole.__dict__)  # steps and sipfrags are the same lists
        self._whole = whole
        self.emit = self._take_in

    def _take_in(self, event: Event) -> None:
        whole = self._whole
        if not isinstance(event, TransferEnded):
            whole.emit(event)
            return
        ended = event.attempt
        whole.bye_by, whole.retry_after = ended.bye_by, ended.retry_after
        if ended.outcome.succeeded:
            whole.taken_over = True
            whole.conclude(ended.outcome, ended.code, ended.reason, ended.timer)
