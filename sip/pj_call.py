"""pjsua2's call object: callbacks that copy plain values and queue them, and an explicit end.

The rules that keep it alive: created in onIncomingCall or before makeCall; one strong reference,
held by its leg; destroyed at once when the leg has seen DISCONNECTED, because a call object that is
destroyed late hangs up whatever call has taken its slot since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sip.events import MediaQuality
from sip.pjsip import native, pj

UNKNOWN_DURATION = 0xFFFFFFFF
"""PJSUA_UNKNOWN_DTMF_DURATION: the digit has only begun."""


class InviteState(IntEnum):
    """pjsip_inv_state."""

    NULL = 0
    CALLING = 1
    INCOMING = 2
    EARLY = 3
    CONNECTING = 4
    CONFIRMED = 5
    DISCONNECTED = 6


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The INVITE session moved on; `code` and `reason` of the last response."""

    state: InviteState
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """Audio was negotiated, changed or ended. `slot` is None where there is none."""

    slot: int | None
    codec: str = ""
    remote: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """An audio stream is about to go; these are its figures."""

    quality: MediaQuality


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """A DTMF digit; `via` is `rtp` or `info`, `duration_ms` 0 where it is not known."""

    digit: str
    duration_ms: int
    via: str


Happening = StateChanged | MediaChanged | StreamEnded | DigitReceived


class PjCall(pj.Call):  # type: ignore[misc]
    """Reports what happens as values. Holds no reference to its leg."""

    def __init__(self, account: Any, call_id: int, report: Callable[[Happening], None]) -> None:
        super().__init__(account, call_id)
        self._report = report

    def onCallState(self, _: Any) -> None:
        """The INVITE session changed its state."""
        if (state := native.call_state(self.getId())) is not None:
            self._report(StateChanged(InviteState(state[0]), state[1], state[2]))

    def onCallMediaState(self, _: Any) -> None:
        """Audio was negotiated or changed."""
        media = native.call_media(self.getId())
        if media is None:
            self._report(MediaChanged(None))
        else:
            slot, codec, remote, held = media
            self._report(MediaChanged(slot, codec, remote, bool(held)))

    def onStreamDestroyed(self, _: Any) -> None:
        """A stream is going; only now are its statistics still there."""
        if (statistics := native.call_statistics(self.getId())) is not None:
            media = native.call_media(self.getId())
            self._report(StreamEnded(_quality(media[1] if media else "", statistics)))

    def onDtmfDigit(self, prm: Any) -> None:
        """A digit by RFC 4733 or INFO."""
        via = "info" if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO else "rtp"
        known = prm.duration != UNKNOWN_DURATION
        self._report(DigitReceived(str(prm.digit), int(prm.duration) if known else 0, via))

    def onCallRedirected(self, _: Any) -> int:
        """Every redirection is seen as its 3xx, and decided by the transfer that dialled."""
        return int(pj.PJSIP_REDIRECT_REJECT)

    def destroy(self) -> None:
        """Let go of PJSIP's call, after DISCONNECTED. The object is unusable afterwards."""
        self._report = _ignore
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


def _ignore(_: Happening) -> None:
    """Nobody listens any more."""


def _quality(codec: str, figures: tuple[int, ...]) -> MediaQuality:
    packets, size, lost, discarded, jitter, tx_packets, tx_size, tx_lost, round_trip = figures
    return MediaQuality(
        codec=codec,
        rx_packets=packets,
        rx_bytes=size,
        rx_lost=lost,
        rx_discarded=discarded,
        rx_jitter_ms=round(max(0, jitter) / 1000, 2),
        tx_packets=tx_packets,
        tx_bytes=tx_size,
        tx_lost=tx_lost,
        rtt_ms=round(max(0, round_trip) / 1000, 2),
    )
