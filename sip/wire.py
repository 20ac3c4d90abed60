"""One dialog's messages as they were on the wire: the ladder, and the evidence PJSIP does not keep.

PJSIP reports a status; why it came (Retry-After, Reason, a Contact) and whether it came at all,
rather than from a timer of PJSIP's own, is read here from the messages themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from sip.events import Direction, Event, SipMessage
from sip.message import Message
from sip.pjsip import EventKind, NativeEvent
from sip.redaction import without_credentials


class Wire:
    """What was said in one dialog."""

    def __init__(self, label: str, emit: Callable[[Event], None]) -> None:
        self._label = label
        self._emit = emit
        self.failure: Message | None = None
        """The last final response, 300 to 699, received to an INVITE of ours."""
        self.bye_received: Message | None = None
        self.bye_answered: Message | None = None
        """The final response to our BYE."""
        self.refer_cseq = 0
        """CSeq number of the last REFER sent: the `id` of its subscription (RFC 3515 2.4.6)."""
        self.on_refer_final: Callable[[int, str, bool], None] | None = None
        """Told code, reason, and whether a response came at all."""
        self.on_notify: Callable[[Message], None] | None = None

    def saw(self, event: NativeEvent) -> None:
        """Take in a message, a final response to our REFER, or a NOTIFY."""
        kind, _, _, number, _, text1, text2 = event
        if kind == EventKind.MESSAGE_RECEIVED:
            self._record(Direction.RECEIVED, text1, number, text2)
            self._received(text2)
        elif kind == EventKind.MESSAGE_SENT:
            self._record(Direction.SENT, text1, number, text2)
            if text2.startswith("REFER "):
                self.refer_cseq = int(Message(text2).header("CSeq").partition(" ")[0])
        elif kind == EventKind.REFER_FINAL and self.on_refer_final:
            self.on_refer_final(number, text1, not text2)
        elif kind == EventKind.NOTIFY and self.on_notify:
            self.on_notify(Message(text2))

    def _record(self, direction: Direction, origin: str, port: int, text: str) -> None:
        transport, _, host = origin.partition(" ")
        self._emit(
            SipMessage(
                self._label,
                direction,
                transport.lower(),
                f"{host}:{port}",
                without_credentials(text),
            )
        )

    def _received(self, text: str) -> None:
        if text.startswith("BYE "):
            self.bye_received = Message(text)
        elif text.startswith("SIP/2.0 "):
            self._response(Message(text))

    def _response(self, message: Message) -> None:
        if message.status is None or message.status < 200:
            return
        if message.status >= 300 and message.method == "INVITE":
            self.failure = message
        elif message.method == "BYE":
            self.bye_answered = message
