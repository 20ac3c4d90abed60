"""A call of the softphone: its callbacks only copy what happened into reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar

import pjsua2 as pj

from sip.message import Message
from sip.softphone.audio import CallAudio
from sip.softphone.commands import Talk
from sip.softphone.reports import Report

_MEDIA_STATES = {
    pj.PJSUA_CALL_MEDIA_ACTIVE: "active",
    pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "held_by_peer",
    pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "held_by_us",
}
_DTMF_METHODS = {
    pj.PJSUA_DTMF_METHOD_RFC2833: "rfc4733",
    pj.PJSUA_DTMF_METHOD_SIP_INFO: "info",
}

_UNKNOWN_DURATION = 2**32 - 1
"""PJSUA_UNKNOWN_DTMF_DURATION, a macro that the Python module does not carry."""

_Callback = TypeVar("_Callback", bound=Callable[..., None])


def _reported(callback: _Callback) -> _Callback:
    """PJSIP swallows what a callback raises; here it becomes an `error` report."""

    @wraps(callback)
    def guarded(self: PhoneCall, prm: Any) -> None:
        try:
            callback(self, prm)
        except Exception as error:  # noqa: BLE001 - the edge of Python: nothing may cross it
            self.report("error", message=f"{callback.__name__}: {error!r}")

    return guarded  # type: ignore[return-value]


class PhoneCall(pj.Call):  # type: ignore[misc] # pjsua2 carries no types
    """One call. Owned by the phone's table from its creation until it is disconnected."""

    def __init__(
        self,
        account: pj.Account,
        name: str,
        talk: Talk,
        *,
        calls: MutableMapping[str, PhoneCall],
        queue: deque[Report],
        call_id: int = pj.PJSUA_INVALID_ID,
    ) -> None:
        super().__init__(account, call_id)
        self.name = name
        self.talk = talk
        self.audio = CallAudio(talk.record)
        self.ended_by_us = False
        self.sounding = False
        """Whether the talk's tone or file was begun."""
        self._account = account
        self._calls = calls
        self._queue = queue
        self._answer_headers: dict[str, str] = {}
        calls[name] = self

    def report(self, event: str, **facts: Any) -> None:
        """Queue a report of this call."""
        self._queue.append(Report(event, self.name, facts))

    def statistics(self) -> Report:
        """What its audio has come to so far."""
        hearing = self.audio.hearing
        facts: dict[str, float | None] = {"received": None, "sent": None}
        with suppress(pj.Error):  # no audio yet, or no longer
            info = self.getInfo()  # `media` is a view into it: it must outlive the loop
            for media in info.media:
                if media.type == pj.PJMEDIA_TYPE_AUDIO:
                    rtp = self.getStreamStat(media.index).rtcp
                    facts = {"received": rtp.rxStat.pkt, "sent": rtp.txStat.pkt}
        facts["recorded"] = hearing.seconds_so_far() if hearing is not None else None
        return Report("statistics", self.name, facts)

    @_reported
    def onCallState(self, prm: Any) -> None:  # noqa: N802 - pjsua2's name
        """RFC 3261 section 13: the way of the INVITE, up to BYE."""
        info = self.getInfo()
        headers = joined(_received(prm.e))
        outgoing = info.role == pj.PJSIP_ROLE_UAC
        status = {"code": info.lastStatusCode, "reason": info.lastReason}
        if info.state == pj.PJSIP_INV_STATE_CALLING:
            self.report("calling", to=info.remoteUri)
        elif info.state == pj.PJSIP_INV_STATE_EARLY and outgoing:
            self.report("early", **status, headers=headers)
        elif info.state == pj.PJSIP_INV_STATE_CONNECTING and outgoing:
            self._answer_headers = headers
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self.report("confirmed", **status, headers=self._answer_headers)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            by = "us" if self.ended_by_us else "peer"
            self.report("disconnected", **status, by=by, headers=headers)

    @_reported
    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802
        """RFC 3264: what the last offer and answer settled."""
        info = self.getInfo()  # `media` is a view into it: it must outlive the loop
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO:
                facts = {"state": _MEDIA_STATES.get(media.status, "none")}
                if facts["state"] != "none":
                    stream = self.getStreamInfo(media.index)
                    facts["codec"] = f"{stream.codecName}/{stream.codecClockRate}"
                    facts["remote"] = stream.remoteRtpAddress
                self.report("media", **facts)

    @_reported
    def onDtmfDigit(self, prm: Any) -> None:  # noqa: N802
        """One key of the peer's."""
        known = prm.duration != _UNKNOWN_DURATION
        self.report(
            "dtmf",
            digit=prm.digit,
            duration_ms=prm.duration if known else None,
            via=_DTMF_METHODS.get(prm.method, "unknown"),
        )

    @_reported
    def onCallTsxState(self, prm: Any) -> None:  # noqa: N802
        """Whole messages pass here: REFER received, NOTIFY received and sent."""
        change = prm.e.body.tsxState
        method, state, source = change.tsx.method, change.tsx.state, change.src
        if method == "REFER" and state == pj.PJSIP_TSX_STATE_TRYING:
            refer = Message(source.rdata.wholeMsg)
            self.report("refer", to=refer.header("Refer-To"), headers=joined(refer))
        elif method == "NOTIFY" and state == pj.PJSIP_TSX_STATE_TRYING:
            self._notify("received", Message(source.rdata.wholeMsg))
        elif method == "NOTIFY" and state == pj.PJSIP_TSX_STATE_CALLING:
            self._notify("sent", Message(source.tdata.wholeMsg))

    def _notify(self, direction: str, notify: Message) -> None:
        self.report(
            "notify",
            direction=direction,
            sipfrag=notify.body.partition("\n")[0].strip(),
            state=notify.header("Subscription-State"),
            headers=joined(notify),
        )

    @_reported
    def onCallTransferRequest(self, prm: Any) -> None:  # noqa: N802
        """RFC 3515: PJSIP wants the verdict at once; it dials and notifies by itself."""
        prm.statusCode = self.talk.refer
        if self.talk.refer >= 300:
            return
        record = self.talk.record
        if record is not None:
            record = record.with_name(f"{record.stem}-referred{record.suffix}")
        prm.newCall = PhoneCall(
            self._account,
            f"{self.name}-referred",
            self.talk.model_copy(update={"record": record}),
            calls=self._calls,
            queue=self._queue,
        )

    @_reported
    def onCallReplaced(self, prm: Any) -> None:  # noqa: N802
        """RFC 3891: PJSIP answers the INVITE that replaces this call, and ends this one."""
        record = self.talk.record
        if record is not None:
            record = record.with_name(f"{record.stem}-replaced{record.suffix}")
        name = f"{self.name}-replaced"
        self.report("replaced", by=name)
        prm.newCall = PhoneCall(
            self._account,
            name,
            self.talk.model_copy(update={"record": record}),
            calls=self._calls,
            queue=self._queue,
            call_id=prm.newCallId,
        )

    def onCallRedirected(self, prm: Any) -> int:  # noqa: N802
        """RFC 3261 section 8.1.3.4: a 3xx is reported, never followed."""
        return int(pj.PJSIP_REDIRECT_REJECT)


def joined(message: Message) -> dict[str, str]:
    """Every header by its name; repeated ones joined (RFC 3261 section 7.3.1)."""
    found: dict[str, str] = {}
    for name, value in message.headers:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _received(event: Any) -> Message:
    """The message whose arrival changed the call's state; empty where none did."""
    if event.type != pj.PJSIP_EVENT_TSX_STATE or event.body.tsxState.type != pj.PJSIP_EVENT_RX_MSG:
        return Message("")
    return Message(event.body.tsxState.src.rdata.wholeMsg)
