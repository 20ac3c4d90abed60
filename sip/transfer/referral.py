"""Carries out a REFER that the peer of one of our legs has sent (RFC 3515, 4488, 5589).

The referrer's place in the call is what is transferred: its partner waits, we dial the Refer-To,
and who answers takes that place (`Leg.take_over`). On failure the partner is joined with the
referrer again, or, if that has left, learns that nobody is there. What the referrer is told
meanwhile is `inbound_refer.py`'s.

Where the Refer-To names another call of the referrer's that runs through here, nothing is dialled:
whom it talks to there is joined with whom it talks to here (`join_calls.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from sip.events import Event, ReferReceived, TransferProgress
from sip.leg import Leg
from sip.message import Message, address
from sip.order import TransferOrder
from sip.outcome import Attempt, Outcome, classify
from sip.pjsip import native
from sip.transfer.evidence import Evidence
from sip.transfer.inbound_refer import (
    Action,
    Answer,
    Close,
    Grant,
    InboundRefer,
    Input,
    Notify,
    RefuseSubscribe,
    StartExpiry,
    State,
    StopExpiry,
)
from sip.transfer.replaces import ReplacesRefused
from sip.transfer.ringing import Dial, Ringing

log = structlog.get_logger(__name__)

# Beyond what the target may ring: the subscription outlives the transfer that it reports.
EXPIRY_MARGIN = 30.0

_SIPFRAG: dict[Outcome, tuple[int, str]] = {
    Outcome.BLOCKED: (603, "Decline"),
    Outcome.NO_ANSWER: (408, "Request Timeout"),
    Outcome.CANCELLED: (487, "Request Terminated"),
    Outcome.ABANDONED: (487, "Request Terminated"),
}
"""What is reported of an attempt that no response decided; any other: 503."""

Meet = Callable[[], None]
"""Raises ReplacesRefused: they cannot be joined, and nothing has changed."""

Exchange = Callable[[Leg, Leg], None]
"""(place, newcomer): the newcomer's dialog takes the place; its leg is left with the old dialog."""


class Referral:
    """One REFER received. `refuse` it, or `carry_out` the transfer."""

    def __init__(
        self, number: int, leg: Leg, request: Message, on_close: Callable[[Referral], None]
    ) -> None:
        self.number = number
        """The native side's."""
        self.dialog = leg.dialog
        """That the REFER came in."""
        self._leg = leg
        self._request = request
        self._on_close = on_close
        self._refer = InboundRefer()
        self._event = "refer"
        if (
            leg.dialog.wire.refers_received
        ):  # RFC 3515 section 2.4.6: every one but the first needs the id
            self._event += f";id={request.header('CSeq').partition(' ')[0]}"
        leg.dialog.wire.refers_received += 1
        self._unanswered = 0
        self._longest = 0.0
        """Seconds that a subscription may run, from the 202 or from a SUBSCRIBE."""
        self._seconds = 0.0
        """That it runs, from the last of these."""
        self._granted_until = 0.0
        self._expiry: asyncio.TimerHandle | None = None

    def refuse(self, code: int, reason: str) -> None:
        """Answer with this status; nothing is dialled."""
        self._happened(Input.REFUSE, code, reason)

    def accept(self, order: TransferOrder) -> None:
        """Answer 202; `carry_out` is due."""
        self._longest = self._seconds = order.timeout + EXPIRY_MARGIN
        unheard = self._request.header("Refer-Sub").strip().lower() == "false"
        self._happened(Input.ACCEPT_UNHEARD if unheard else Input.ACCEPT)

    def torn_away(self) -> None:
        """`carry_out` was cancelled before it could begin, or broke."""
        if self._refer.state in (State.REPORTING, State.SILENT):
            self._happened(Input.FAILURE, 487, "Request Terminated")

    @property
    def referred_by(self) -> str:
        """Referred-By for our INVITE (RFC 3892): as it came, else the referrer's address."""
        given = self._request.header("Referred-By")
        return given or f"<{address(self._request.header('From'))}>"

    def notify_answered(self, code: int) -> None:
        """A NOTIFY of ours has its final response, or none (408, 503)."""
        self._unanswered -= 1
        if code >= 300:
            self._happened(Input.NOTIFY_REFUSED)
        elif not self._unanswered:
            self._happened(Input.ALL_ANSWERED)

    def subscribed(self, expires: int) -> None:
        """A SUBSCRIBE of the referrer's, for this REFER (RFC 3515 section 2.4.4).

        Args:
            expires: seconds that it asks for; negative: it leaves them to us.
        """
        self._seconds = self._longest if expires < 0 else min(self._longest, expires)
        self._happened(Input.UNSUBSCRIBE if expires == 0 else Input.REFRESH)

    async def carry_out(
        self, order: TransferOrder, uri: str, dial: Dial, exchange: Exchange, bye_grace: float
    ) -> None:
        """Transfer the referrer's place to the order's target.

        Args:
            order: whom to reach.
            uri: of the target, for the record.
            dial: sends the INVITE.
            exchange: puts the leg that was reached into the referrer's place.
            bye_grace: seconds that the referrer is given for its own BYE after a success.
        """
        leg, partner = self._leg, self._leg.partner
        evidence = Evidence(order, uri, self._emit)
        leg.part()
        if partner is not None:
            self._entertain(partner)
        reached: Leg | None = None
        try:
            came = await Ringing(partner or leg, order, dial, evidence).reach()
            reached = came if isinstance(came, Leg) else None
        finally:
            if partner is not None:
                partner.audio.stop_loop()
                partner.audio.part()
            if reached is None:
                failed = evidence.conclude(Outcome.CANCELLED)  # unless it has concluded
                self._fell_through(failed, partner)
        if reached is None:
            return
        self._reached(reached, partner, evidence, exchange)
        with suppress(TimeoutError):
            async with asyncio.timeout(bye_grace):
                await reached.wait_ended()
        reached.release()

    def join(self, order: TransferOrder, uri: str, other: str, meet: Meet) -> None:
        """Join the referrer's two calls, at once.

        Args:
            order: for the record: nobody is dialled.
            uri: likewise.
            other: id of the call that it refers to.
            meet: joins them.
        """
        evidence = Evidence(order, uri, self._emit)
        try:
            meet()
        except ReplacesRefused as refused:
            evidence.step("replaces_refused", refused.code, refused.reason)
            evidence.conclude(classify(refused.code), refused.code, refused.reason)
            self._happened(Input.FAILURE, refused.code, refused.reason)
        else:
            evidence.step("joined", detail=other)
            evidence.conclude(Outcome.CONNECTED, 200, "OK")
            self._happened(Input.SUCCESS, 200, "OK")
        finally:
            if evidence.attempt is None:  # a fault of ours
                evidence.conclude(Outcome.CANCELLED)
                self.torn_away()

    def _reached(
        self, newcomer: Leg, partner: Leg | None, evidence: Evidence, exchange: Exchange
    ) -> None:
        leg = self._leg
        newcomer.part()
        exchange(leg, newcomer)
        if partner is not None and not partner.gone:
            leg.join(partner)
        evidence.step("joined")
        evidence.conclude(Outcome.CONNECTED, 200, "OK")
        self._happened(Input.SUCCESS, 200, "OK")

    def _fell_through(self, failed: Attempt, partner: Leg | None) -> None:
        code, reason = failed.code, failed.reason
        if code is None or code < 300:
            code, reason = _SIPFRAG.get(failed.outcome, (503, "Service Unavailable"))
        self._happened(Input.FAILURE, code, reason)
        self._leg.give_up(failed)
        if partner is not None and not partner.gone and not self._leg.gone:
            self._leg.join(partner)
            if self._leg.held:  # the referrer has to come back to the telephone
                self._entertain(partner)

    def _entertain(self, partner: Leg) -> None:
        partner.audio.unhear()
        waiting = self._leg.caller.audio.last_loop
        if waiting is not None:
            partner.audio.loop(waiting)

    # -- what the referrer is told ---------------------------------------------------------------

    def _emit(self, event: Event) -> None:
        self._leg.emit(event)
        if isinstance(event, TransferProgress) and event.code > 100:
            self._happened(Input.PROGRESS, event.code, event.reason)

    def _happened(self, what: Input, code: int = 0, reason: str = "") -> None:
        for action in self._refer.happened(what, code, reason):
            self._do(action)

    def _do(self, action: Action) -> None:
        loop = asyncio.get_running_loop()
        match action:
            case Answer(code, reason, heard):
                unheard = [] if heard or code >= 300 else [("Refer-Sub", "false")]
                native.referral_answer(self.number, code, reason, unheard)
                refer_to = self._request.header("Refer-To")
                self._leg.emit(ReferReceived(self._leg.label, refer_to, code, reason))
            case Notify(code, reason, ending):
                self._notify(code, reason, ending)
            case Grant():
                granted = [("Expires", str(round(self._seconds)))]
                native.referral_answer(self.number, 200, "OK", granted)
            case RefuseSubscribe():
                native.referral_answer(self.number, 481, "Subscription Does Not Exist", [])
            case StartExpiry():
                if self._expiry is not None:
                    self._expiry.cancel()
                self._granted_until = loop.time() + self._seconds
                self._expiry = loop.call_later(self._seconds, self._happened, Input.EXPIRED)
            case StopExpiry():
                if self._expiry is not None:
                    self._expiry.cancel()
            case Close():
                native.referral_close(self.number)
                self._on_close(self)

    def _notify(self, code: int, reason: str, ending: str) -> None:
        left = max(0, round(self._granted_until - asyncio.get_running_loop().time()))
        state = f"terminated;reason={ending}" if ending else f"active;expires={left}"
        headers = [
            ("Event", self._event),
            ("Subscription-State", state),
        ]
        self._unanswered += 1
        try:
            native.referral_notify(self.number, f"SIP/2.0 {code} {reason}\r\n", headers)
        except OSError as error:  # PJSIP tells the native side as well: NOTIFY_FINAL follows
            log.warning("NOTIFY not sent", leg=self._leg.id, error=str(error))
