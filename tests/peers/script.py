"""SIPp scenarios, written as what the peer does: one line a step.

    Caller("hangs up first").dials().is_answered().talks(0.2).hangs_up()

Here are the steps of all of them; those of one kind of peer are in caller.py, agent.py and
registrar.py.

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


def audio_at(port: int | str, host: str = "[media_ip]", *, sdp: str = SDP) -> str:
    """SDP that asks for its audio there; "[field0]" is a port of each call's own."""
    return sdp.replace("[media_port]", str(port)).replace("[media_ip]", host)


class Script:
    """Steps that every kind of peer takes within a dialog."""

    dialog: tuple[str, ...] = ()
    """Header lines From, To and Call-ID of the requests this side sends."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._steps: list[str] = []
        self._cseq = count(1)
        self._variables: list[str] = []
        self._last: list[str] = []
        """Steps of another ending."""
        self._offer = 0
        """CSeq number of its last re-INVITE."""
        self.spoken = SDP
        """What it has said of its audio."""

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

    def _sdp(self, direction: str) -> str:
        return self.spoken.replace("a=sendrecv", f"a={direction}")

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
