"""The hunt, whatever its targets, the caller and the clock do, in whatever order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.targets import Reach, Target
from ivr.hunt.lines import Lines
from ivr.hunt.machine import (
    PATIENCE,
    Ask,
    End,
    Ending,
    Grant,
    Hunt,
    IllegalInput,
    Input,
    PassOver,
    Ring,
    State,
    Withdraw,
)
from ivr.hunt.plan import Candidate, Plan
from sip.order import Withdrawal
from sip.outcome import Method

REFER, INVITE = Method.REFER, Method.INVITE


def candidate(
    user: str, *, ladder: tuple[Method, ...] = (INVITE,), timeout: float = 10, ask: bool = False
) -> Candidate:
    target = Target(kind=Reach.EXTERNAL, destination=f"sip:{user}@10.0.0.8")
    return Candidate(user, target, ladder, timeout, ask)


def hunt(*waves: tuple[Candidate, ...], limit: float | None = None) -> Hunt:
    every = tuple(each for wave in waves for each in wave)
    places = iter(range(len(every)))
    numbered = tuple(tuple(next(places) for _ in wave) for wave in waves)
    return Hunt(Plan(every, numbered, limit), Lines())


A, B, C = candidate("a"), candidate("b"), candidate("c")
FAILED, STOPPED = [End(Ending.FAILED)], [End(Ending.STOPPED)]


class TestOneAfterTheOther:
    def test_the_next_one_is_rung_when_one_fails(self) -> None:
        machine = hunt((A,), (B,))
        assert machine.happened(Input.BEGIN, 0) == [Ring(0, 0, INVITE, 10)]
        assert machine.happened(Input.FAILED, 3, 0) == [Ring(1, 1, INVITE, 10)]
        assert machine.happened(Input.FAILED, 5, 1) == FAILED

    def test_who_answers_has_the_caller_until_the_talk_is_over(self) -> None:
        machine = hunt((A,), (B,))
        machine.happened(Input.BEGIN, 0)
        assert machine.happened(Input.CLAIM, 2, 0) == [Grant(0)]
        assert machine.happened(Input.SUCCEEDED, 90, 0) == [End(Ending.TAKEN, 0)]

    def test_a_group_rings_no_longer_than_its_own_time(self) -> None:
        machine = hunt((A,), (B,), (C,), limit=15)
        assert machine.happened(Input.BEGIN, 100) == [Ring(0, 0, INVITE, 10)]
        assert machine.happened(Input.FAILED, 110, 0) == [Ring(1, 1, INVITE, 5)]
        assert machine.happened(Input.FAILED, 114.5, 1) == FAILED


class TestAllAtOnce:
    def test_the_first_who_answers_has_the_caller_and_the_others_are_called_off(self) -> None:
        machine = hunt((A, B, C))
        rung = machine.happened(Input.BEGIN, 0)
        assert rung == [Ring(n, n, INVITE, 10) for n in range(3)]
        assert machine.happened(Input.FAILED, 1, 2) == []
        assert machine.happened(Input.CLAIM, 2, 1) == [Grant(1), Withdraw(0, Withdrawal.ELSEWHERE)]
        assert machine.happened(Input.CLAIM, 2, 0) == []  # in the same moment: not granted
        assert machine.happened(Input.FAILED, 2, 0) == []
        assert machine.happened(Input.SUCCEEDED, 60, 1) == [End(Ending.TAKEN, 1)]

    def test_one_telephone_under_two_names_rings_once(self) -> None:
        machine = hunt((A, A))
        assert machine.happened(Input.BEGIN, 0) == [Ring(0, 0, INVITE, 10)]
        assert machine.happened(Input.FAILED, 1, 0) == [Ring(1, 1, INVITE, 10)]

    def test_the_next_wave_waits_for_the_last_of_this_one(self) -> None:
        machine = hunt((A, B), (C,))
        machine.happened(Input.BEGIN, 0)
        assert machine.happened(Input.FAILED, 1, 0) == []
        assert machine.happened(Input.FAILED, 2, 1) == [Ring(2, 2, INVITE, 10)]


class TestAvailability:
    def test_nobody_is_dialled_before_the_answer(self) -> None:
        asked = [candidate("a", ask=True), candidate("b", ask=True)]
        machine = hunt(tuple(asked))
        assert machine.happened(Input.BEGIN, 0) == [Ask(0), Ask(1)]
        assert machine.happened(Input.REACHABLE, 1, 1) == [Ring(1, 0, INVITE, 10)]
        assert machine.happened(Input.UNREACHABLE, 1, 0) == []
        assert machine.happened(Input.FAILED, 2, 0) == FAILED

    def test_an_answer_that_comes_too_late_changes_nothing(self) -> None:
        machine = hunt((candidate("a", ask=True),))
        machine.happened(Input.BEGIN, 0)
        assert machine.happened(Input.STOP, 1) == STOPPED


class TestTheLadder:
    def test_a_refused_refer_is_followed_by_an_invite_to_the_same_target(self) -> None:
        machine = hunt((candidate("a", ladder=(REFER, INVITE)),))
        assert machine.happened(Input.BEGIN, 0) == [Ring(0, 0, REFER, 10)]
        assert machine.happened(Input.REFUSED, 1, 0) == [Ring(0, 1, INVITE, 10)]

    def test_nobody_else_is_referred_over_that_trunk(self) -> None:
        steps = (REFER, INVITE)
        machine = hunt((candidate("a", ladder=steps),), (candidate("b", ladder=steps),))
        machine.happened(Input.BEGIN, 0)
        machine.happened(Input.REFUSED, 1, 0)
        assert machine.happened(Input.FAILED, 2, 1) == [Ring(1, 2, INVITE, 10)]

    def test_a_refer_alone_that_is_refused_has_failed(self) -> None:
        machine = hunt((candidate("a", ladder=(REFER,)),), (B,))
        machine.happened(Input.BEGIN, 0)
        assert machine.happened(Input.REFUSED, 1, 0) == [Ring(1, 1, INVITE, 10)]

    def test_after_a_refer_of_unknown_end_nobody_is_rung(self) -> None:
        machine = hunt((candidate("a", ladder=(REFER, INVITE)),), (B,))
        machine.happened(Input.BEGIN, 0)
        assert machine.happened(Input.UNCERTAIN, 16, 0) == FAILED


class TestLinesThatAreNotFree:
    """No second INVITE to a telephone that may still ring (RFC 3261 section 9.1)."""

    def test_a_telephone_that_still_rings_is_waited_for(self) -> None:
        machine = hunt((A,))
        machine._lines.begin("before", A.destination)
        assert machine.happened(Input.BEGIN, 0) == []
        assert machine.wake_at == PATIENCE
        machine._lines.end("before")
        assert machine.happened(Input.LINE_FREE, 4) == [Ring(0, 0, INVITE, 10)]

    def test_others_are_rung_meanwhile(self) -> None:
        machine = hunt((A,), (B,))
        machine._lines.begin("before", A.destination)
        assert machine.happened(Input.BEGIN, 0) == [Ring(1, 0, INVITE, 10)]

    def test_one_that_never_stops_is_passed_over(self) -> None:
        machine = hunt((A,))
        machine._lines.begin("before", A.destination)
        machine.happened(Input.BEGIN, 0)
        assert machine.happened(Input.WAKE, PATIENCE) == [PassOver(0), *FAILED]

    def test_retry_after_is_honoured(self) -> None:
        machine = hunt((A,))
        machine._lines.leave_alone(A.destination, 7)
        assert machine.happened(Input.BEGIN, 0) == []
        assert machine.wake_at == 7
        assert machine.happened(Input.WAKE, 6.5) == []
        assert machine.happened(Input.WAKE, 7) == [Ring(0, 0, INVITE, 10)]

    def test_one_that_is_free_at_the_last_moment_is_waited_for(self) -> None:
        machine = hunt((A,))
        machine._lines.leave_alone(A.destination, PATIENCE)
        assert machine.happened(Input.BEGIN, 0) == []
        assert machine.happened(Input.WAKE, PATIENCE) == [Ring(0, 0, INVITE, 10)]

    def test_nobody_waits_for_one_that_wants_to_be_left_alone_for_longer(self) -> None:
        machine = hunt((A,), (B,))
        machine._lines.leave_alone(A.destination, PATIENCE + 1)
        assert machine.happened(Input.BEGIN, 0) == [Ring(1, 0, INVITE, 10)]
        assert machine.happened(Input.FAILED, 0.5, 0) == [PassOver(0), *FAILED]

    def test_while_another_still_rings_it_is_worth_waiting(self) -> None:
        machine = hunt((A,), (B,))
        machine._lines.leave_alone(A.destination, 86_400)
        machine._lines.begin("before", B.destination)
        assert machine.happened(Input.BEGIN, 0) == []
        machine._lines.end("before")
        assert machine.happened(Input.LINE_FREE, 4) == [Ring(1, 0, INVITE, 10)]


class TestTakingItBack:
    def test_whoever_rings_is_called_off_and_the_end_comes_with_the_last_verdict(self) -> None:
        machine = hunt((A, B))
        machine.happened(Input.BEGIN, 0)
        why = Withdrawal.BY_CALLER
        assert machine.happened(Input.STOP, 1, why=why) == [Withdraw(0, why), Withdraw(1, why)]
        assert machine.happened(Input.CLAIM, 1, 0) == []  # too late: the caller does not wait
        assert machine.happened(Input.FAILED, 1, 0) == []
        assert machine.happened(Input.FAILED, 1, 1) == STOPPED

    def test_a_success_on_its_way_counts(self) -> None:
        machine = hunt((candidate("a", ladder=(REFER,)),))
        machine.happened(Input.BEGIN, 0)
        machine.happened(Input.STOP, 1)
        assert machine.happened(Input.SUCCEEDED, 1, 0) == [End(Ending.TAKEN, 0)]

    def test_while_nobody_rings_it_ends_at_once(self) -> None:
        machine = hunt((A,))
        machine._lines.leave_alone(A.destination, 7)
        machine.happened(Input.BEGIN, 0)
        assert machine.happened(Input.STOP, 1) == STOPPED

    def test_who_talks_is_not_called_off(self) -> None:
        machine = hunt((A,))
        machine.happened(Input.BEGIN, 0)
        machine.happened(Input.CLAIM, 1, 0)
        assert machine.happened(Input.STOP, 2) == []


@pytest.mark.parametrize("what", [Input.REACHABLE, Input.FAILED, Input.CLAIM])
def test_what_cannot_happen_raises_and_changes_nothing(what: Input) -> None:
    machine = hunt((A,))
    machine.happened(Input.BEGIN, 0)
    with pytest.raises(IllegalInput):
        machine.happened(what, 1, 5)
    assert machine.happened(Input.FAILED, 1, 0) == FAILED
    with pytest.raises(IllegalInput):
        machine.happened(Input.FAILED, 1, 0)


# Random interleavings


@dataclass
class World:
    """Everything around a hunt that can happen next, and what must hold after each step."""

    machine: Hunt
    plan: Plan
    lines: Lines
    limit: float | None
    now: float = 0.0
    asked: set[int] = field(default_factory=set)
    reachable: set[int] = field(default_factory=set)
    tries: dict[int, Ring] = field(default_factory=dict)
    granted: list[int] = field(default_factory=list)
    withdrawn: Counter[int] = field(default_factory=Counter)
    legs: dict[int, str] = field(default_factory=dict)
    """Destinations that may still ring, by try."""
    rung: Counter[tuple[int, Method]] = field(default_factory=Counter)
    first_ring: float | None = None
    not_before: dict[str, float] = field(default_factory=dict)
    uncertain: bool = False
    refer_refused: bool = False
    ends: list[End] = field(default_factory=list)

    def do(self, what: Input, whom: int = 0) -> None:
        for action in self.machine.happened(what, self.now, whom):
            assert not self.ends, "nothing comes after the end"
            self._check(action)

    def _check(self, action: object) -> None:
        match action:
            case Ask(number):
                self.asked.add(number)
            case Ring(number, attempt, method, timeout):
                one = self.plan.candidates[number]
                assert not (one.ask and number not in self.reachable), "dialled without asking"
                assert one.destination not in self.legs.values(), "rung twice at once"
                assert self.now >= self.not_before.get(one.destination, 0.0), "Retry-After"
                assert not self.granted, "rung after somebody has taken the caller"
                assert not self.uncertain, "rung after a REFER of unknown end"
                assert not (method is REFER and self.refer_refused and len(one.ladder) > 1)
                assert timeout > 0
                self.first_ring = self.now if self.first_ring is None else self.first_ring
                if self.limit is not None:
                    assert self.now + timeout <= self.first_ring + self.limit + 1e-6
                self.rung[number, method] += 1
                assert self.rung[number, method] == 1, "the same way twice in one hunt"
                self.tries[attempt] = action
                self.legs[attempt] = one.destination
                self.lines.begin(f"t{attempt}", one.destination)
                self.lines.opened(f"agent-{attempt}", f"t{attempt}")
            case Grant(attempt):
                self.granted.append(attempt)
                assert len(self.granted) == 1
            case Withdraw(attempt):
                assert attempt in self.tries
                assert attempt not in self.granted
                self.withdrawn[attempt] += 1
                assert self.withdrawn[attempt] == 1
            case PassOver():
                pass
            case End() as end:
                self.ends.append(end)
                assert not self.tries, "the end before the last verdict"

    def verdict(self, attempt: int, what: Input) -> None:
        ring = self.tries.pop(attempt)
        self.uncertain |= what is Input.UNCERTAIN
        self.refer_refused |= what is Input.REFUSED and self.machine.state is State.SEARCHING
        self.lines.end(f"t{attempt}")
        if ring.method is REFER:
            self.hang_up(attempt)
        self.do(what, attempt)

    def hang_up(self, attempt: int) -> None:
        self.legs.pop(attempt)
        self.lines.closed(f"agent-{attempt}")

    def possible(self) -> list[tuple[str, int]]:
        """What can happen next."""
        steps = [("reachable", n) for n in self.asked] + [("unreachable", n) for n in self.asked]
        for attempt, ring in self.tries.items():
            steps += [("fails", attempt), ("asks for time", attempt)]
            if ring.method is INVITE:
                steps += [("answers", attempt)] if attempt not in self.granted else []
            else:
                steps += [(what, attempt) for what in ("refused", "uncertain", "succeeds")]
        steps += [("leg ends", n) for n in self.legs if n not in self.tries]
        steps += [("time", 1), ("time", 9), ("stop", 0)]
        return steps

    def take(self, step: tuple[str, int]) -> None:
        match step:
            case "reachable", n:
                self.asked.discard(n)
                self.reachable.add(n)
                self.do(Input.REACHABLE, n)
            case "unreachable", n:
                self.asked.discard(n)
                self.do(Input.UNREACHABLE, n)
            case "answers", n:
                self.do(Input.CLAIM, n)
                self.verdict(n, Input.SUCCEEDED if n in self.granted else Input.FAILED)
            case "fails", n:
                self.verdict(n, Input.FAILED)
            case "asks for time", n:
                destination = self.legs[n]
                self.not_before[destination] = self.now + 5
                self.lines.leave_alone(destination, self.now + 5)
                self.verdict(n, Input.FAILED)
            case "refused", n:
                self.verdict(n, Input.REFUSED)
            case "uncertain", n:
                self.verdict(n, Input.UNCERTAIN)
            case "succeeds", n:
                self.verdict(n, Input.SUCCEEDED)
            case "leg ends", n:
                self.hang_up(n)
                self.do(Input.LINE_FREE)
            case "stop", _:
                self.do(Input.STOP)
            case "time", seconds:
                self.pass_time(self.now + seconds)

    def pass_time(self, until: float) -> None:
        wake = self.machine.wake_at
        if wake is not None and wake <= until:
            self.now = max(self.now, wake)
            self.do(Input.WAKE)
        self.now = max(self.now, until)


LADDERS = [(INVITE,), (INVITE,), (REFER, INVITE), (REFER,)]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 5))
    candidates = tuple(
        candidate(
            draw(st.sampled_from("abc")),
            ladder=draw(st.sampled_from(LADDERS)),
            timeout=draw(st.sampled_from([2.0, 10.0])),
            ask=draw(st.booleans()),
        )
        for _ in range(count)
    )
    cuts = sorted(draw(st.sets(st.integers(1, count - 1)))) if count > 1 else []
    edges = [0, *cuts, count]
    waves = tuple(tuple(range(a, b)) for a, b in pairwise(edges))
    limit = draw(st.none() | st.sampled_from([4.0, 20.0]))
    plan, lines = Plan(candidates, waves, limit), Lines()
    return World(Hunt(plan, lines), plan, lines, limit)


@settings(max_examples=400)
@given(worlds(), st.data())
def test_every_interleaving_has_one_end_and_breaks_no_promise(
    world: World, data: st.DataObject
) -> None:
    world.do(Input.BEGIN)
    for _ in range(40):
        if world.ends:
            break
        steps = [step for step in world.possible() if step[0] != "stop"]
        if data.draw(st.integers(0, 30)) == 0:
            steps = [("stop", 0)]
        world.take(data.draw(st.sampled_from(steps)))
    # From here on everybody gives up, and the hunt must come to its end by itself.
    for _ in range(100):
        if world.ends:
            break
        if world.asked:
            world.take(("unreachable", min(world.asked)))
        elif world.tries:
            world.take(("fails", min(world.tries)))
        elif world.legs:
            world.take(("leg ends", min(world.legs)))
        else:
            world.pass_time(world.now + PATIENCE)
    assert len(world.ends) == 1
    assert (world.ends[0].how is Ending.TAKEN) == (world.ends[0].attempt is not None)
    if world.granted:
        assert world.ends[0] == End(Ending.TAKEN, world.granted[0])
