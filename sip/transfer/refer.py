"""Transfer by REFER on the caller's dialog (RFC 3515): the peer dials, we follow its NOTIFYs.

The verdict is the state machine's (verdict.py); this file sends, keeps its one timer, and lets the
caller hear the waiting sound in between. On failure the call is kept and goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque

from config.settings import ReferTimers
from sip.events import LegEnded
from sip.leg import Leg
from sip.message import Message, sipfrag_status
from sip.order import TransferOrder, Withdrawal
from sip.outcome import Attempt, Outcome, Side
from sip.transfer.evidence import Evidence
from sip.transfer.verdict import (
    Action,
    Input,
    Progress,
    ReferVerdict,
    SendBye,
    StartTimer,
    State,
    StopTimer,
    Timer,
    Verdict,
    notify_input,
)

Happening = tuple[Input, int | None, str]


async def by_refer(
    caller: Leg, order: TransferOrder, uri: str, timers: ReferTimers, evidence: Evidence
) -> Attempt:
    """Refer the caller's peer to `uri` and wait for the verdict.

    Returns:
        The attempt. After a success the caller's leg is gone, by the peer's BYE or ours.
    """
    referral = _Referral(caller, order, timers, evidence)
    try:
        caller.refer(f"<{uri}>", _headers(caller, order))
        evidence.step("refer_sent")
        await referral.follow()
    except OSError as error:
        return evidence.conclude(Outcome.NETWORK_FAILURE, reason=str(error))
    except asyncio.CancelledError:
        evidence.conclude(Outcome.ABANDONED if caller.gone else Outcome.CANCELLED)
        raise
    finally:
        referral.close()
    if evidence.attempt is None:
        raise RuntimeError("a REFER was followed to its end without a verdict")
    return evidence.attempt


class _Referral:
    """Feeds one verdict from the wire, the caller's leg and its timer, and does what it says."""

    def __init__(
        self, caller: Leg, order: TransferOrder, timers: ReferTimers, evidence: Evidence
    ) -> None:
        self._caller = caller
        self._evidence = evidence
        self._seconds = {
            Timer.FIRST_NOTIFY: timers.first_notify,
            Timer.FINAL_NOTIFY: timers.final_notify,
            Timer.BYE_GRACE: timers.bye_grace,
        }
        self._verdict = ReferVerdict()
        self._happened: deque[Happening] = deque()
        self._wake = asyncio.Event()
        self._deadline: float | None = None
        self._pending_since: float | None = None
        """When the REFER was accepted: both NOTIFY timers count from here."""
        caller.wire.on_refer_final = self._final
        caller.wire.on_notify = self._notify
        self._left = asyncio.ensure_future(caller.wait_ended())
        self._left.add_done_callback(self._bye)
        self._withdrawal = order.withdrawal
        self._withdrawal.add_done_callback(self._withdrawn)

    def close(self) -> None:
        """Stop listening."""
        self._caller.wire.on_refer_final = None
        self._caller.wire.on_notify = None
        self._left.cancel()
        self._withdrawal.remove_done_callback(self._withdrawn)

    async def follow(self) -> None:
        """Run the verdict to its end."""
        while self._verdict.state is not State.DONE:
            what, code, reason = await self._next()
            if what is Input.TIMEOUT:
                self._deadline = None
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
            case StartTimer(timer):
                now = asyncio.get_running_loop().time()
                if self._pending_since is None:
                    self._pending_since = now
                since = now if timer is Timer.BYE_GRACE else self._pending_since
                self._deadline = since + self._seconds[timer]
            case StopTimer():
                self._deadline = None
            case Progress(code, reason):
                self._evidence.progress(code, reason)
            case Verdict(outcome, code, reason, timer):
                if timer is not None:
                    self._evidence.step("timer", detail=timer.value)
                self._withdrawal.remove_done_callback(self._withdrawn)
                if outcome.succeeded:
                    self._caller.audio.stop_loop()
                self._evidence.conclude(outcome, code, reason, timer.value if timer else None)
            case SendBye():
                self._evidence.step("bye", detail=f"by {Side.GATEWAY.value}")
                self._caller.release()

    def _push(self, what: Input, code: int | None = None, reason: str = "") -> None:
        self._happened.append((what, code, reason))
        self._wake.set()

    def _final(self, code: int, reason: str, responded: bool) -> None:
        self._evidence.step("refer_final", code, reason if responded else "no response")
        if not responded:
            self._push(Input.NO_RESPONSE, code, reason)
        elif code < 300:
            self._push(Input.ACCEPT, code, reason)
        else:
            self._push(Input.REFUSE, code, reason)

    def _notify(self, notify: Message) -> None:
        if not self._is_ours(notify):
            return
        status = sipfrag_status(notify.body)
        terminated = notify.header("Subscription-State").lower().startswith("terminated")
        line = f"{status[0]} {status[1]}".strip() if status else "(no status)"
        self._evidence.sipfrag(line)
        self._evidence.step("notify", status[0] if status else None, line)
        code, reason = status or (None, "")
        self._push(notify_input(status, terminated), code, reason)

    def _is_ours(self, notify: Message) -> bool:
        """NOTIFYs may lack Event, and `id` in it; an `id` that names another REFER is not ours."""
        _, _, parameters = notify.header("Event").partition(";")
        for parameter in parameters.split(";"):
            name, _, value = parameter.strip().partition("=")
            if name.lower() == "id":
                return value.strip() == str(self._caller.wire.refer_cseq)
        return True

    def _bye(self, left: asyncio.Future[LegEnded]) -> None:
        if left.cancelled():
            return
        if self._caller.wire.bye_received is not None:
            self._evidence.bye_by = Side.CALLER
            self._evidence.step("bye", detail=f"by {Side.CALLER.value}")
        self._push(Input.BYE)

    def _withdrawn(self, withdrawal: asyncio.Future[Withdrawal]) -> None:
        self._push(Input.CANCEL, None, withdrawal.result())


def _headers(caller: Leg, order: TransferOrder) -> list[tuple[str, str]]:
    given = list(order.headers.items())
    if any(name.lower() == "referred-by" for name, _ in given):
        return given
    return [("Referred-By", f"<{caller.info.to_uri}>"), *given]
