"""Transfer by REFER on the caller's dialog (RFC 3515): the peer dials, we follow its NOTIFYs.

The verdict is the state machine's (verdict.py); this file sends, keeps its one timer, and lets the
caller hear the waiting sound in between. On failure the call is kept and goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque

from config.trunks import Refer
from sip.errors import CallEnded
from sip.events import Event, LegEnded
from sip.leg import Leg
from sip.message import Message, address
from sip.order import TransferOrder, Withdrawal
from sip.outcome import Attempt, Side
from sip.reason import failure_status
from sip.sipfrag import sipfrag
from sip.transfer.evidence import Evidence
from sip.transfer.hold import retry_delay, take_off_hold
from sip.transfer.verdict import (
    Action,
    Input,
    Progress,
    ReferVerdict,
    Send,
    SendBye,
    StartTimer,
    State,
    StopTimer,
    Timer,
    Unsubscribe,
    Verdict,
    notify_input,
    response_input,
)

Happening = tuple[Input, int | None, str]


async def by_refer(
    caller: Leg, order: TransferOrder, uri: str, timers: Refer, evidence: Evidence
) -> Attempt:
    """Refer the caller's peer to `uri` and wait for the verdict.

    Returns:
        The attempt. After a success the caller's leg is gone, by the peer's BYE or ours; after a
        failure the caller hears us, as far as the peer lets it.
    """
    referral = _Referral(caller, order, f"<{uri}>", timers, evidence)
    try:
        attempt = await referral.follow()
        if not attempt.outcome.succeeded and not caller.gone:
            await take_off_hold(caller)
        return attempt
    finally:
        referral.close()


class _Referral:
    """Feeds one verdict from the wire, the caller's leg and its timer, and does what it says."""

    def __init__(
        self,
        caller: Leg,
        order: TransferOrder,
        refer_to: str,
        timers: Refer,
        evidence: Evidence,
    ) -> None:
        self._caller = caller
        self._dialog = caller.dialog
        self._refer_to = refer_to
        self._headers = list(order.headers.items())
        self._evidence = evidence
        self._seconds = {
            Timer.RESPONSE: timers.response,
            Timer.FIRST_NOTIFY: timers.first_notify,
            Timer.FINAL_NOTIFY: timers.final_notify,
            Timer.BYE_GRACE: timers.bye_grace,
        }
        self._verdict = ReferVerdict()
        self._happened: deque[Happening] = deque([(Input.SEND, None, "")])
        self._wake = asyncio.Event()
        self._deadline: float | None = None
        self._pending_since: float | None = None
        """When the REFER was accepted: both NOTIFY timers count from here."""
        self._refer: int | None = None
        """The REFER that the peer is being asked now."""
        self._closed = False
        self._dialog.wire.on_refer_final = self._final
        self._dialog.wire.on_notify = self._notify
        caller.subscribe(self._observe)
        self._withdrawal = order.withdrawal
        self._withdrawal.add_done_callback(self._withdrawn)

    def close(self) -> None:
        """Stop listening. Torn away before the verdict, the attempt is cancelled."""
        if self._evidence.attempt is None:
            self._take_in(Input.CANCEL)
        self._closed = True
        self._dialog.wire.on_refer_final = None
        self._dialog.wire.on_notify = None
        self._withdrawal.remove_done_callback(self._withdrawn)
        self._end_refer()

    async def follow(self) -> Attempt:
        """Run the verdict to its end."""
        while self._verdict.state is not State.DONE:
            what, code, reason = await self._next()
            if what is Input.TIMEOUT:
                self._deadline = None
            self._take_in(what, code, reason)
        if self._evidence.attempt is None:
            raise RuntimeError("a REFER was followed to its end without a verdict")
        return self._evidence.attempt

    def _take_in(self, what: Input, code: int | None = None, reason: str = "") -> None:
        for action in self._verdict.happened(what, code, reason):
            self._do(action)

    async def _next(self) -> Happening:
        while not self._happened:
            self._wake.clear()
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._wake.wait()
            except TimeoutError:
                return Input.TIMEOUT, None, ""
        return self._happened.popleft()

    def _do(self, action: Action) -> None:
        match action:
            case Send():
                self._send()
            case Unsubscribe():
                self._unsubscribe()
            case StartTimer(timer):
                self._deadline = self._due(timer)
            case StopTimer():
                self._deadline = None
            case Progress(code, reason):
                self._evidence.progress(code, reason)
            case Verdict():
                self._conclude(action)
            case SendBye():
                self._evidence.step("bye", detail=f"by {Side.GATEWAY.value}")
                self._caller.release()

    def _due(self, timer: Timer) -> float:
        now = asyncio.get_running_loop().time()
        if timer is Timer.GLARE:
            return now + retry_delay(self._dialog)
        if timer in (Timer.FIRST_NOTIFY, Timer.FINAL_NOTIFY):
            if self._pending_since is None:
                self._pending_since = now
            return self._pending_since + self._seconds[timer]
        return now + self._seconds[timer]

    def _send(self) -> None:
        self._end_refer()
        self._dialog.wire.refer_failure = None
        try:
            self._refer = self._dialog.refer(self._refer_to, self._headers)
        except (CallEnded, OSError) as error:
            self._push(Input.UNSENT, None, str(error))
        else:
            self._evidence.step("refer_sent")

    def _unsubscribe(self) -> None:
        if self._refer is None:
            return
        try:
            self._dialog.unsubscribe(self._refer)
        except OSError as error:
            self._evidence.step("not_unsubscribed", detail=str(error))
        else:
            self._evidence.step("unsubscribed")

    def _end_refer(self) -> None:
        if self._refer is not None:
            self._dialog.end_refer(self._refer)
            self._refer = None

    def _conclude(self, verdict: Verdict) -> None:
        timer = verdict.timer.value if verdict.timer else None
        if timer is not None:
            self._evidence.step("timer", detail=timer)
        if verdict.outcome.succeeded:
            self._caller.audio.stop_loop()
        self._withdrawal.remove_done_callback(self._withdrawn)
        self._evidence.conclude(verdict.outcome, verdict.code, verdict.reason, timer)

    # -- what happens ---------------------------------------------------------------------------

    def _push(self, what: Input, code: int | None = None, reason: str = "") -> None:
        self._happened.append((what, code, reason))
        self._wake.set()

    def _final(self, refer: int, code: int, reason: str, note: str) -> None:
        if refer != self._refer:
            return
        self._evidence.step("refer_final", code, note or reason)
        refusal = self._dialog.wire.refer_failure
        if code >= 300 and (refusal is None or refusal.status != code):
            self._push(Input.NO_RESPONSE, code, reason)  # PJSIP's own: a timer, or the transport
            return
        if refusal is not None:
            self._evidence.retry_after = refusal.retry_after
            self._evidence.because(refusal)
            if 300 <= code < 400:
                contact = address(refusal.header("Contact"))
                note = f"redirection to {contact or 'nowhere'} is not followed"
        self._push(response_input(code), code, note or reason)

    def _notify(self, refer: int, notify: Message) -> None:
        if refer != self._refer:
            return
        status = sipfrag(notify)
        self._evidence.because(notify)
        state = notify.header("Subscription-State").strip().lower()
        line = f"{status.code} {status.reason}".strip() if status else "(no status)"
        self._evidence.sipfrag(line)
        self._evidence.step("notify", status.code if status else None, line)
        if status is None:
            self._push(notify_input(None, state.startswith("terminated")))
            return
        if status.retry_after is not None and self._evidence.attempt is None:
            self._evidence.retry_after = status.retry_after
        what = notify_input(status.code, state.startswith("terminated"))
        self._push(what, status.code, status.reason)

    def _observe(self, event: Event) -> None:
        if self._closed or not isinstance(event, LegEnded) or event.leg != self._caller.label:
            return
        bye = self._dialog.wire.bye_received
        if bye is None:
            self._push(Input.LOST)
            return
        if self._evidence.attempt is None:
            self._evidence.bye_by = Side.CALLER
        status = failure_status(bye)
        self._evidence.because(bye)
        why = f": {bye.header('Reason')}" if bye.header("Reason") else ""
        self._evidence.step("bye", status, f"by {Side.CALLER.value}{why}")
        if status is None:
            self._push(Input.BYE)
        else:
            self._push(Input.BYE_WITH_STATUS, status, f"BYE{why}")

    def _withdrawn(self, withdrawal: asyncio.Future[Withdrawal]) -> None:
        self._push(Input.CANCEL, None, withdrawal.result())
