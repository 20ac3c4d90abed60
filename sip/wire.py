"""One dialog's messages as they were on the wire: the ladder, and the evidence PJSIP does not keep.

PJSIP reports a status; why it came (Retry-After, Reason, a Contact) and whether it came at all,
rather than from a timer of PJSIP's own, is read here from the messages themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from sip.events import Direction, SipMessage
from sip.message import Message
from sip.pjsip import EventKind, NativeEvent
from sip.redaction import without_credentials


class Wire:
    """What was said in one dialog."""

    def __init__(self) -> None:
        self.provisional_has_sdp = False
        """Whether the last 1xx to an INVITE of ours had a body: early media."""
        self.failure: Message | None = None
        """The final response, 300 to 699, received to our last INVITE."""
        self.responded = False
        """Whether anything at all came back to an INVITE of ours."""
        self.bye_received: Message | None = None
        self.bye_answered: Message | None = None
        """The final response to our BYE."""
        self.refer_failure: Message | None = None
        """The last final response, 300 to 699, received to a REFER of ours."""
        self.refers_received = 0
        self.on_refer_final: Callable[[int, int, str, str], None] | None = None
        """Told which REFER (`Dialog.refer`), code, reason, and a note where PJSIP has one."""
        self.on_notify: Callable[[int, Message], None] | None = None
        """Told which REFER it belongs to, and the NOTIFY."""
        self.on_invite_final: Callable[[int], None] | None = None
        """Told the final status of an INVITE of ours."""

    def message(self, label: str, event: NativeEvent) -> SipMessage:
        """A message for the ladder, of the dialog that has this label."""
        kind, _, _, port, _, origin, text = event
        transport, _, host = origin.partition(" ")
        return SipMessage(
            label,
            Direction.RECEIVED if kind == EventKind.MESSAGE_RECEIVED else Direction.SENT,
            transport.lower(),
            f"{host}:{port}",
            without_credentials(text),
        )

    def saw(self, event: NativeEvent) -> None:
        """Take in a message, a final response to our REFER, or a NOTIFY."""
        kind, _, _, number, extra, text1, text2 = event
        if kind == EventKind.MESSAGE_RECEIVED:
            self._received(text2)
        elif kind == EventKind.MESSAGE_SENT:
            if text2.startswith("INVITE "):
                self.failure, self.provisional_has_sdp = None, False
        elif kind == EventKind.REFER_FINAL and self.on_refer_final:
            self.on_refer_final(extra, number, text1, text2)
        elif kind == EventKind.NOTIFY and self.on_notify:
            self.on_notify(number, Message(text2))

    def _received(self, text: str) -> None:
        if text.startswith("BYE "):
            self.bye_received = Message(text)
        elif text.startswith("SIP/2.0 "):
            self._response(Message(text))

    def _response(self, message: Message) -> None:
        if message.status is None:
            return
        self.responded = self.responded or message.method == "INVITE"
        if message.status < 200:
            self.provisional_has_sdp = bool(message.body)
            return
        if message.method == "INVITE":
            if message.status >= 300:
                self.failure = message
            if self.on_invite_final:
                self.on_invite_final(message.status)
        elif message.status >= 300 and message.method == "REFER":
            self.refer_failure = message
        elif message.method == "BYE":
            self.bye_answered = message
