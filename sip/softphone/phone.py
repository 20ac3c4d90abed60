"""The softphone: PJSIP's endpoint, one account, its calls; carries out commands, makes reports."""

from __future__ import annotations

import os
import sched
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pjsua2 as pj
import soundfile

from sip.message import Message, user_part
from sip.softphone import commands
from sip.softphone.audio import RATE, TICKS
from sip.softphone.call import PhoneCall, joined
from sip.softphone.reports import Report

HANGUP_LIMIT = 2.0
"""Seconds that the end of the process waits for the peers' answers to BYE and CANCEL."""

_POLL_MS = 10
"""A command waits at most this long; a SIP message is served at once."""

_CLOSE_LIMIT = 1.0
"""Seconds until a recording that stays empty is taken to be finished."""

_LISTEN_EVERY = 0.1
"""Seconds between two looks at the recordings."""


_KINDS = {
    "udp": pj.PJSIP_TRANSPORT_UDP,
    "tcp": pj.PJSIP_TRANSPORT_TCP,
    "tls": pj.PJSIP_TRANSPORT_TLS,
}
_SRTP = {
    "off": pj.PJMEDIA_SRTP_DISABLED,
    "optional": pj.PJMEDIA_SRTP_OPTIONAL,
    "required": pj.PJMEDIA_SRTP_MANDATORY,
}


@dataclass(frozen=True, slots=True)
class Line:
    """Where the phone is reached, and how it speaks."""

    address: str
    port: int
    """0: any free port."""
    name: str = "phone"
    transport: str = "udp"
    rtp_port: int = 0
    """First port for audio; 0: any free ones."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    certificate: str = ""
    """Over TLS: PEM file of its certificate."""
    key: str = ""
    """PEM file of its private key."""
    ca: str = ""
    """PEM file of the authorities that peers' certificates must be signed by; empty: any peer."""
    srtp: str = "off"
    """`off`, `optional` or `required`."""
    username: str = ""
    """Of its digest credentials, which answer every realm."""
    password: str = ""
    max_calls: int = 64
    log_level: int = 0


class _Account(pj.Account):  # type: ignore[misc] # pjsua2 carries no types
    """Takes calls in: a call that has no owner when this returns is refused by PJSIP."""

    def __init__(self, calls: dict[str, PhoneCall], queue: deque[Report]) -> None:
        super().__init__()
        self.policies: dict[str, commands.Policy] = {"*": commands.Policy()}
        self._calls = calls
        self._queue = queue
        self._count = 0

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802 - pjsua2's name
        """RFC 3261 section 13.3."""
        invite = Message(prm.rdata.wholeMsg)
        user = user_part(invite.request_uri)
        self._count += 1
        call = PhoneCall(
            self,
            f"in-{self._count}",
            self.policies.get(user, self.policies["*"]),
            calls=self._calls,
            queue=self._queue,
            call_id=prm.callId,
        )
        call.report(
            "incoming",
            **{"from": invite.header("From")},
            to=invite.header("To"),
            uri=invite.request_uri,
            source=prm.rdata.srcAddress,
            headers=joined(invite),
        )


class Phone:
    """Everything runs on the thread that calls `poll`; reports go to `tell`."""

    def __init__(self, line: Line, tell: Callable[[Report], None]) -> None:
        self.calls: dict[str, PhoneCall] = {}
        self._line = line
        self._tell = tell
        self._queue: deque[Report] = deque()
        self._timers = sched.scheduler(time.monotonic)
        self._endpoint = pj.Endpoint()
        self._account = _Account(self.calls, self._queue)
        self._transport = -1
        self._finishing = 0

    def start(self) -> None:
        """Bind and report `ready`.

        Raises:
            pj.Error: the address or port cannot be had.
        """
        line = self._line
        config = pj.EpConfig()
        config.logConfig.level = config.logConfig.consoleLevel = line.log_level
        config.logConfig.msgLogging = 1
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = line.max_calls
        config.uaConfig.userAgent = "Switchhook softphone"
        config.medConfig.clockRate = config.medConfig.sndClockRate = RATE
        # Audio is taken in by `poll` too: with a thread for it PJSIP may leave a socket unread for
        # good, if a packet comes while the stream starts.
        config.medConfig.hasIoqueue = False
        config.medConfig.threadCnt = 0
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        self._endpoint.libCreate()
        self._endpoint.libInit(config)
        self._endpoint.audDevManager().setNullDev()
        self._set_codecs()
        transport = pj.TransportConfig()
        transport.boundAddress, transport.port = line.address, line.port
        transport.tlsConfig.certFile, transport.tlsConfig.privKeyFile = line.certificate, line.key
        transport.tlsConfig.CaListFile = line.ca
        transport.tlsConfig.verifyServer = transport.tlsConfig.verifyClient = bool(line.ca)
        self._transport = self._endpoint.transportCreate(_KINDS[line.transport], transport)
        self._endpoint.libStart()
        address = self._endpoint.transportGetInfo(self._transport).localName
        suffix = "" if line.transport == "udp" else f";transport={line.transport}"
        uri = f"sip:{line.name}@{address}{suffix}"
        self._account.create(self._account_config(uri), True)
        self._tell(Report("ready", facts={"uri": uri, "pid": os.getpid()}))
        self._timers.enter(_LISTEN_EVERY, 0, self._listen)

    def _set_codecs(self) -> None:
        order = {name.upper(): rank for rank, name in enumerate(self._line.codecs)}
        for codec in self._endpoint.codecEnum2():
            rank = order.get(codec.codecId.partition("/")[0].upper())
            self._endpoint.codecSetPriority(codec.codecId, 0 if rank is None else 255 - rank)

    def _account_config(self, uri: str) -> pj.AccountConfig:
        config = pj.AccountConfig()
        config.idUri = uri
        config.sipConfig.transportId = self._transport
        config.mediaConfig.transportConfig.boundAddress = self._line.address
        config.mediaConfig.transportConfig.port = self._line.rtp_port
        config.mediaConfig.srtpUse = _SRTP[self._line.srtp]
        config.mediaConfig.srtpSecureSignaling = 0
        if self._line.username:
            credentials = ("digest", "*", self._line.username, 0, self._line.password)
            config.sipConfig.authCreds.append(pj.AuthCredInfo(*credentials))
        # The phone shall not surprise a test: no re-INVITE of its own after the answer.
        config.mediaConfig.lockCodecEnabled = False
        config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_INACTIVE
        return config

    def poll(self) -> None:
        """Serve PJSIP, waiting up to `_POLL_MS`, then the timers; then tell what happened."""
        self._endpoint.libHandleEvents(_POLL_MS)
        while self._endpoint.libHandleEvents(0) > 0:
            pass
        self._timers.run(blocking=False)
        while self._queue:
            report = self._queue.popleft()
            self._tell(report)
            self._react(report)

    def stop(self) -> None:
        """Hang up, wait for the peers up to `HANGUP_LIMIT`, and free everything in order."""
        for call in self.calls.values():
            call.ended_by_us = True
            call.hangup(_parameters())
        limit = time.monotonic() + HANGUP_LIMIT
        while (self.calls or self._finishing) and time.monotonic() < limit:
            self.poll()
        for call in [*self.calls.values()]:
            self._forget(call)
            call.audio.destroy()
        type(self._account).__swig_destroy__(self._account)
        # Without this flag PJSIP waits a second for presence subscriptions, which there are none.
        self._endpoint.libDestroy(pj.PJSUA_DESTROY_NO_RX_MSG)

    def do(self, command: commands.Command) -> None:
        """Carry out a command, and report `done` or `refused`."""
        name = getattr(command, "call", "")
        facts = {"do": command.do}
        try:
            self._do(command)
        except KeyError:
            refusal = f"no call is named {name!r}"
        except pj.Error as error:
            refusal = str(error.reason)
        except (OSError, RuntimeError, soundfile.LibsndfileError) as error:
            refusal = str(error)
        else:
            self._tell(Report("done", name, facts))
            return
        self._tell(Report("refused", name, {**facts, "message": refusal}))

    def _do(self, command: commands.Command) -> None:
        match command:
            case commands.Policy():
                self._account.policies[command.user] = command
            case commands.Dial():
                self._dial(command)
            case commands.Answer():
                self._answer(
                    self.calls[command.call], command.code, command.reason, command.headers
                )
            case commands.HangUp():
                self._hang_up(self.calls[command.call], command.headers)
            case commands.Tone():
                self.calls[command.call].audio.send_tone(command.hertz)
            case commands.Play():
                self._play(self.calls[command.call], command)
            case commands.Dtmf():
                self._dtmf(self.calls[command.call], command)
            case commands.Hold():
                self.calls[command.call].setHold(_parameters())
            case commands.Resume():
                prm = _parameters()
                prm.opt.flag = pj.PJSUA_CALL_UNHOLD
                self.calls[command.call].reinvite(prm)
            case commands.Join():
                other = self.calls[command.other]
                self.calls[command.call].xferReplaces(other, _parameters())
            case commands.Statistics():
                self._tell_statistics()
            case commands.Quit():
                raise RuntimeError("quit is the process's own command")

    def _dial(self, command: commands.Dial) -> None:
        if command.call in self.calls:
            raise RuntimeError(f"a call is named {command.call!r} already")
        call = PhoneCall(self._account, command.call, command, calls=self.calls, queue=self._queue)
        prm = _parameters(headers=command.headers)
        if command.caller is not None:
            address = self._endpoint.transportGetInfo(self._transport).localName
            prm.txOption.localUri = f"sip:{command.caller}@{address}"
        try:
            call.makeCall(command.to, prm)
        except pj.Error:
            self._forget(call)
            raise

    def _answer(self, call: PhoneCall, code: int, reason: str, headers: dict[str, str]) -> None:
        call.ended_by_us = code >= 300
        call.answer(_parameters(code, reason, headers))

    def _hang_up(self, call: PhoneCall, headers: dict[str, str]) -> None:
        call.ended_by_us = True
        call.hangup(_parameters(headers=headers))

    def _play(self, call: PhoneCall, command: commands.Play) -> None:
        seconds = call.audio.send_file(command.file)
        self._timers.enter(seconds, 0, call.report, ("played",), {"file": str(command.file)})

    def _dtmf(self, call: PhoneCall, command: commands.Dtmf) -> None:
        prm = pj.CallSendDtmfParam()
        info = command.via == "info"
        prm.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if info else pj.PJSUA_DTMF_METHOD_RFC2833
        prm.digits = command.digits
        prm.duration = round(command.duration * 1000)
        call.sendDtmf(prm)

    def _tell_statistics(self) -> None:
        for call in self.calls.values():
            self._tell(call.statistics())

    def _react(self, report: Report) -> None:
        call = self.calls.get(report.call)
        if call is None:
            return
        match report.event:
            case "incoming" if isinstance(call.talk, commands.Policy):
                self._ring(call, call.talk)
            case "media":
                self._connect(call, report)
            case "confirmed" if call.talk.hang_up_after is not None:
                self._timers.enter(call.talk.hang_up_after, 0, self._hang_up_if_up, (call.name,))
            case "disconnected":
                self._forget(call)
                self._finishing += 1
                self._timers.enter(TICKS, 0, self._finish, (call,))

    def _ring(self, call: PhoneCall, policy: commands.Policy) -> None:
        if policy.provisional is not None:
            call.answer(_parameters(policy.provisional))
        if policy.answer is not None:
            self._timers.enter(policy.ring, 0, self._answer_if_up, (call.name, policy))

    def _answer_if_up(self, name: str, policy: commands.Policy) -> None:
        call = self.calls.get(name)
        if call is not None and policy.answer is not None:
            self._answer(call, policy.answer, policy.reason, policy.headers)

    def _hang_up_if_up(self, name: str) -> None:
        call = self.calls.get(name)
        if call is not None:
            self._hang_up(call, call.talk.hang_up_headers)

    def _connect(self, call: PhoneCall, report: Report) -> None:
        if report["state"] == "none":
            call.audio.disconnect()
            return
        try:
            audio = call.getAudioMedia(-1)
        except pj.Error:  # it ended in the same poll: `disconnected` is the next report
            return
        call.audio.connect(audio)
        if not call.sounding:
            call.sounding = True
            if call.talk.play is not None:
                self._play(call, commands.Play(call=call.name, file=call.talk.play))
            elif call.talk.tone is not None:
                call.audio.send_tone(call.talk.tone)

    def _listen(self) -> None:
        self._timers.enter(_LISTEN_EVERY, 0, self._listen)
        for call in self.calls.values():
            self._report_sounds(call)

    def _report_sounds(self, call: PhoneCall) -> None:
        if call.audio.hearing is not None:
            for sound, at in call.audio.hearing.changes():
                call.report("heard", sound=sound, at=at)

    def _forget(self, call: PhoneCall) -> None:
        """Destroyed late, it would hang up whatever call has taken its slot since."""
        del self.calls[call.name]
        type(call).__swig_destroy__(call)

    def _finish(self, call: PhoneCall) -> None:
        call.audio.destroy()
        self._close(call, time.monotonic() + _CLOSE_LIMIT)

    def _close(self, call: PhoneCall, limit: float) -> None:
        """The bridge lets go of a recorder at a later tick; only then is its file finished."""
        hearing = call.audio.hearing
        seconds = hearing.seconds() if hearing is not None else 0.0
        if hearing is not None and not seconds and time.monotonic() < limit:
            self._timers.enter(TICKS, 0, self._close, (call, limit))
            return
        self._finishing -= 1
        if hearing is not None:
            self._report_sounds(call)  # what the writer still held when the call ended
            call.report("recorded", file=str(call.audio.record), seconds=seconds)


def _parameters(
    code: int = 0, reason: str = "", headers: dict[str, str] | None = None
) -> pj.CallOpParam:
    prm = pj.CallOpParam(True)
    prm.opt.textCount = 0  # PJSIP offers a T.140 text stream otherwise
    prm.statusCode = code
    prm.reason = reason
    for name, value in (headers or {}).items():
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        prm.txOption.headers.append(header)
    return prm
