"""A hunt, wave by wave, until somebody takes the caller: a state machine without I/O.

Input is what happened, to whom, and `now`; output is a list of actions, and `wake_at`. An input
that a state has no row for is an error of the caller: it raises and changes nothing.

What holds, whatever happens in whatever order:
- a destination that may still be ringing is not dialled; one that asked for time is left alone;
- nobody is dialled before it was asked whether it can be reached, nor once the hunt's time is over;
- at most one target gets the caller, and the others are called off at once;
- a transfer that nobody knows the end of (a REFER without verdict) is the last one;
- there is exactly one end, after the last verdict.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar

from ivr.hunt.lines import Lines
from ivr.hunt.plan import Plan
from sip.order import Withdrawal
from sip.outcome import Method

PATIENCE = 60.0
"""Seconds that a caller is kept waiting for a destination that cannot be dialled yet. An INVITE
that is cancelled and never answered is over after 32 (64*T1, RFC 3261 section 9.1)."""

SHORTEST_RING = 1.0
"""Seconds: with less than this left, nobody is dialled any more. He could not answer in time."""


class State(Enum):
    """Where a hunt stands."""

    NEW = auto()
    SEARCHING = auto()
    TAKEN = auto()
    """Somebody has the caller; his verdict comes when the talk is over."""
    STOPPING = auto()
    """Nobody is rung any more; verdicts are still to come."""
    OVER = auto()


class Input(Enum):
    """What can happen to a hunt. The first three are about a candidate, the next about a try."""

    REACHABLE = auto()
    UNREACHABLE = auto()
    """Availability or office hours say no."""
    CLAIM = auto()
    """A target has answered and asks for the caller."""
    SUCCEEDED = auto()
    FAILED = auto()
    REFUSED = auto()
    """The peer does not know the method, and has done nothing."""
    UNCERTAIN = auto()
    """It may still be ringing, out of our hands."""
    BEGIN = auto()
    LINE_FREE = auto()
    """A leg is gone: its destination may be dialled again."""
    WAKE = auto()
    """`wake_at` has come."""
    STOP = auto()
    """Somebody took the transfer back, or the caller has left."""


class Ending(Enum):
    """How a hunt ends."""

    TAKEN = auto()
    FAILED = auto()
    STOPPED = auto()


@dataclass(frozen=True, slots=True)
class Ask:
    """Find out whether a candidate can be reached."""

    candidate: int


@dataclass(frozen=True, slots=True)
class Ring:
    """Make a try. The next ones are numbered on: 0, 1 …"""

    candidate: int
    attempt: int
    method: Method
    timeout: float


@dataclass(frozen=True, slots=True)
class Grant:
    """The claim holds: this try has the caller."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Call a try off; its verdict is still due."""

    attempt: int
    why: Withdrawal


@dataclass(frozen=True, slots=True)
class PassOver:
    """A candidate is not dialled at all: its line, or its answer, was not there in time."""

    candidate: int


@dataclass(frozen=True, slots=True)
class End:
    """The one end."""

    how: Ending
    attempt: int | None = None
    """Who has, or had, the caller."""


Action = Ask | Ring | Grant | Withdraw | PassOver | End


class IllegalInput(Exception):
    """This cannot happen in this state; the hunt is unchanged."""


ABOUT_CANDIDATES = frozenset({Input.REACHABLE, Input.UNREACHABLE})
ABOUT_TRIES = frozenset(
    {Input.CLAIM, Input.SUCCEEDED, Input.FAILED, Input.REFUSED, Input.UNCERTAIN}
)

Row = Callable[["Hunt", int, Withdrawal], list[Action]]


class Hunt:
    """One hunt, from its first question to its end."""

    def __init__(self, plan: Plan, lines: Lines) -> None:
        self.state = State.NEW
        self._plan = plan
        self._lines = lines
        self._waves = deque(plan.waves)
        self._ladders = [list(each.ladder) for each in plan.candidates]
        """The methods that are left for each candidate."""
        self._asked: set[int] = set()
        self._waiting: list[int] = []
        """Candidates whose line is not free."""
        self._waiting_since = 0.0
        self._trying: dict[int, int] = {}
        """Candidates, by try."""
        self._tries = 0
        self._begins_at = 0.0
        self._deadline: float | None = None
        """When the hunt's time is over; known from its first try on."""
        self._winner: int | None = None
        self._stopped = False
        self._now = 0.0

    def happened(
        self, what: Input, now: float, whom: int = 0, why: Withdrawal = Withdrawal.CANCELLED
    ) -> list[Action]:
        """Take in what happened.

        Args:
            what: see `Input`.
            now: seconds of a clock that never goes back.
            whom: the candidate or the try that it is about.
            why: with `STOP`, what the tries are called off for.

        Raises:
            IllegalInput: the table has no such row, or no such candidate or try is waited for.
        """
        row = self.TABLE[self.state].get(what)
        if row is None:
            raise IllegalInput(f"{what.name} in state {self.state.name}")
        if what in ABOUT_CANDIDATES and whom not in self._asked:
            raise IllegalInput(f"{what.name}: candidate {whom} was not asked")
        if what in ABOUT_TRIES and whom not in self._trying:
            raise IllegalInput(f"{what.name}: try {whom} is not under way")
        self._now = now
        return row(self, whom, why)

    @property
    def wake_at(self) -> float | None:
        """When `WAKE` is due; None: only what happens moves the hunt on."""
        if self.state is not State.SEARCHING or self._busy:
            return None
        if self._now < self._begins_at:
            return self._begins_at
        if not self._waiting:
            return None
        times = [self._free_at(number) for number in self._waiting]
        return min([self._give_up_at, *(time for time in times if time is not None)])

    # The rows of the table

    def _begin(self, _: int, __: Withdrawal) -> list[Action]:
        self.state = State.SEARCHING
        self._begins_at = self._now + self._plan.delay
        return self._go_on()

    def _reachable(self, candidate: int, _: Withdrawal) -> list[Action]:
        self._asked.discard(candidate)
        return [*self._ring(candidate), *self._go_on()]

    def _unreachable(self, candidate: int, _: Withdrawal) -> list[Action]:
        self._asked.discard(candidate)
        return self._go_on()

    def _claim(self, attempt: int, _: Withdrawal) -> list[Action]:
        self.state, self._winner = State.TAKEN, attempt
        return [Grant(attempt), *self._call_off(Withdrawal.ELSEWHERE)]

    def _failed(self, attempt: int, _: Withdrawal) -> list[Action]:
        del self._trying[attempt]
        return self._go_on()

    def _refused(self, attempt: int, _: Withdrawal) -> list[Action]:
        candidate = self._trying.pop(attempt)
        # A trunk that does not take one REFER takes none: the others are not referred either.
        for ladder in self._ladders:
            if len(ladder) > 1:
                ladder.remove(Method.REFER)
        steps_down = Method.REFER not in self._ladders[candidate]
        return [*(self._ring(candidate) if steps_down else []), *self._go_on()]

    def _uncertain(self, attempt: int, _: Withdrawal) -> list[Action]:
        del self._trying[attempt]
        self.state = State.STOPPING
        return [*self._call_off(Withdrawal.CANCELLED), *self._end_if_quiet()]

    def _succeeded(self, attempt: int, _: Withdrawal) -> list[Action]:
        """By REFER or BYE, which ask for nothing."""
        del self._trying[attempt]
        self.state, self._winner = State.TAKEN, attempt
        return [*self._call_off(Withdrawal.ELSEWHERE), *self._end_if_quiet()]

    def _crossed(self, attempt: int, _: Withdrawal) -> list[Action]:
        """A success that was on its way when the hunt was stopped."""
        del self._trying[attempt]
        self.state, self._winner = State.TAKEN, attempt
        return self._end_if_quiet()

    def _settled(self, attempt: int, _: Withdrawal) -> list[Action]:
        del self._trying[attempt]
        return self._end_if_quiet()

    def _look(self, _: int, __: Withdrawal) -> list[Action]:
        return self._go_on()

    def _stop(self, _: int, why: Withdrawal) -> list[Action]:
        self._stopped = True
        self.state = State.STOPPING
        return [*self._call_off(why), *self._end_if_quiet()]

    def _nothing(self, _: int, __: Withdrawal) -> list[Action]:
        return []

    # What they are made of

    @property
    def _busy(self) -> bool:
        return bool(self._asked or self._trying)

    def _go_on(self) -> list[Action]:
        """Where nothing is under way: the next wave, or who waits for his line, or the end."""
        if self._busy or self._now < self._begins_at:
            return []
        if self._too_late:
            return self._give_up()
        if self._waves:
            return self._begin_wave(self._waves.popleft())
        if not self._waiting:
            return self._end()
        for number in list(self._waiting):
            if self._is_free(number):
                self._waiting.remove(number)
                return self._ring(number)
        return [] if self._worth_waiting else self._give_up()

    def _begin_wave(self, wave: Sequence[int]) -> list[Action]:
        candidates = self._plan.candidates
        self._asked.update(number for number in wave if candidates[number].ask)
        actions: list[Action] = []
        for number in wave:
            actions += [Ask(number)] if candidates[number].ask else self._ring(number)
        return [*actions, *self._go_on()]

    def _ring(self, candidate: int) -> list[Action]:
        """A try, or a place among those who wait for their line."""
        if not self._is_free(candidate):
            if not self._waiting:
                self._waiting_since = self._now
            self._waiting.append(candidate)
            return []
        known = self._plan.candidates[candidate]
        if self._deadline is None and self._plan.limit is not None:
            self._deadline = self._now + self._plan.limit
        left = known.timeout if self._deadline is None else self._deadline - self._now
        if self._too_late:
            return [PassOver(candidate)]
        attempt, self._tries = self._tries, self._tries + 1
        self._trying[attempt] = candidate
        return [Ring(candidate, attempt, self._ladders[candidate][0], min(known.timeout, left))]

    @property
    def _too_late(self) -> bool:
        if self._deadline is None or self._plan.limit is None:
            return False
        return self._now > self._deadline - min(SHORTEST_RING, self._plan.limit)

    def _is_free(self, candidate: int) -> bool:
        destination = self._plan.candidates[candidate].destination
        trying = {self._plan.candidates[each].destination for each in self._trying.values()}
        return destination not in trying and self._free_at(candidate) == self._now

    def _free_at(self, candidate: int) -> float | None:
        return self._lines.free_at(self._plan.candidates[candidate].destination, self._now)

    @property
    def _worth_waiting(self) -> bool:
        """Whether one of the lines can still be free in time. What has asked to be left alone for
        longer than that would let the caller wait for nothing."""
        times = (self._free_at(number) for number in self._waiting)
        earliest = min(self._now if time is None else time for time in times)
        return self._now < self._give_up_at and earliest <= self._give_up_at

    @property
    def _give_up_at(self) -> float:
        patience = self._waiting_since + PATIENCE
        return patience if self._deadline is None else min(patience, self._deadline)

    def _give_up(self) -> list[Action]:
        late = [PassOver(number) for number in self._waiting]
        self._waiting.clear()
        return [*late, *self._end()]

    def _call_off(self, why: Withdrawal) -> list[Withdraw]:
        return [Withdraw(each, why) for each in self._trying if each != self._winner]

    def _end_if_quiet(self) -> list[Action]:
        return [] if self._trying else self._end()

    def _end(self) -> list[Action]:
        self.state = State.OVER
        if self._winner is not None:
            return [End(Ending.TAKEN, self._winner)]
        return [End(Ending.STOPPED if self._stopped else Ending.FAILED)]

    _LATE: ClassVar[dict[Input, Row]] = {
        Input.REACHABLE: _nothing,
        Input.UNREACHABLE: _nothing,
        Input.CLAIM: _nothing,
        Input.SUCCEEDED: _settled,
        Input.FAILED: _settled,
        Input.REFUSED: _settled,
        Input.UNCERTAIN: _settled,
        Input.LINE_FREE: _nothing,
        Input.WAKE: _nothing,
        Input.STOP: _nothing,
    }
    """Once nobody new is dialled: claims are not granted, verdicts are taken in until the last."""

    TABLE: ClassVar[dict[State, dict[Input, Row]]] = {
        State.NEW: {Input.BEGIN: _begin, Input.STOP: _stop},
        State.SEARCHING: {
            Input.REACHABLE: _reachable,
            Input.UNREACHABLE: _unreachable,
            Input.CLAIM: _claim,
            Input.SUCCEEDED: _succeeded,
            Input.FAILED: _failed,
            Input.REFUSED: _refused,
            Input.UNCERTAIN: _uncertain,
            Input.LINE_FREE: _look,
            Input.WAKE: _look,
            Input.STOP: _stop,
        },
        State.TAKEN: _LATE,
        State.STOPPING: {**_LATE, Input.SUCCEEDED: _crossed},
        State.OVER: {
            Input.LINE_FREE: _nothing,
            Input.WAKE: _nothing,
            Input.STOP: _nothing,
        },
    }
