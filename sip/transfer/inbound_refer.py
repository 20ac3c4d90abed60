"""A REFER that a peer sends us (RFC 3515): what the referrer is told, from answer to last NOTIFY.

A table without I/O, beside the transfer itself: the subscription may end before the transfer does
(the referrer hung up, or wants no reports), and the transfer goes on. Input is what happened;
output is a list of actions. Rows that a state lacks are an error of the caller: they raise and
change nothing.

A SUBSCRIBE asks for a NOTIFY of how it stands, and prolongs the reports or ends them (RFC 6665
section 4.2.1).

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
    """The subscription has lasted as long as we granted."""
    REFRESH = auto()
    """SUBSCRIBE, which prolongs it."""
    UNSUBSCRIBE = auto()
    """SUBSCRIBE with `Expires: 0`."""


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
class Grant:
    """Answer the SUBSCRIBE with 200, and with how long the subscription runs from now on."""


@dataclass(frozen=True, slots=True)
class RefuseSubscribe:
    """Answer the SUBSCRIBE with 481: its subscription is over."""


@dataclass(frozen=True, slots=True)
class StartExpiry:
    """The subscription begins to run, or does so anew."""


@dataclass(frozen=True, slots=True)
class StopExpiry:
    """It has ended."""


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing more is said in this subscription."""


Action = Answer | Notify | Grant | RefuseSubscribe | StartExpiry | StopExpiry | Close

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


def _unfinished(status: Status) -> Action:
    return Notify(*status, ending="timeout")


def _grant(_: Status) -> Action:
    return Grant()


def _over(_: Status) -> Action:
    return RefuseSubscribe()


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
        Input.ACCEPT: (State.REPORTING, (_accept, _start, _trying)),
        Input.ACCEPT_UNHEARD: (State.SILENT, (_accept_unheard, _close)),
    },
    State.REPORTING: {
        Input.PROGRESS: (State.REPORTING, (_progress,)),
        Input.SUCCESS: (State.REPORTED, (_stop, _final)),
        Input.FAILURE: (State.REPORTED, (_stop, _final)),
        Input.NOTIFY_REFUSED: (State.SILENT, (_stop, _close)),
        Input.ALL_ANSWERED: (State.REPORTING, ()),
        Input.EXPIRED: (State.SILENT, (_stop, _unfinished, _close)),
        Input.REFRESH: (State.REPORTING, (_grant, _start, _progress)),
        Input.UNSUBSCRIBE: (State.SILENT, (_grant, _stop, _unfinished, _close)),
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
        Input.REFRESH: (State.REPORTED, (_over,)),
        Input.UNSUBSCRIBE: (State.REPORTED, (_over,)),
    },
    State.CLOSED: {
        Input.NOTIFY_REFUSED: (State.CLOSED, ()),
        Input.ALL_ANSWERED: (State.CLOSED, ()),
        Input.EXPIRED: (State.CLOSED, ()),
    },
}


_OF_THE_TRANSFER = {Input.PROGRESS, Input.SUCCESS, Input.FAILURE}

_AS_IT_STANDS = {Input.EXPIRED, Input.REFRESH, Input.UNSUBSCRIBE}


class IllegalInput(Exception):
    """This cannot happen in this state; the state is unchanged."""


class InboundRefer:
    """One REFER from its arrival to the end of its subscription."""

    def __init__(self) -> None:
        self.state = State.RECEIVED
        self._stands: Status = (100, "Trying")
        """What the transfer last came to."""

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
        status = self._stands if what in _AS_IT_STANDS else (code, reason)
        if what in _OF_THE_TRANSFER:
            self._stands = status
        return [step(status) for step in steps]
