"""A REFER that a peer sends us (RFC 3515): what the referrer is told, from answer to last NOTIFY.

A table without I/O, beside the transfer itself: the subscription may end before the transfer does
(the referrer hung up, or wants no reports), and the transfer goes on. Input is what happened;
output is a list of actions. Rows that a state lacks are an error of the caller: they raise and
change nothing.

    RECEIVED ──▶ REPORTING ──▶ REPORTED ──▶ CLOSED    202, NOTIFYs, the final one, its answer
        │            └──▶ SILENT ──────────▲            nobody listens any more
        └──────────────────────────────────┘            refused
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto


class State(Enum):
    """What the referrer has been told."""

    RECEIVED = auto()
    """Nothing yet."""
    REPORTING = auto()
    """It is accepted; NOTIFYs tell how it goes."""
    SILENT = auto()
    """It is accepted, and nobody wants to hear how it goes."""
    REPORTED = auto()
    """The final NOTIFY has left."""
    CLOSED = auto()


class Input(Enum):
    """What can happen."""

    REFUSE = auto()
    ACCEPT = auto()
    ACCEPT_UNHEARD = auto()
    """The referrer asked for no subscription (RFC 4488)."""
    PROGRESS = auto()
    """A provisional response of the new target."""
    SUCCESS = auto()
    FAILURE = auto()
    """Both with the final status that the transfer came to."""
    NOTIFY_REFUSED = auto()
    """A NOTIFY got a failure: the subscription is gone (RFC 6665 section 4.2.2)."""
    ALL_ANSWERED = auto()
    """No NOTIFY of ours waits for its answer."""
    EXPIRED = auto()
    """The subscription has lasted as long as we granted, or the referrer ended it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the REFER. `heard`: NOTIFYs follow."""

    code: int
    reason: str
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Notify:
    """Report a status line. `ending`: the `reason` of `terminated`; empty: `active`."""

    code: int
    reason: str
    ending: str = ""


@dataclass(frozen=True, slots=True)
class StartExpiry:
    """The subscription begins to run."""


@dataclass(frozen=True, slots=True)
class StopExpiry:
    """It has ended."""


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing more is said in this subscription."""


Action = Answer | Notify | StartExpiry | StopExpiry | Close

Status = tuple[int, str]


def _refuse(status: Status) -> Action:
    return Answer(*status)


def _accept(_: Status) -> Action:
    return Answer(202, "Accepted", heard=True)


def _accept_unheard(_: Status) -> Action:
    return Answer(202, "Accepted")


def _trying(_: Status) -> Action:
    return Notify(100, "Trying")


def _progress(status: Status) -> Action:
    return Notify(*status)


def _final(status: Status) -> Action:
    return Notify(*status, ending="noresource")


def _unfinished(_: Status) -> Action:
    return Notify(100, "Trying", ending="timeout")


def _start(_: Status) -> Action:
    return StartExpiry()


def _stop(_: Status) -> Action:
    return StopExpiry()


def _close(_: Status) -> Action:
    return Close()


Row = tuple[State, tuple[Callable[[Status], Action], ...]]

TABLE: dict[State, dict[Input, Row]] = {
    State.RECEIVED: {
        Input.REFUSE: (State.CLOSED, (_refuse, _close)),
        Input.ACCEPT: (State.REPORTING, (_accept, _trying, _start)),
        Input.ACCEPT_UNHEARD: (State.SILENT, (_accept_unheard, _close)),
    },
    State.REPORTING: {
        Input.PROGRESS: (State.REPORTING, (_progress,)),
        Input.SUCCESS: (State.REPORTED, (_stop, _final)),
        Input.FAILURE: (State.REPORTED, (_stop, _final)),
        Input.NOTIFY_REFUSED: (State.SILENT, (_stop, _close)),
        Input.ALL_ANSWERED: (State.REPORTING, ()),
        Input.EXPIRED: (State.SILENT, (_stop, _unfinished, _close)),
    },
    State.SILENT: {
        Input.PROGRESS: (State.SILENT, ()),
        Input.SUCCESS: (State.CLOSED, ()),
        Input.FAILURE: (State.CLOSED, ()),
        Input.NOTIFY_REFUSED: (State.SILENT, ()),
        Input.ALL_ANSWERED: (State.SILENT, ()),
        Input.EXPIRED: (State.SILENT, ()),
    },
    State.REPORTED: {
        Input.NOTIFY_REFUSED: (State.CLOSED, (_close,)),
        Input.ALL_ANSWERED: (State.CLOSED, (_close,)),
        Input.EXPIRED: (State.REPORTED, ()),
    },
    State.CLOSED: {
        Input.NOTIFY_REFUSED: (State.CLOSED, ()),
        Input.ALL_ANSWERED: (State.CLOSED, ()),
        Input.EXPIRED: (State.CLOSED, ()),
    },
}


class IllegalInput(Exception):
    """This cannot happen in this state; the state is unchanged."""


class InboundRefer:
    """One REFER from its arrival to the end of its subscription."""

    def __init__(self) -> None:
        self.state = State.RECEIVED

    def happened(self, what: Input, code: int = 0, reason: str = "") -> list[Action]:
        """Take in what happened.

        Args:
            what: an input; REFUSE, PROGRESS, SUCCESS and FAILURE come with a status.
            code: SIP status.
            reason: its reason phrase.

        Raises:
            IllegalInput: the table has no such row.
        """
        row = TABLE[self.state].get(what)
        if row is None:
            raise IllegalInput(f"{what.name} in state {self.state.name}")
        self.state, steps = row
        return [step((code, reason)) for step in steps]
