"""One SIP dialog of ours, from its INVITE to the answer to its BYE: what is asked of it, and what
becomes of it.

It fills a leg's place in a call (sip/leg.py) until another one takes that place, or it goes on in a
place of another call. It knows neither that place nor its audio. What is worth telling it returns
as an event, and its leg tells it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import IntEnum

from sip.engine import Engine
from sip.errors import CallEnded
from sip.events import (
    Direction,
    HoldChanged,
    LegAnswered,
    LegEnded,
    LegProgress,
    MediaQuality,
)
from sip.leg_info import CALLER
from sip.outcome import Side
from sip.pj_call import PjCall, digit_parameters
from sip.pjsip import native, pj
from sip.wire import Wire


class InviteState(IntEnum):
    """pjsip_inv_state."""

    NULL = 0
    CALLING = 1
    INCOMING = 2
    EARLY = 3
    CONNECTING = 4
    CONFIRMED = 5
    DISCONNECTED = 6


class Dialog:
    """Made by the leg whose place it fills first."""

    def __init__(
        self, label: str, direction: Direction, trunk: str, sip_call_id: str, engine: Engine
    ) -> None:
        self.label = label
        """Names it in every event, whichever place it fills."""
        self.direction = direction
        """Which way its INVITE went."""
        self.trunk = trunk
        """Over which it runs; empty: over none."""
        self.sip_call_id = sip_call_id
        """Empty: its INVITE could not be sent."""
        self.wire = Wire()
        self.to_be_answered = direction is Direction.RECEIVED
        """Whether the peer's INVITE still waits for our 200."""
        self.answered = False
        self.rang = False
        """Whether an outbound one got a 180 or 183."""
        self.held = False
        self.released = False
        """Whether we have ended it, or are about to."""
        self.final: tuple[int, str] | None = None
        """Status and reason that PJSIP has ended it with; None: it lives."""
        self.open_referrals = 0
        """REFERs of the peer's that it is still told about."""
        self._engine = engine
        self._call: PjCall | None = None
        self._started = time.monotonic()
        self._acknowledged = False
        # What the BYE will carry that waits for the ACK.
        self._release_headers: Mapping[str, str] | None = None
        self._off_hold = asyncio.Event()  # set when the peer lets us be heard
        self._quality = MediaQuality()

    # -- how it stands --------------------------------------------------------------------------

    @property
    def pj_id(self) -> int:
        """PJSIP's id of the call, for use at once. Raises CallEnded."""
        return int(self._alive().getId())

    @property
    def tags(self) -> tuple[str, str]:
        """Ours and the peer's (RFC 3261 section 12); empty once it has ended."""
        return native.dialog_tags(self.pj_id) if self._call is not None else ("", "")

    @property
    def remote_target(self) -> str:
        """The URI at which the peer's telephone is reached: its Contact. Raises CallEnded."""
        return native.dialog_target(self.pj_id)

    @property
    def unreached(self) -> bool:
        """Whether the next hop of an outbound one never took its INVITE: no answer at all, or 503.

        Then nobody's telephone can have rung, and another hop may be tried (RFC 3263 section 4.3).
        """
        failure = self.wire.failure
        return (
            not self.answered
            and not self.rang
            and (not self.wire.responded if failure is None else failure.status == 503)
        )

    @property
    def ending(self) -> bool:
        """Whether we have ended it, and the peer has yet to confirm that: by its response to our
        BYE, or by refusing our INVITE, as it must do after a CANCEL (RFC 3261 section 9.2)."""
        refused = self.wire.failure is not None and not self.answered
        return (
            self.released
            and (self.answered or self.direction is Direction.SENT)
            and not (refused or self.wire.bye_answered is not None)
        )

    @property
    def due_release(self) -> Mapping[str, str] | None:
        """The headers of a BYE that has waited for the ACK, which is here; None: none has."""
        return self._release_headers if self._acknowledged else None

    async def wait_off_hold(self) -> None:
        """Return when the peer does not hold us. Raises CallEnded."""
        self._alive()
        if self.held:
            self._off_hold.clear()
            await self._off_hold.wait()
            self._alive()

    # -- what can be done -----------------------------------------------------------------------

    def ring(self, code: int = 180) -> None:
        """Send a provisional response, 101 to 199. Raises CallEnded."""
        self._respond(code)

    def answer(self) -> None:
        """Answer with 200, if that has not happened yet. Raises CallEnded."""
        self._alive()
        if self.to_be_answered:
            self.to_be_answered = False
            self._respond(200)

    def reject(self, code: int, reason: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse the INVITE with a final status, 300 to 699. Raises CallEnded."""
        self._alive()
        self.released = True
        self._respond(code, reason, headers)

    def _respond(
        self, code: int, reason: str = "", headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        try:
            native.call_answer(self.pj_id, code, reason, list(headers))
        except OSError as error:  # it has ended, and its events are still on their way
            raise CallEnded(str(error)) from error
        self._engine.soon()

    def release(self, headers: Mapping[str, str] | None, code: int) -> None:
        """End it by what fits its state: BYE, CANCEL or `code`; nothing where it has ended."""
        if self._call is None:
            return
        if self.to_be_answered:
            with suppress(CallEnded):
                self.reject(code, headers=(headers or {}).items())
            return
        self.released = True
        if headers and self.direction is Direction.RECEIVED and not self._acknowledged:
            # PJSIP would wait for the ACK as well, but lose the headers over it.
            self._release_headers = headers
            return
        native.call_hangup(self.pj_id, 0, "", list((headers or {}).items()))
        self._engine.soon()

    def reinvite(self) -> None:
        """Offer audio both ways by re-INVITE (RFC 3261 section 14.1); `wire` tells its status.

        Raises:
            CallEnded: the dialog is gone.
            OSError: another INVITE is under way in it.
        """
        call = self._alive()
        try:
            call.reinvite(pj.CallOpParam())
        except pj.Error as error:
            raise OSError(f"sending re-INVITE: {error.reason}") from error
        self._engine.soon()

    def refer(self, refer_to: str, headers: list[tuple[str, str]]) -> int:
        """Send REFER (RFC 3515).

        Returns:
            What `wire` names its response and its NOTIFYs by. `end_refer` gives it back.

        Raises:
            CallEnded: the dialog is gone.
            OSError: it cannot leave.
        """
        refer = native.refer_send(self.pj_id, refer_to, headers)
        self._engine.soon()
        return refer

    def unsubscribe(self, refer: int) -> None:
        """Ask the peer for no more NOTIFYs (RFC 3515 section 2.4.4). OSError: it cannot leave."""
        native.refer_unsubscribe(refer)
        self._engine.soon()

    def end_refer(self, refer: int) -> None:
        """Hear no more of a REFER. NOTIFYs that still come are answered."""
        native.refer_end(refer)

    def send_dtmf(self, digits: str) -> None:
        """Send digits by RFC 4733. Raises CallEnded."""
        self._alive().dialDtmf(digits)

    def press(self, key: str, duration_ms: int) -> bool:
        """Send one key by RFC 4733, or by INFO to a peer without it. A held peer gets none.

        Returns:
            Whether it goes out with the audio.
        """
        call = self._call
        if call is None:
            return False
        for by_info in (False, True):
            with suppress(pj.Error):
                call.sendDtmf(digit_parameters(key, duration_ms, by_info=by_info))
                self._engine.soon()
                return not by_info
        return False

    # -- what PJSIP tells -----------------------------------------------------------------------

    def begin(self, call: PjCall) -> None:
        """Take charge of PJSIP's call object."""
        self._call = call

    def state_changed(self, state: int, code: int, reason: str) -> LegProgress | LegAnswered | None:
        """`state`: an InviteState, DISCONNECTED aside: that is `end`."""
        if state == InviteState.CONFIRMED:
            self._acknowledged = True
        match state:
            case InviteState.EARLY if self.direction is Direction.SENT:
                self.rang = True
                return LegProgress(self.label, code, reason, self.wire.provisional_has_sdp)
            case InviteState.CONNECTING | InviteState.CONFIRMED if not self.answered:
                self.answered = True
                return LegAnswered(self.label, round((time.monotonic() - self._started) * 1000))
        return None

    def hold_changed(self, *, held: bool) -> HoldChanged | None:
        """The peer's last SDP lets us be heard, or not."""
        if not held:
            self._off_hold.set()
        if held == self.held:
            return None
        self.held = held
        return HoldChanged(self.label, held)

    def measured(self, codec: str, figures: str) -> None:
        """A stream has ended.

        Args:
            codec: its name.
            figures: ten of them, from sip/native/call.c.
        """
        packets, size, lost, discarded, jitter, tx_packets, tx_size, tx_lost, rtt, passed = map(
            int, figures.split()
        )
        stream = MediaQuality(
            codec=codec,
            rx_packets=packets,
            rx_bytes=size,
            rx_lost=lost,
            rx_discarded=discarded,
            rx_jitter_ms=round(max(0, jitter) / 1000, 2),
            tx_packets=tx_packets,
            tx_bytes=tx_size,
            tx_lost=tx_lost,
            tx_passed=passed,
            rtt_ms=round(max(0, rtt) / 1000, 2),
        )
        self._quality = self._quality.followed_by(stream)

    def end(self, code: int, reason: str) -> None:
        """PJSIP has ended the call, or its INVITE could not be sent."""
        self.final = (code, reason)
        call, self._call = self._call, None
        if call is not None:
            call.destroy()
        self._off_hold.set()

    def ended(self) -> LegEnded | None:
        """How it has ended; None: it lives."""
        if self.final is None:
            return None
        code, reason = self.final
        return LegEnded(self.label, code, reason, self.ended_by, self._quality)

    @property
    def ended_by(self) -> Side:
        """Who has ended it; it has ended."""
        if self.released and not self._crossed:
            return Side.GATEWAY
        peer = Side.CALLER if self.label.partition("-")[0] == CALLER else Side.TARGET
        # Answered, and neither side said BYE: PJSIP gave up (no ACK, session timer, transport).
        return peer if self.wire.bye_received or not self.answered else Side.GATEWAY

    @property
    def _crossed(self) -> bool:
        """Whether the peer had hung up by itself when our BYE came: it did not take that one."""
        answer = self.wire.bye_answered
        taken = answer is not None and answer.status is not None and answer.status < 300
        return self.answered and self.wire.bye_received is not None and not taken

    # -- in another call ------------------------------------------------------------------------

    def go_on_as(self, label: str, why: str) -> Dialog:
        """Go on in another call. It is answered.

        Args:
            label: the one that it has there.
            why: for the old place: what became of its dialog.

        Returns:
            What is left in the old place: a dialog of which nothing more will be seen.
        """
        left = Dialog(self.label, self.direction, self.trunk, "", self._engine)
        left.answered, left.to_be_answered = True, False
        left.held = self.held
        left.final = (200, why)
        self.label = label
        return left

    def _alive(self) -> PjCall:
        if self._call is None:
            raise CallEnded(f"the {self.label} leg has ended")
        return self._call
