"""The REFER verdict (RFC 3515): what became of a REFER, decided once, from what the peer says.

A table without I/O. Input is what happened and the status that came with it; output is a list of
actions. Rows that a state lacks are an error of the caller: they raise and change nothing. Every
state accepts whatever a peer may send at any time, so a peer cannot make it raise.

A 202 is only a receipt. Success is a final 2xx in a NOTIFY; everything that ends without one is
either the peer's failure, `no_verdict`, or (a BYE after the 202) `presumed_connected`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from sip.outcome import Method, Outcome, classify


class State(Enum):
    """Where a REFER stands."""

    SENT = auto()
    """No final response to the REFER yet."""
    ACCEPTED = auto()
    """2xx to the REFER; no NOTIFY yet."""
    NOTIFIED = auto()
    """At least one NOTIFY; none was final."""
    PEER_LEFT = auto()
    """The peer sent BYE before a final NOTIFY; one may still follow."""
    LEAVING = auto()
    """Connected; the peer is given time to send BYE before we do."""
    DONE = auto()


class Input(Enum):
    """What can happen to a REFER."""

    PROVISIONAL = auto()
    ACCEPT = auto()
    REFUSE = auto()
    NO_RESPONSE = auto()
    NOTIFY_PROGRESS = auto()
    NOTIFY_SUCCESS = auto()
    NOTIFY_FAILURE = auto()
    NOTIFY_WITHOUT_VERDICT = auto()
    """The subscription is terminated, and no final status was ever told."""
    BYE = auto()
    TIMEOUT = auto()
    """The running timer fired."""
    CANCEL = auto()
    """Bot, operator or caller called the transfer off."""


class Timer(Enum):
    """What is being waited for. At most one timer runs."""

    FIRST_NOTIFY = "first_notify"
    FINAL_NOTIFY = "final_notify"
    BYE_GRACE = "bye_grace"


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Start this timer instead of the one that runs."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Nothing is waited for any more."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The target is being reached; tell whoever watches."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one terminal outcome."""

    outcome: Outcome
    code: int | None = None
    reason: str = ""
    timer: Timer | None = None


@dataclass(frozen=True, slots=True)
class SendBye:
    """Release the peer: it has the caller now."""


Action = StartTimer | StopTimer | Progress | Verdict | SendBye


Status = tuple[int | None, str]
"""The code and reason that came with an input."""


def _wait_first(_: Status) -> Action:
    return StartTimer(Timer.FIRST_NOTIFY)


def _wait_final(_: Status) -> Action:
    return StartTimer(Timer.FINAL_NOTIFY)


def _wait_bye(_: Status) -> Action:
    return StartTimer(Timer.BYE_GRACE)


def _stop(_: Status) -> Action:
    return StopTimer()


def _bye(_: Status) -> Action:
    return SendBye()


def _progress(status: Status) -> Action:
    return Progress(status[0] or 100, status[1])


def _connected(status: Status) -> Action:
    return Verdict(Outcome.CONNECTED, *status)


def _failed(status: Status) -> Action:
    return Verdict(classify(status[0] or 500), *status)


def _refused(status: Status) -> Action:
    return Verdict(classify(status[0] or 500, Method.REFER), *status)


def _unreached(status: Status) -> Action:
    return Verdict(Outcome.NETWORK_FAILURE, status[0], "no response to REFER")


def _no_status(_: Status) -> Action:
    return Verdict(Outcome.NO_VERDICT, None, "subscription ended without a status")


def _no_first(_: Status) -> Action:
    return Verdict(Outcome.NO_VERDICT, None, "no NOTIFY in time", Timer.FIRST_NOTIFY)


def _no_final(_: Status) -> Action:
    return Verdict(Outcome.NO_VERDICT, None, "no final NOTIFY in time", Timer.FINAL_NOTIFY)


def _presumed(_: Status) -> Action:
    return Verdict(Outcome.PRESUMED_CONNECTED, None, "BYE before a final NOTIFY")


def _abandoned(_: Status) -> Action:
    return Verdict(Outcome.ABANDONED, None, "caller hung up")


def _cancelled(status: Status) -> Action:
    return Verdict(Outcome.CANCELLED, None, status[1] or "cancelled")


Row = tuple[State, tuple[Callable[[Status], Action], ...]]
"""The next state, and what to do on the way."""

_FINAL_NOTIFY: dict[Input, Row] = {
    Input.NOTIFY_SUCCESS: (State.LEAVING, (_connected, _wait_bye)),
    Input.NOTIFY_FAILURE: (State.DONE, (_stop, _failed)),
    Input.NOTIFY_WITHOUT_VERDICT: (State.DONE, (_stop, _no_status)),
    Input.CANCEL: (State.DONE, (_stop, _cancelled)),
}

TABLE: dict[State, dict[Input, Row]] = {
    # A NOTIFY may overtake the response to the REFER (RFC 3515 section 2.4.4).
    State.SENT: {
        **_FINAL_NOTIFY,
        Input.PROVISIONAL: (State.SENT, ()),
        Input.ACCEPT: (State.ACCEPTED, (_wait_first,)),
        Input.REFUSE: (State.DONE, (_stop, _refused)),
        Input.NO_RESPONSE: (State.DONE, (_stop, _unreached)),
        Input.NOTIFY_PROGRESS: (State.NOTIFIED, (_progress, _wait_final)),
        Input.BYE: (State.DONE, (_stop, _abandoned)),
    },
    State.ACCEPTED: {
        **_FINAL_NOTIFY,
        Input.PROVISIONAL: (State.ACCEPTED, ()),
        Input.ACCEPT: (State.ACCEPTED, ()),
        Input.REFUSE: (State.ACCEPTED, ()),
        Input.NO_RESPONSE: (State.ACCEPTED, ()),
        Input.NOTIFY_PROGRESS: (State.NOTIFIED, (_progress, _wait_final)),
        Input.BYE: (State.PEER_LEFT, (_wait_bye,)),
        Input.TIMEOUT: (State.DONE, (_no_first,)),
    },
    # The response to a REFER whose NOTIFY overtook it: only a refusal still counts.
    State.NOTIFIED: {
        **_FINAL_NOTIFY,
        Input.PROVISIONAL: (State.NOTIFIED, ()),
        Input.ACCEPT: (State.NOTIFIED, ()),
        Input.REFUSE: (State.DONE, (_stop, _refused)),
        Input.NO_RESPONSE: (State.NOTIFIED, ()),
        Input.NOTIFY_PROGRESS: (State.NOTIFIED, (_progress,)),
        Input.BYE: (State.PEER_LEFT, (_wait_bye,)),
        Input.TIMEOUT: (State.DONE, (_no_final,)),
    },
    State.PEER_LEFT: {
        **dict.fromkeys(Input, (State.PEER_LEFT, ())),
        Input.NOTIFY_PROGRESS: (State.PEER_LEFT, (_progress,)),
        Input.NOTIFY_SUCCESS: (State.DONE, (_stop, _connected)),
        Input.NOTIFY_FAILURE: (State.DONE, (_stop, _failed)),
        Input.NOTIFY_WITHOUT_VERDICT: (State.DONE, (_stop, _presumed)),
        Input.TIMEOUT: (State.DONE, (_presumed,)),
    },
    State.LEAVING: {
        **dict.fromkeys(Input, (State.LEAVING, ())),
        Input.BYE: (State.DONE, (_stop,)),
        Input.TIMEOUT: (State.DONE, (_bye,)),
    },
    State.DONE: dict.fromkeys(set(Input) - {Input.TIMEOUT}, (State.DONE, ())),
}


class IllegalInput(Exception):
    """This cannot happen in this state; the state is unchanged."""


class ReferVerdict:
    """One REFER from sending to verdict."""

    def __init__(self) -> None:
        self.state = State.SENT

    def happened(self, what: Input, code: int | None = None, reason: str = "") -> list[Action]:
        """Take in what happened.

        Args:
            what: an input; NOTIFY and REFUSE inputs come with their status.
            code: SIP status of the response or sipfrag.
            reason: its reason phrase.

        Raises:
            IllegalInput: the table has no such row (a timer fired that does not run).
        """
        row = TABLE[self.state].get(what)
        if row is None:
            raise IllegalInput(f"{what.name} in state {self.state.name}")
        self.state, steps = row
        return [step((code, reason)) for step in steps]


def notify_input(status: tuple[int, str] | None, terminated: bool) -> Input:
    """Which input a NOTIFY is.

    Args:
        status: code and reason of its sipfrag; None where the body holds none.
        terminated: Subscription-State is `terminated` (RFC 6665 section 4.1.3).
    """
    code = status[0] if status else 100
    if code >= 300:
        return Input.NOTIFY_FAILURE
    if code >= 200:
        return Input.NOTIFY_SUCCESS
    return Input.NOTIFY_WITHOUT_VERDICT if terminated else Input.NOTIFY_PROGRESS
