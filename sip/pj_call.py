"""pjsua2's call object: what it alone can do, and an explicit end.

The rules that keep it alive: created in onIncomingCall or before makeCall; one strong reference,
held by its leg; destroyed at once when the leg has seen DISCONNECTED, because a call object that is
destroyed late hangs up whatever call has taken its slot since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sip.pjsip import pj

UNKNOWN_DURATION = 0xFFFFFFFF
"""PJSUA_UNKNOWN_DTMF_DURATION: the digit has only begun."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A DTMF digit; `via` is `rtp` or `info`, `duration_ms` 0 where it is not known."""

    digit: str
    duration_ms: int
    via: str


class PjCall(pj.Call):  # type: ignore[misc]
    """Reports digits as values; all else comes as native events. Holds no reference to its leg."""

    def __init__(self, account: Any, call_id: int, on_digit: Callable[[Digit], None]) -> None:
        super().__init__(account, call_id)
        self._on_digit = on_digit

    def onDtmfDigit(self, prm: Any) -> None:
        """A digit by RFC 4733 or INFO."""
        via = "info" if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO else "rtp"
        known = prm.duration != UNKNOWN_DURATION
        self._on_digit(Digit(str(prm.digit), int(prm.duration) if known else 0, via))

    def onCallRedirected(self, _: Any) -> int:
        """Every redirection is seen as its 3xx, and decided by the transfer that dialled."""
        return int(pj.PJSIP_REDIRECT_REJECT)

    def destroy(self) -> None:
        """Let go of PJSIP's call, after DISCONNECTED. The object is unusable afterwards."""
        self._on_digit = _ignore
        pj.Call.__swig_destroy__(self)


def call_parameters(
    code: int = 0, reason: str = "", headers: Iterable[tuple[str, str]] = ()
) -> Any:
    """CallOpParam with a status and extra headers."""
    parameters = pj.CallOpParam()
    parameters.statusCode = code
    if reason:
        parameters.reason = reason
    add_headers(parameters.txOption, headers)
    return parameters


def add_headers(options: Any, headers: Iterable[tuple[str, str]]) -> None:
    """Put headers, name and value, into SipTxOption."""
    for name, value in headers:
        header = pj.SipHeader()
        header.hName = name
        header.hValue = value
        options.headers.push_back(header)


def _ignore(_: Digit) -> None:
    """Nobody listens any more."""
