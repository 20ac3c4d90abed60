"""A party that the gateway dials."""

from __future__ import annotations

from typing import Self

from tests.peers.script import CONTACT, SDP, Headers, Script

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
        self.spoken = sdp
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
