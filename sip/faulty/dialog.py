"""One dialog of the faulty peer, without I/O: messages and the time go in, datagrams come out.

Each request begins a script of the behaviour. Scripts run beside each other; a BYE or a CANCEL from
the gateway ends those that run. What RFC 3261 section 17 repeats over UDP is repeated here too.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from sip.faulty import wording
from sip.faulty.steps import (
    Acknowledged,
    Behaviour,
    Bye,
    Info,
    Notify,
    Offer,
    OnlyG711,
    Raw,
    Repeat,
    Reply,
    Script,
    Step,
    Wait,
)
from sip.message import Message, address

T1 = 0.5
"""Seconds to the first repetition (RFC 3261 section 17.1.1.1); each next one takes twice as long,
at most T2."""
T2 = 4.0
GIVE_UP = 64 * T1
"""Seconds after which nothing is repeated any more."""
BYE_LIMIT = 2.0
"""Seconds that our own BYE may take: nothing is learned by waiting longer."""

SDP_TYPE = "Content-Type: application/sdp"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the peer is."""

    host: str
    port: int
    media_port: int


class _Until(Enum):
    """What a script waits for, beside the time."""

    ACK = auto()
    RESPONSE = auto()


@dataclass(slots=True)
class _Run:
    """A script under way."""

    steps: deque[Step]
    trigger: Message | None
    """The request that began it; None: our own will."""
    wake: float | None = None
    until: _Until | None = None


@dataclass(slots=True)
class _Repeated:
    """A message that is sent again until it is answered."""

    text: str
    next: float
    give_up: float
    interval: float = T1


@dataclass(frozen=True, slots=True)
class _Party:
    """One end of the dialog, as From and To carry it."""

    uri: str
    tag: str = ""

    def __str__(self) -> str:
        return f"<{self.uri}>" + (f";tag={self.tag}" if self.tag else "")


@dataclass(slots=True)
class _Ends:
    """The dialog as our requests name it."""

    call_id: str
    local: _Party
    remote: _Party
    target: str
    """The gateway's Contact."""
    cseq: int = 0


@dataclass(slots=True)
class Heard:
    """What was said in a dialog, in order."""

    received: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)


class Dialog:
    """A call with the gateway, from the peer's side; `behaviour` may change at any time."""

    def __init__(self, place: Place, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.heard = Heard()
        self.confirmed = False
        """A 2xx to the INVITE came or went."""
        self._ended = False
        """One side has said BYE, or the INVITE was refused."""
        self._place = place
        self._ends: _Ends | None = None
        self._runs: list[_Run] = []
        self._requests: dict[str, Message] = {}
        """The gateway's last request of each method."""
        self._answers: dict[str, str] = {}
        """Our last response to each CSeq; empty: none yet."""
        self._repeated: dict[str, _Repeated] = {}
        """By CSeq: of the request that awaits an answer, of the INVITE whose final awaits ACK."""
        self._last_request = ""
        self._acknowledged = False
        self._out: list[str] = []
        self._tag = secrets.token_hex(4)

    @property
    def over(self) -> bool:
        """Whether the call is gone and nothing is left to be done."""
        return self._ended and not self._runs

    @property
    def deadline(self) -> float | None:
        """When `tick` is due; None: nothing is waited for."""
        times = [run.wake for run in self._runs if run.wake is not None]
        times += [each.next for each in self._repeated.values()]
        return min(times, default=None)

    # -- what happens ---------------------------------------------------------------------------

    def dial(self, uri: str, caller: str, headers: Iterable[str], now: float) -> list[str]:
        """Send INVITE; returns datagrams, as the others do."""
        local = _Party(f"sip:{caller}@{self._place.host}:{self._place.port}", self._tag)
        self._ends = _Ends(secrets.token_hex(8), local, _Party(uri), uri)
        self._ask("INVITE", now, (SDP_TYPE, *headers), self._sdp())
        return self._flush()

    def hang_up(self, now: float) -> list[str]:
        """Send BYE, whatever else goes on."""
        if not self._ended:
            self._begin((Bye(),), None, now)
        return self._flush()

    def receive(self, message: Message, now: float) -> list[str]:
        """Take in a message of this dialog."""
        self.heard.received.append(message)
        if message.status is None:
            self._requested(message, now)
        else:
            self._responded(message, message.status, now)
        return self._flush()

    def tick(self, now: float) -> list[str]:
        """Do what is due."""
        for key, each in list(self._repeated.items()):
            if now >= each.give_up:
                del self._repeated[key]
                self._given_up(key, now)
            elif now >= each.next:
                self._send(each.text)
                each.interval = min(2 * each.interval, T2)
                each.next = now + each.interval
        for run in list(self._runs):
            if run.wake is not None and now >= run.wake:
                run.wake = None
                self._advance(run, now)
        return self._flush()

    def _requested(self, request: Message, now: float) -> None:
        method, cseq = request.method, request.header("CSeq")
        if method == "ACK":
            self._acknowledged = True
            self._repeated.pop(f"{cseq.partition(' ')[0]} INVITE", None)
            self._ended = self._ended or not self.confirmed
            self._resume(_Until.ACK, now)
            return
        if cseq in self._answers:
            if self._answers[cseq]:
                self._send(self._answers[cseq])
            return
        self._answers[cseq] = ""
        self._requests[method] = request
        within = ";tag=" in request.header("To").lower()
        if self._ends is None or (method == "INVITE" and not within):
            self._learn(request)
        if method in ("BYE", "CANCEL"):
            self._runs.clear()
            self._ended = self._ended or method == "BYE"
        self._begin(self.behaviour.script(method, within=within), request, now)

    def _responded(self, response: Message, status: int, now: float) -> None:
        cseq = response.header("CSeq")
        if response.method == "INVITE":
            self._repeated.pop(cseq, None)  # by a provisional response too (RFC 3261 17.1.1.2)
            if status >= 200:
                self._invite_final(response, status)
                self._resume(_Until.RESPONSE, now)
            return
        if status < 200:
            return
        self._repeated.pop(cseq, None)
        self._ended = self._ended or response.method == "BYE"
        self._resume(_Until.RESPONSE, now)

    def _invite_final(self, response: Message, status: int) -> None:
        ends = self._known()
        tag = response.header("To").partition(";tag=")[2].partition(";")[0]
        self._acknowledged = True
        if status < 300:
            self.confirmed = True
            ends.remote = replace(ends.remote, tag=tag)
            ends.target = address(response.header("Contact")) or ends.target
            self._ack(response, ends.target, self._branch())
        else:
            self._ended = self._ended or not self.confirmed  # a refused re-INVITE changes nothing
            branch = response.header("Via").partition("branch=")[2].partition(";")[0]
            self._ack(response, ends.target, branch)

    def _ack(self, response: Message, uri: str, branch: str) -> None:
        lines = [f"{name}: {response.header(name)}" for name in ("From", "To", "Call-ID")]
        cseq = f"{response.header('CSeq').partition(' ')[0]} ACK"
        self._send(wording.request("ACK", uri, via=self._via(branch), dialog=lines, cseq=cseq))

    def _given_up(self, cseq: str, now: float) -> None:
        if cseq.endswith(("INVITE", "BYE")):
            self._ended = True
        self._resume(_Until.RESPONSE, now)

    # -- scripts --------------------------------------------------------------------------------

    def _begin(self, script: Script, trigger: Message | None, now: float) -> None:
        run = _Run(deque(script), trigger)
        self._runs.append(run)
        self._advance(run, now)

    def _resume(self, until: _Until, now: float) -> None:
        for run in list(self._runs):
            if run.until is until:
                run.until = None
                self._advance(run, now)

    def _advance(self, run: _Run, now: float) -> None:
        while run.steps and run.until is None and run.wake is None:
            self._do(run.steps.popleft(), run, now)
        if not run.steps and run.until is None and run.wake is None and run in self._runs:
            self._runs.remove(run)

    def _do(self, step: Step, run: _Run, now: float) -> None:
        match step:
            case Wait(seconds):
                run.wake = now + seconds
            case Acknowledged():
                run.until = None if self._acknowledged else _Until.ACK
            case Reply():
                request = self._requests.get(step.to) if step.to else run.trigger
                if request is not None:
                    self._reply(request, step, now)
            case OnlyG711(otherwise) if run.trigger is not None and not wording.only_g711(
                run.trigger.body
            ):
                run.steps = deque([otherwise])
            case Notify():
                self._notify(step, now)
                run.until = _Until.RESPONSE if step.answered else None
            case Bye(headers, answered):
                self._ask("BYE", now, headers, limit=BYE_LIMIT)
                run.until = _Until.RESPONSE if answered else None
            case Offer(direction):
                self._ask("INVITE", now, (SDP_TYPE,), self._sdp(direction))
                run.until = _Until.RESPONSE
            case Info(digit):
                kind = "Content-Type: application/dtmf-relay"
                self._ask("INFO", now, (kind,), f"Signal={digit}\r\nDuration=160\r\n")
                run.until = _Until.RESPONSE
            case Repeat():
                if self._last_request:
                    self._send(self._last_request)
            case Raw(text):
                self._send(text)

    def _reply(self, request: Message, step: Reply, now: float) -> None:
        headers = list(step.headers)
        if step.contact and step.code > 100:
            headers += [self._contact(), wording.ALLOW]
        if step.sdp:
            headers.append(SDP_TYPE)
        text = wording.response(
            request,
            step.code,
            step.reason or wording.reason(step.code),
            tag=self._tag + step.fork,
            headers=headers,
            body=self._sdp() if step.sdp else "",
        )
        cseq = request.header("CSeq")
        self._answers[cseq] = text
        self._send(text)
        if request.method != "INVITE" or step.code < 200:
            return
        self._acknowledged = False
        self.confirmed = self.confirmed or step.code < 300
        self._repeated[cseq] = _Repeated(text, now + T1, now + GIVE_UP)

    def _notify(self, step: Notify, now: float) -> None:
        headers = [f"Subscription-State: {step.state}"]
        if step.event is not None:
            refer = self._requests.get("REFER")
            number = refer.header("CSeq").partition(" ")[0] if refer else "0"
            headers.insert(0, f"Event: {step.event.replace('#', number)}")
        if step.sipfrag:
            headers.append("Content-Type: message/sipfrag;version=2.0")
        self._ask("NOTIFY", now, headers, f"{step.sipfrag}\r\n" if step.sipfrag else "")

    # -- sending --------------------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        now: float,
        headers: Iterable[str] = (),
        body: str = "",
        limit: float = GIVE_UP,
    ) -> None:
        ends = self._known()
        ends.cseq += 1
        cseq = f"{ends.cseq} {method}"
        lines = (f"From: {ends.local}", f"To: {ends.remote}", f"Call-ID: {ends.call_id}")
        text = wording.request(
            method,
            ends.target,
            via=self._via(self._branch()),
            dialog=lines,
            cseq=cseq,
            headers=(self._contact(), wording.ALLOW, *headers),
            body=body,
        )
        self._last_request = text
        self._send(text)
        self._repeated[cseq] = _Repeated(text, now + T1, now + limit)

    def _learn(self, request: Message) -> None:
        """The dialog that a request of the gateway begins."""
        sender = request.header("From")
        self._ends = _Ends(
            call_id=request.header("Call-ID"),
            local=_Party(address(request.header("To")), self._tag),
            remote=_Party(address(sender), sender.partition(";tag=")[2].partition(";")[0]),
            target=address(request.header("Contact")) or address(sender),
        )

    def _known(self) -> _Ends:
        if self._ends is None:
            raise RuntimeError("a dialog speaks before it was dialled or called")
        return self._ends

    def _send(self, text: str) -> None:
        self.heard.sent.append(Message(text))
        self._out.append(text)

    def _flush(self) -> list[str]:
        out, self._out = self._out, []
        return out

    def _contact(self) -> str:
        return f"Contact: <sip:faulty@{self._place.host}:{self._place.port}>"

    def _via(self, branch: str) -> str:
        return f"{self._place.host}:{self._place.port};branch={branch}"

    @staticmethod
    def _branch() -> str:
        return wording.BRANCH + secrets.token_hex(6)

    def _sdp(self, direction: str = "sendrecv") -> str:
        return wording.sdp(self._place.host, self._place.media_port, direction)
