"""A trunk that calls in: what it does in its call, and when it is referred."""

from __future__ import annotations

from typing import Self

from tests.peers.script import CONTACT, NUMBER, SDP, SIPFRAG, Headers, Script


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
