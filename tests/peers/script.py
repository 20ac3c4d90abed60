"""SIPp scenarios, written as what the peer does: one line a step.

    Caller("hangs up first").dials().is_answered().talks(0.2).hangs_up()

`xml()` is the scenario file that `sipp -sf` reads. What a peer must get is asserted by the
scenario itself: another message than the next expected one, a header that does not match, or
nothing in time fails the call, and with it the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import count
from typing import Self

CRLF = "\n"
"""SIPp turns line ends into CRLF itself."""

SDP = """v=0
o=peer 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv"""
"""The usual offer and answer: G.711 and RFC 4733."""

CONTACT = "Contact: <sip:peer@[local_ip]:[local_port];transport=[transport]>"

NUMBER = "sip:[service]@[remote_ip]:[remote_port]"
"""Request URI outside a dialog: the dialled number at the gateway."""

SIPFRAG = "message/sipfrag;version=2.0"
"""The body of a REFER's NOTIFY (RFC 3515 section 2.4.5)."""

GO_ON = "CONTINUE"
"""A request that no peer sends, but the test itself."""

RETRANSMIT_MS = 500
"""T1 of RFC 3261 section 17.1.1.1."""

Headers = Mapping[str, str]
"""Names with the regular expressions their values must match."""


class Script:
    """Steps that both kinds of peer take within a dialog."""

    dialog: tuple[str, ...] = ()
    """Header lines From, To and Call-ID of the requests this side sends."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._steps: list[str] = []
        self._cseq = count(1)
        self._variables: list[str] = []
        self._last: list[str] = []
        """Steps of another ending."""

    def xml(self) -> str:
        """The scenario file."""
        kept = self._variables
        reference = [f'<Reference variables="{",".join(kept)}"/>'] if kept else []
        steps = "\n".join([*self._steps, *self._last, *reference])
        title = escape(self.name, quote=True)
        head = '<?xml version="1.0" encoding="UTF-8"?>'
        return f'{head}\n<scenario name="{title}">\n{steps}\n</scenario>\n'

    def sends(
        self,
        method: str,
        headers: tuple[str, ...] = (),
        body: str = "",
        *,
        number: int | None = None,
    ) -> Self:
        """A request within the dialog; its answer is a step of its own.

        `number` in CSeq: the next one, unless it is given.
        """
        cseq = f"CSeq: {number or next(self._cseq)} {method}"
        return self._request(method, (*self.dialog, cseq, CONTACT, *headers), body)

    def receives(
        self, method: str, headers: Headers | None = None, *, optional: bool = False
    ) -> Self:
        """A request whose headers match."""
        self._steps.append(
            f'<recv request="{method}" optional="{str(optional).lower()}">'
            f"{self._checks(headers or {})}</recv>"
        )
        return self

    def gets(self, code: int, headers: Headers | None = None) -> Self:
        """A response; provisional ones before it are passed over."""
        self._steps.append(f'<recv response="{code}">{self._checks(headers or {})}</recv>')
        return self

    def replies(
        self, code: int, reason: str, headers: tuple[str, ...] = (), body: str = ""
    ) -> Self:
        """A response to the request just received."""
        echoed = ("[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]")
        return self._message(f"SIP/2.0 {code} {reason}", (*echoed, *headers), body)

    def talks(self, seconds: float) -> Self:
        """Nothing is said for a while. Where something must have happened meanwhile: `waits`."""
        self._steps.append(f'<pause milliseconds="{round(seconds * 1000)}"/>')
        return self

    def waits(self) -> Self:
        """Nothing is said until the test has it go on: `Sipp.go_on`."""
        return self.receives(GO_ON)

    def hangs_up(self, headers: tuple[str, ...] = ()) -> Self:
        """BYE, answered with 200 (RFC 3261 section 15)."""
        return self.sends("BYE", headers).gets(200)

    def is_hung_up_on(self, headers: Headers | None = None) -> Self:
        """BYE from the gateway (RFC 3261 section 15)."""
        return self.receives("BYE", headers).replies(200, "OK")

    def refers(self, target: str, headers: tuple[str, ...] = (), *, code: int = 202) -> Self:
        """REFER within the dialog (RFC 3515 section 2.1), answered with `code`."""
        return self.sends("REFER", (f"Refer-To: {target}", *headers)).gets(code)

    def is_notified(
        self, status: str, state: str = "active", headers: Headers | None = None
    ) -> Self:
        """NOTIFY whose sipfrag and Subscription-State match, answered with 200."""
        wanted = {"Event": "refer", "Subscription-State": state, **(headers or {})}
        self.receives("NOTIFY", wanted)
        body = (
            f'<ereg regexp="SIP/2.0 {status}" search_in="body" check_it="true" '
            f'assign_to="{self._variable()}"/></action>'
        )
        self._steps[-1] = self._steps[-1].replace("</action>", body)
        return self.replies(200, "OK")

    def sends_info_digit(self, digit: str) -> Self:
        """One DTMF digit by INFO, as application/dtmf-relay."""
        body = f"Signal={digit}\nDuration=160"
        return self.sends("INFO", ("Content-Type: application/dtmf-relay",), body).gets(200)

    def _request(
        self,
        method: str,
        headers: tuple[str, ...],
        body: str = "",
        *,
        uri: str = "[next_url]",
        retransmit: bool = True,
    ) -> Self:
        via = "Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]"
        lines = (via, "Max-Forwards: 70", *headers)
        return self._message(f"{method} {uri} SIP/2.0", lines, body, retransmit=retransmit)

    def _message(
        self, line: str, headers: tuple[str, ...], body: str = "", *, retransmit: bool = False
    ) -> Self:
        text = CRLF.join([line, *headers, "Content-Length: [len]", "", body or ""])
        retrans = f' retrans="{RETRANSMIT_MS}"' if retransmit else ""
        self._steps.append(f"<send{retrans}><![CDATA[\n{text}\n]]></send>")
        return self

    def _checks(self, headers: Headers) -> str:
        checks = "".join(
            f'<ereg regexp="{escape(pattern, quote=True)}" search_in="hdr" header="{name}:" '
            f'check_it="true" assign_to="{self._variable()}"/>'
            for name, pattern in headers.items()
        )
        return f"<action>{checks}</action>" if checks else ""

    def _variable(self) -> str:
        name = f"seen{len(self._variables)}"
        self._variables.append(name)
        return name


class Caller(Script):
    """A trunk's side of a call that it places through the gateway."""

    dialog: tuple[str, ...] = (
        "From: <sip:[$caller]@[local_ip]>;tag=[pid]c[call_number]",
        "To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]",
        "Call-ID: [call_id]",
    )

    def __init__(self, name: str, caller: str = "+493055501") -> None:
        super().__init__(name)
        self.dialog = tuple(line.replace("[$caller]", caller) for line in self.dialog)
        self._offer = 0
        """CSeq number of its last re-INVITE."""
        self.spoken = SDP
        """What it offered."""

    def dials(
        self,
        headers: tuple[str, ...] = (),
        *,
        sdp: str = SDP,
        once: bool = False,
        contact: str = "",
    ) -> Self:
        """INVITE with an offer (RFC 3261 section 13.2).

        Args:
            headers: whole lines.
            sdp: the offer.
            once: never repeated, and the next step does not wait for an answer.
            contact: where the gateway's requests go; empty: here.
        """
        self.spoken = sdp
        lines = ("Content-Type: application/sdp", *headers)
        self._outside("INVITE", lines, sdp, retransmit=not once)
        if contact:
            self._steps[-1] = self._steps[-1].replace(CONTACT, f"Contact: <{contact}>")
        return self

    def asks(self, method: str, headers: tuple[str, ...] = ()) -> Self:
        """A request outside any dialog."""
        return self._outside(method, headers)

    def _outside(
        self, method: str, headers: tuple[str, ...], body: str = "", *, retransmit: bool = True
    ) -> Self:
        cseq = f"CSeq: {next(self._cseq)} {method}"
        lines = (*self.dialog, cseq, CONTACT, *headers)
        return self._request(method, lines, body, uri=NUMBER, retransmit=retransmit)

    def hears_progress(self) -> Self:
        """100, 180 or 183, any of them or none."""
        for code in (100, 180, 183):
            self._steps.append(f'<recv response="{code}" optional="true"/>')
        return self

    def is_answered(self, *, timed: bool = False) -> Self:
        """200, acknowledged (RFC 3261 section 13.2.2.4).

        `timed`: the time since the INVITE is measured.
        """
        timer = ' rtd="1"' if timed else ""
        if timed:
            self._steps[-1] = self._steps[-1].replace("<send", '<send start_rtd="1"', 1)
        self.hears_progress()
        self._steps.append(f'<recv response="200" rrs="true"{timer}/>')
        return self._request("ACK", (*self.dialog, "CSeq: 1 ACK", CONTACT), retransmit=False)

    def is_refused(self, code: int, headers: Headers | None = None) -> Self:
        """A final response of 300 and above, acknowledged in its transaction (17.1.1.3)."""
        self.hears_progress().gets(code, headers)
        return self._acknowledges()

    def rings(self) -> Self:
        """100 perhaps, then 180."""
        self._steps.append('<recv response="100" optional="true"/>')
        self._steps.append('<recv response="180"/>')
        return self

    def cancels(self) -> Self:
        """CANCEL, answered with 200; the INVITE with 487 (RFC 3261 section 9)."""
        via = "Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch-1]"
        to = self.dialog[1].replace("[peer_tag_param]", "")
        headers = (via, "Max-Forwards: 70", self.dialog[0], to, self.dialog[2], "CSeq: 1 CANCEL")
        self._message(f"CANCEL {NUMBER} SIP/2.0", headers, retransmit=True)
        self.hears_progress()
        self.gets(200)
        self._steps.append('<recv response="487"/>')
        return self._acknowledges()

    def _acknowledges(self) -> Self:
        headers = (
            "[last_Via:]",
            "Max-Forwards: 70",
            self.dialog[0],
            "[last_To:]",
            self.dialog[2],
            "CSeq: 1 ACK",
        )
        return self._message(f"ACK {NUMBER} SIP/2.0", headers)

    def is_referred(self, target: str, headers: Headers | None = None) -> Self:
        """REFER from the gateway (RFC 3515 section 2.4.1); `target` matches its Refer-To."""
        self.receives("REFER", {"Refer-To": target, **(headers or {})})
        number = '<ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="refer"/>'
        if "refer" not in self._variables:
            self._variables.append("refer")
        self._steps[-1] = self._steps[-1].replace("</action>", f"{number}</action>")
        return self._keeps("refer")

    def answers_refer(self, code: int, reason: str, headers: tuple[str, ...] = ()) -> Self:
        """A response to the last REFER, whatever has been said since."""
        return self._answers("refer", code, reason, headers)

    def accepts(self) -> Self:
        """202 to the REFER (RFC 3515 section 2.4.2)."""
        return self.answers_refer(202, "Accepted", (CONTACT,))

    def challenges_refer(self, realm: str, nonce: str = "5f1d2c") -> Self:
        """401 to the REFER (RFC 3261 section 22.2)."""
        challenge = f'WWW-Authenticate: Digest realm="{realm}", algorithm=MD5, nonce="{nonce}"'
        return self.answers_refer(401, "Unauthorized", (challenge,))

    def checks_credentials(self, user: str, password: str) -> Self:
        """The digest of the request just received is right, or the call fails."""
        place = len(self._steps)
        check = f'<verifyauth assign_to="right" username="{user}" password="{password}"/></action>'
        self._steps[-1] = self._steps[-1].replace("</action>", check)
        self._steps.append(f'<nop test="right" next="right{place}"/>')
        self.receives("NOTHING")
        self._steps.append(f'<label id="right{place}"/>')
        return self

    def is_unsubscribed(self) -> Self:
        """SUBSCRIBE that ends the REFER's subscription (RFC 3515 2.4.4, RFC 6665 4.1.2.3)."""
        self.receives("SUBSCRIBE", {"Event": "refer;id=[0-9]+", "Expires": "^ *0"})
        return self.replies(200, "OK", ("Expires: 0",))

    def offers(self, direction: str, *, number: int | None = None, sdp: str = "") -> Self:
        """re-INVITE: `sendonly` or `inactive` puts on hold, `sendrecv` resumes (RFC 3264 8.4).

        `sdp`: what it offers from now on; empty: the same as before.
        """
        self.spoken = sdp or self.spoken
        self._offer = number or next(self._cseq)
        lines = ("Content-Type: application/sdp",)
        return self.sends("INVITE", lines, self._sdp(direction), number=self._offer)

    def holds(self, direction: str = "sendonly") -> Self:
        """Put the gateway on hold, acknowledged."""
        return self.offers(direction).gets(200).acknowledges_offer()

    def acknowledges_offer(self) -> Self:
        """ACK of a re-INVITE's 2xx."""
        lines = (*self.dialog, f"CSeq: {self._offer} ACK", CONTACT)
        return self._request("ACK", lines, retransmit=False)

    def is_refused_offer(self, code: int) -> Self:
        """A final response of 300 and above to a re-INVITE, acknowledged (17.1.1.3)."""
        self.gets(code)
        lines = ("[last_Via:]", "Max-Forwards: 70", *self.dialog, f"CSeq: {self._offer} ACK")
        return self._message("ACK [next_url] SIP/2.0", lines)

    def is_offered(self, answer: str = "sendrecv") -> Self:
        """re-INVITE from the gateway, answered and acknowledged."""
        lines = (CONTACT, "Content-Type: application/sdp")
        self.receives_offer().answers_offer(200, "OK", lines, self._sdp(answer))
        return self.receives("ACK")

    def receives_offer(self) -> Self:
        """re-INVITE from the gateway; its answer is a step of its own."""
        return self.receives("INVITE")._keeps("offer")

    def answers_offer(
        self, code: int, reason: str, headers: tuple[str, ...] = (), body: str = ""
    ) -> Self:
        """A response to the gateway's re-INVITE, whatever has been said since."""
        return self._answers("offer", code, reason, headers, body)

    def _keeps(self, name: str) -> Self:
        """Remember of the request just received what its response must repeat."""
        kept = {"via": "Via", "from": "From", "cseq": "CSeq"}
        captures = "".join(
            f'<ereg regexp=".*" search_in="hdr" header="{header}:" assign_to="{name}_{part}"/>'
            for part, header in kept.items()
        )
        names = [f"{name}_{part}" for part in kept]
        self._variables += [variable for variable in names if variable not in self._variables]
        step = self._steps[-1]
        step = step if "</action>" in step else step.replace("</recv>", "<action></action></recv>")
        self._steps[-1] = step.replace("</action>", f"{captures}</action>")
        return self

    def _answers(
        self, name: str, code: int, reason: str, headers: tuple[str, ...], body: str = ""
    ) -> Self:
        to = self.dialog[0].replace("From", "To", 1)
        echoed = (f"Via:[${name}_via]", f"From:[${name}_from]", to, self.dialog[2])
        lines = (*echoed, f"CSeq:[${name}_cseq]", *headers)
        return self._message(f"SIP/2.0 {code} {reason}", lines, body)

    def _sdp(self, direction: str) -> str:
        return self.spoken.replace("a=sendrecv", f"a={direction}")

    def notifies(
        self,
        sipfrag: str,
        state: str = "active;expires=60",
        event: str = "Event: refer",
        kind: str = SIPFRAG,
    ) -> Self:
        """NOTIFY with a status line, answered with 200 (RFC 3515 section 2.4.4)."""
        return self.tells(sipfrag, state, event, kind).gets(200)

    def tells(
        self,
        sipfrag: str,
        state: str = "active;expires=60",
        event: str = "Event: refer",
        kind: str = SIPFRAG,
        *,
        number: int | None = None,
    ) -> Self:
        """NOTIFY with a status line, whose answer is a step of its own.

        Args:
            sipfrag: e.g. `SIP/2.0 100 Trying`; empty for a NOTIFY without a body.
            state: Subscription-State; empty for none.
            event: the Event line; empty for none. `[$refer]` is the CSeq of the REFER.
            kind: the body's type.
            number: in CSeq, where it is not the next one.
        """
        subscription = f"Subscription-State: {state}" if state else ""
        content = f"Content-Type: {kind}" if sipfrag else ""
        lines = tuple(line for line in (event, subscription, content) if line)
        return self.sends("NOTIFY", lines, sipfrag, number=number)


_OF_THE_INVITE = {"Via": "via", "From": "caller", "To": "callee", "CSeq": "cseq"}
"""Headers that its responses repeat, and the variables that keep them."""


class Agent(Script):
    """A called party: the gateway dials it."""

    dialog = (
        "From:[$callee];tag=[pid]a[call_number]",
        "To:[$caller]",
        "[last_Call-ID:]",
    )

    def is_asked_or_called(self, code: int = 200, reason: str = "OK") -> Self:
        """OPTIONS, which is answered so and is all; or INVITE."""
        self._steps.append('<recv request="OPTIONS" optional="true" next="asked"/>')
        usual, self._steps = self._steps, []
        self.replies(code, reason)
        self._otherwise("asked")
        self._steps = usual
        return self.is_called()

    def is_called(self, headers: Headers | None = None) -> Self:
        """INVITE (RFC 3261 section 13.3)."""
        captures = "".join(
            f'<ereg regexp=".*" search_in="hdr" header="{header}:" assign_to="{name}"/>'
            for header, name in _OF_THE_INVITE.items()
        )
        self._variables += [name for name in _OF_THE_INVITE.values() if name not in self._variables]
        checks = self._checks(headers or {}).removeprefix("<action>").removesuffix("</action>")
        self._steps.append(
            f'<recv request="INVITE" rrs="true"><action>{captures}{checks}</action></recv>'
        )
        return self

    def rings(self) -> Self:
        """180 with a tag: an early dialog."""
        return self._responds("180 Ringing", (CONTACT,))

    def progresses(self) -> Self:
        """183 with an answer: early media (RFC 3960)."""
        return self._responds(
            "183 Session Progress", (CONTACT, "Content-Type: application/sdp"), SDP
        )

    def rings_reliably(self) -> Self:
        """180 that must be acknowledged by PRACK, which gets 200 (RFC 3262 section 3)."""
        self._responds("180 Ringing", (CONTACT, "Require: 100rel", "RSeq: 1"), retransmit=True)
        return self.receives("PRACK", {"RAck": "1 [0-9]+ INVITE"}).replies(200, "OK")

    def answers(self, *, sdp: str = SDP) -> Self:
        """200 with an answer, acknowledged."""
        self._responds("200 OK", (CONTACT, "Content-Type: application/sdp"), sdp, retransmit=True)
        return self.receives("ACK")

    def answers_late(self, *, tag: str = "", sdp: str = SDP, contact: str = CONTACT) -> Self:
        """200 whose ACK is another step; `tag` makes it another dialog, of another fork."""
        kind = ("Content-Type: application/sdp",) if sdp else ()
        headers = tuple(line for line in (contact, *kind) if line)
        return self._responds("200 OK", headers, sdp, retransmit=True, tag=tag)

    def refuses(
        self, code: int, reason: str, headers: tuple[str, ...] = (), body: str = ""
    ) -> Self:
        """A final response of 300 and above, acknowledged."""
        self._responds(f"{code} {reason}", headers, body, retransmit=True)
        return self.receives("ACK")

    def refuses_offer_of(
        self, text: str, code: int, reason: str, headers: tuple[str, ...] = (), body: str = ""
    ) -> Self:
        """The INVITE just received, if its offer matches: refused, and its call is over."""
        offer = f'<ereg regexp="{text}" search_in="body" assign_to="long"/></action>'
        self._steps[-1] = self._steps[-1].replace("</action>", offer)
        self._variables.append("long")
        self._steps.append('<nop test="long" next="refuse"/>')
        usual, self._steps = self._steps, []
        self.refuses(code, reason, headers, body)
        self._otherwise("refuse")
        self._steps = usual
        return self

    def _otherwise(self, label: str) -> None:
        """These steps are another ending, to which a step leads by this label."""
        over = '<label id="over"/>'
        self._last = ['<nop next="over"/>', f'<label id="{label}"/>', *self._steps, over, "<nop/>"]

    def is_cancelled(self) -> Self:
        """CANCEL: 200 to it, 487 to the INVITE, acknowledged (RFC 3261 section 9.2)."""
        self.receives("CANCEL").replies(200, "OK")
        return self.refuses(487, "Request Terminated")

    def _responds(
        self,
        status: str,
        headers: tuple[str, ...] = (),
        body: str = "",
        *,
        retransmit: bool = False,
        tag: str = "",
    ) -> Self:
        # Not [last_To:] and the like: after a CANCEL or a PRACK these are its own.
        lines = (
            "Via:[$via]",
            "[last_Record-Route:]",
            "From:[$caller]",
            f"To:[$callee];tag=[pid]a[call_number]{tag}",
            "[last_Call-ID:]",
            "CSeq:[$cseq]",
            *headers,
        )
        return self._message(f"SIP/2.0 {status}", lines, body, retransmit=retransmit)


class Registrar(Script):
    """A provider that the gateway registers with."""

    def __init__(self, name: str, user: str, password: str) -> None:
        super().__init__(name)
        self._credentials = f'username="{user}" password="{password}"'

    def challenges(self) -> Self:
        """401, then a REGISTER whose digest is right (RFC 3261 section 22.2)."""
        challenge = 'WWW-Authenticate: Digest realm="provider", algorithm=MD5, nonce="5f1d2c"'
        self.receives("REGISTER").replies(401, "Unauthorized", (challenge,))
        self._steps.append(
            '<recv request="REGISTER"><action>'
            f'<verifyauth assign_to="right" {self._credentials}/>'
            "</action></recv>\n"
            '<nop test="right" next="known"/>'
        )
        self.replies(403, "Forbidden").receives("NOTHING")
        self._steps.append('<label id="known"/>')
        return self

    def is_asked(self, headers: Headers | None = None) -> Self:
        """REGISTER."""
        return self.receives("REGISTER", headers)

    def refuses(self, code: int, reason: str, headers: tuple[str, ...] = ()) -> Self:
        """A final response of 300 and above."""
        return self.replies(code, reason, headers)

    def grants(self, seconds: int) -> Self:
        """200 with the binding (RFC 3261 section 10.3)."""
        return self.replies(200, "OK", ("[last_Contact:]", f"Expires: {seconds}"))
