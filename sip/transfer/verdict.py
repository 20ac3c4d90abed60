"""The REFER verdict (RFC 3515): what became of a REFER, decided once, from what the peer says.

A table without I/O. Input is what happened and the status that came with it; output is a list of
actions. Rows that a state lacks are an error of the caller: they raise and change nothing. Every
state accepts whatever a peer may send at any time, so a peer cannot make it raise.

A 202 is only a receipt. Success is a final 2xx in a NOTIFY; everything that ends without one is
either the peer's failure, `no_verdict`, or (a BYE after the 202) `presumed_connected`.

The peer is the caller's own side, so its BYE alone does not say whether the caller was taken over
or hung up. `abandoned` needs a word for it: a BYE before the REFER was accepted, a Reason of 487 on
the BYE (RFC 3326), or a NOTIFY of 487 behind it, by which the peer has given the target up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from sip.outcome import Method, Outcome, classify


class State(Enum):
    """Where a REFER stands."""

    NEW = auto()
    """Nothing was sent yet."""
    SENT = auto()
    """No final response to the REFER yet."""
    GLARED = auto()
    """Refused with 491; it is sent again after a while (RFC 3261 section 14.1)."""
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

    SEND = auto()
    """The order: send it."""
    UNSENT = auto()
    """It could not leave."""
    PROVISIONAL = auto()
    ACCEPT = auto()
    REFUSE = auto()
    GLARE = auto()
    """491: the peer has an INVITE of its own under way in this dialog."""
    NO_RESPONSE = auto()
    NOTIFY_PROGRESS = auto()
    NOTIFY_SUCCESS = auto()
    NOTIFY_FAILURE = auto()
    NOTIFY_WITHOUT_VERDICT = auto()
    """The subscription is terminated, and no final status was ever told."""
    BYE = auto()
    """The peer's; it does not say why, or only that the call is cleared."""
    BYE_WITH_STATUS = auto()
    """The peer's, with the SIP status of a failure in its Reason (RFC 3326)."""
    LOST = auto()
    """The dialog ended, and the peer had not sent BYE."""
    TIMEOUT = auto()
    """The running timer fired."""
    CANCEL = auto()
    """Bot, operator or caller called the transfer off."""


class Timer(Enum):
    """What is being waited for. At most one timer runs."""

    RESPONSE = "response"
    GLARE = "glare"
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
class Send:
    """Send the REFER, or send it again."""


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Tell the peer that its NOTIFYs are no longer waited for (RFC 3515 section 2.4.4)."""


@dataclass(frozen=True, slots=True)
class SendBye:
    """Release the peer: it has the caller now."""


Action = StartTimer | StopTimer | Progress | Verdict | Send | Unsubscribe | SendBye


CANCELLED_BY_PEER = 487
"""Request Terminated: the peer's INVITE to the target was cancelled (RFC 3261 section 9.2)."""

GLARE_STATUS = 491
"""Request Pending (RFC 3261 section 21.4.27)."""

MAX_RETRIES = 3
"""After 491. An INVITE of the peer's is over within a round trip; a peer that is still busy after
three waits of up to 4 s each is not going to be less so."""

Status = tuple[int | None, str]
"""The code and reason that came with an input."""


def _send(_: Status) -> Action:
    return Send()


def _wait_response(_: Status) -> Action:
    return StartTimer(Timer.RESPONSE)


def _wait_glare(_: Status) -> Action:
    return StartTimer(Timer.GLARE)


def _wait_first(_: Status) -> Action:
    return StartTimer(Timer.FIRST_NOTIFY)


def _wait_final(_: Status) -> Action:
    return StartTimer(Timer.FINAL_NOTIFY)


def _wait_bye(_: Status) -> Action:
    return StartTimer(Timer.BYE_GRACE)


def _stop(_: Status) -> Action:
    return StopTimer()


def _unsubscribe(_: Status) -> Action:
    return Unsubscribe()


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


def _failed_after_bye(status: Status) -> Action:
    if status[0] == CANCELLED_BY_PEER:
        return Verdict(Outcome.ABANDONED, *status)
    return _failed(status)


def _unsent(status: Status) -> Action:
    return Verdict(Outcome.NETWORK_FAILURE, *status)


def _unreached(status: Status) -> Action:
    return Verdict(Outcome.NETWORK_FAILURE, status[0], "no response to REFER")


def _unanswered(_: Status) -> Action:
    return Verdict(Outcome.NETWORK_FAILURE, None, "no response to REFER in time", Timer.RESPONSE)


def _lost(_: Status) -> Action:
    return Verdict(Outcome.NETWORK_FAILURE, None, "the dialog was lost")


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
}

_ABANDONED: Row = (State.DONE, (_stop, _abandoned))

_FROM_OUTSIDE = set(Input) - {Input.SEND, Input.UNSENT, Input.TIMEOUT}
"""What may happen at any time, whoever does it."""

TABLE: dict[State, dict[Input, Row]] = {
    State.NEW: {Input.SEND: (State.SENT, (_wait_response, _send))},
    # A NOTIFY may overtake the response to the REFER (RFC 3515 section 2.4.4).
    State.SENT: {
        **_FINAL_NOTIFY,
        Input.UNSENT: (State.DONE, (_stop, _unsent)),
        Input.PROVISIONAL: (State.SENT, ()),
        Input.ACCEPT: (State.ACCEPTED, (_wait_first,)),
        Input.REFUSE: (State.DONE, (_stop, _refused)),
        Input.GLARE: (State.GLARED, (_wait_glare,)),
        Input.NO_RESPONSE: (State.DONE, (_stop, _unreached)),
        Input.NOTIFY_PROGRESS: (State.NOTIFIED, (_progress, _wait_final)),
        Input.BYE: _ABANDONED,
        Input.BYE_WITH_STATUS: _ABANDONED,
        Input.LOST: (State.DONE, (_stop, _lost)),
        Input.TIMEOUT: (State.DONE, (_unsubscribe, _unanswered)),
        Input.CANCEL: (State.DONE, (_stop, _unsubscribe, _cancelled)),
    },
    State.GLARED: {
        **dict.fromkeys(_FROM_OUTSIDE, (State.GLARED, ())),
        Input.BYE: _ABANDONED,
        Input.BYE_WITH_STATUS: _ABANDONED,
        Input.LOST: (State.DONE, (_stop, _lost)),
        Input.TIMEOUT: (State.SENT, (_wait_response, _send)),
        Input.CANCEL: (State.DONE, (_stop, _cancelled)),
    },
    State.ACCEPTED: {
        **_FINAL_NOTIFY,
        Input.PROVISIONAL: (State.ACCEPTED, ()),
        Input.ACCEPT: (State.ACCEPTED, ()),
        Input.REFUSE: (State.ACCEPTED, ()),
        Input.GLARE: (State.ACCEPTED, ()),
        Input.NO_RESPONSE: (State.ACCEPTED, ()),
        Input.NOTIFY_PROGRESS: (State.NOTIFIED, (_progress, _wait_final)),
        Input.BYE: (State.PEER_LEFT, (_wait_bye,)),
        Input.BYE_WITH_STATUS: (State.DONE, (_stop, _failed_after_bye)),
        Input.LOST: (State.DONE, (_stop, _lost)),
        Input.TIMEOUT: (State.DONE, (_unsubscribe, _no_first)),
        Input.CANCEL: (State.DONE, (_stop, _unsubscribe, _cancelled)),
    },
    # The response to a REFER whose NOTIFY overtook it: only a refusal still counts.
    State.NOTIFIED: {
        **_FINAL_NOTIFY,
        Input.PROVISIONAL: (State.NOTIFIED, ()),
        Input.ACCEPT: (State.NOTIFIED, ()),
        Input.REFUSE: (State.DONE, (_stop, _refused)),
        Input.GLARE: (State.DONE, (_stop, _refused)),
        Input.NO_RESPONSE: (State.NOTIFIED, ()),
        Input.NOTIFY_PROGRESS: (State.NOTIFIED, (_progress,)),
        Input.BYE: (State.PEER_LEFT, (_wait_bye,)),
        Input.BYE_WITH_STATUS: (State.DONE, (_stop, _failed_after_bye)),
        Input.LOST: (State.DONE, (_stop, _lost)),
        Input.TIMEOUT: (State.DONE, (_unsubscribe, _no_final)),
        Input.CANCEL: (State.DONE, (_stop, _unsubscribe, _cancelled)),
    },
    State.PEER_LEFT: {
        **dict.fromkeys(_FROM_OUTSIDE, (State.PEER_LEFT, ())),
        Input.NOTIFY_PROGRESS: (State.PEER_LEFT, (_progress,)),
        Input.NOTIFY_SUCCESS: (State.DONE, (_stop, _connected)),
        Input.NOTIFY_FAILURE: (State.DONE, (_stop, _failed_after_bye)),
        Input.NOTIFY_WITHOUT_VERDICT: (State.DONE, (_stop, _presumed)),
        Input.TIMEOUT: (State.DONE, (_presumed,)),
        Input.CANCEL: (State.DONE, (_stop, _presumed)),
    },
    State.LEAVING: {
        **dict.fromkeys(_FROM_OUTSIDE, (State.LEAVING, ())),
        Input.BYE: (State.DONE, (_stop,)),
        Input.BYE_WITH_STATUS: (State.DONE, (_stop,)),
        Input.LOST: (State.DONE, (_stop,)),
        Input.TIMEOUT: (State.DONE, (_bye,)),
    },
    State.DONE: dict.fromkeys(_FROM_OUTSIDE, (State.DONE, ())),
}


class IllegalInput(Exception):
    """This cannot happen in this state; the state is unchanged."""


class ReferVerdict:
    """One REFER from sending to verdict."""

    def __init__(self) -> None:
        self.state = State.NEW
        self._retries = MAX_RETRIES

    def happened(self, what: Input, code: int | None = None, reason: str = "") -> list[Action]:
        """Take in what happened.

        Args:
            what: an input; NOTIFY, REFUSE, GLARE and BYE_WITH_STATUS come with their status.
            code: SIP status of the response, the sipfrag or the Reason.
            reason: its reason phrase.

        Raises:
            IllegalInput: the table has no such row (a timer fired that does not run).
        """
        if what is Input.GLARE and self.state is State.SENT:
            if self._retries == 0:
                what = Input.REFUSE
            else:
                self._retries -= 1
        row = TABLE[self.state].get(what)
        if row is None:
            raise IllegalInput(f"{what.name} in state {self.state.name}")
        self.state, steps = row
        return [step((code, reason)) for step in steps]


def notify_input(code: int | None, terminated: bool) -> Input:
    """Which input a NOTIFY is.

    Args:
        code: the status in its sipfrag; None where the body holds none.
        terminated: Subscription-State is `terminated` (RFC 6665 section 4.1.3).
    """
    code = code or 100
    if code >= 300:
        return Input.NOTIFY_FAILURE
    if code >= 200:
        return Input.NOTIFY_SUCCESS
    return Input.NOTIFY_WITHOUT_VERDICT if terminated else Input.NOTIFY_PROGRESS


def response_input(code: int) -> Input:
    """Which input a final response to the REFER is."""
    if code < 300:
        return Input.ACCEPT
    return Input.GLARE if code == GLARE_STATUS else Input.REFUSE


def retry_bounds(*, owns_call_id: bool) -> tuple[float, float]:
    """Between how many seconds a request refused with 491 is sent again (RFC 3261 section 14.1).

    The side that made the Call-ID waits longer, so that the two do not meet again.
    """
    return (2.1, 4.0) if owns_call_id else (0.0, 2.0)
