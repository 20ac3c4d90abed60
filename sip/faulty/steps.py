"""What a peer can do, as data: the steps of a script, and which script answers which request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """A response. Those to INVITE that are final are repeated until the ACK (RFC 3261 17.2.1)."""

    code: int
    reason: str = ""
    """Empty: the usual one."""
    headers: tuple[str, ...] = ()
    """Whole lines: `Retry-After: 30`."""
    sdp: bool = False
    contact: bool = True
    to: str = ""
    """The method whose last request it answers; empty: the request that began the script."""
    fork: str = ""
    """Appended to the To tag: another branch of a forking proxy (RFC 3261 section 19.3)."""


@dataclass(frozen=True, slots=True)
class OnlyG711:
    """Goes on where the INVITE offers PCMU and PCMA alone, in packets of 20 ms. Else this answer is
    the script's end."""

    otherwise: Reply


@dataclass(frozen=True, slots=True)
class Notify:
    """A NOTIFY of the REFER's implicit subscription (RFC 3515 section 2.4.4)."""

    sipfrag: str = ""
    """`SIP/2.0 100 Trying`; empty: no body."""
    state: str = "active;expires=60"
    event: str | None = "refer"
    """None: no Event header. `refer;id=#` stands for the CSeq of the REFER (section 2.4.6)."""
    answered: bool = True
    """The script goes on once it was answered; else at once."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The last request once more, as a retransmission would be (RFC 3261 section 17.1.2)."""


@dataclass(frozen=True, slots=True)
class Bye:
    """BYE: the peer leaves."""

    headers: tuple[str, ...] = ()
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """re-INVITE; the script goes on once it was answered (RFC 3264 section 8.4)."""

    direction: str = "sendonly"
    """`sendonly` or `inactive` puts the gateway on hold, `sendrecv` resumes."""


@dataclass(frozen=True, slots=True)
class Info:
    """INFO with one DTMF digit (application/dtmf-relay)."""

    digit: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds of silence."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Wait for the ACK to our final response."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that are no SIP message, or hardly."""

    text: str


Step = Reply | OnlyG711 | Notify | Repeat | Bye | Offer | Info | Wait | Acknowledged | Raw
Script = tuple[Step, ...]

RINGS: Script = (Reply(180),)
ANSWERS: Script = (*RINGS, Wait(0.05), Reply(200, sdp=True))
CONNECTS: Script = (
    Reply(202),
    Notify("SIP/2.0 100 Trying"),
    Notify("SIP/2.0 200 OK", "terminated;reason=noresource"),
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Which script a request begins. Without further words: a peer that does everything right.

    A BYE or CANCEL ends the script that runs; a request that was seen before is answered as then.
    """

    invite: Script = ANSWERS
    """To an INVITE that begins a dialog; once more to one that answers a challenge."""
    reinvite: Script = (Reply(200, sdp=True),)
    """To an INVITE within the dialog."""
    cancel: Script = (Reply(200, contact=False), Reply(487, to="INVITE", contact=False))
    refer: Script = CONNECTS
    bye: Script = (Reply(200, contact=False),)
    other: Script = (Reply(200),)
    """To OPTIONS, UPDATE, INFO, MESSAGE and NOTIFY."""

    def script(self, method: str, *, within: bool) -> Script:
        """What a request begins; `within`: it belongs to a dialog."""
        match method:
            case "INVITE":
                return self.reinvite if within else self.invite
            case "CANCEL":
                return self.cancel
            case "REFER":
                return self.refer
            case "BYE":
                return self.bye
            case _:
                return self.other
