"""One dialog's messages as they were on the wire: the ladder, and the evidence PJSIP does not keep.

PJSIP reports a status; why it came (Retry-After, Reason, a Contact) and whether it came at all,
rather than from a timer of PJSIP's own, is read here from the messages themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from sip.engine import WireEvent
from sip.events import Direction, Event, SipMessage
from sip.message import Message
from sip.redaction import without_credentials


class WireKind(IntEnum):
    """enum sh_event_kind of sip/native/native.h."""

    RECEIVED = 0
    SENT = 1
    REFER_FINAL = 2
    NOTIFY = 3


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

    def saw(self, event: WireEvent) -> None:
        """Take in one event of the native queue."""
        kind, _, _, number, text1, text2 = event
        match kind:
            case WireKind.RECEIVED | WireKind.SENT:
                self._message(WireKind(kind), number, text1, text2)
            case WireKind.REFER_FINAL if self.on_refer_final:
                self.on_refer_final(number, text1, not text2)
            case WireKind.NOTIFY if self.on_notify:
                self.on_notify(Message(text2))

    def _message(self, kind: WireKind, port: int, origin: str, text: str) -> None:
        transport, _, address = origin.partition(" ")
        direction = Direction.RECEIVED if kind is WireKind.RECEIVED else Direction.SENT
        text = without_credentials(text)
        self._emit(SipMessage(self._label, direction, transport.lower(), f"{address}:{port}", text))
        if direction is Direction.SENT:
            if text.startswith("REFER "):
                number = Message(text).header("CSeq").partition(" ")[0]
                self.refer_cseq = int(number)
        elif text.startswith("BYE "):
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
