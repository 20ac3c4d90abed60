"""What our peers ask for: REFER in a call, and INVITE with Replaces (RFC 3515, RFC 3891).

Both put somebody else into a place of a call. Whether a trunk may do that at all is the gate's
table; whether this REFER or that INVITE may, and whom it reaches, is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial

import structlog

from config.rules import reachable
from config.settings import Settings
from config.targets import Reach, Target
from config.uri import is_number, parse_uri
from sip.dialler import Dialler
from sip.engine import Engine
from sip.errors import CallEnded, DestinationBlocked
from sip.events import Direction
from sip.leg import Leg
from sip.leg_info import AGENT, CALLER
from sip.legs import Legs
from sip.message import Message
from sip.order import TransferOrder
from sip.outcome import Method
from sip.pjsip import EventKind, NativeEvent, native
from sip.transfer.join_calls import join_calls, see_off
from sip.transfer.refer_to import ReferRefused, ReferTo, refer_to, target_of
from sip.transfer.referral import Referral
from sip.transfer.replaces import Candidate, Progress, Replaces, ReplacesRefused, judge, replaces_of

log = structlog.get_logger(__name__)

MAX_REFERRALS = 20
"""REFERs that are carried out in one call: two telephones may refer a caller to each other."""

BY_PEER = frozenset(
    {EventKind.REFER_RECEIVED, EventKind.SUBSCRIBE_RECEIVED, EventKind.NOTIFY_FINAL}
)
"""Kinds of events that are not a leg's own."""


class ByPeer:
    """The transfers that peers ask for, in all calls."""

    def __init__(self, settings: Settings, engine: Engine, dialler: Dialler, legs: Legs) -> None:
        self._settings = settings
        self._engine = engine
        self._dialler = dialler
        self._legs = legs
        self._referrals: dict[int, Referral] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def permit(self, accounts: Mapping[str, int]) -> None:
        """Tell the gate which trunks may ask for what.

        Args:
            accounts: PJSIP's account ids by trunk.
        """
        native.transfers_in_replace(
            [
                (accounts[name], trunk.transfers_in.refer, trunk.transfers_in.replaces)
                for name, trunk in self._settings.trunks.items()
            ]
        )

    def saw(self, event: NativeEvent) -> None:
        """Take in an event of one of the kinds BY_PEER."""
        kind, _, call_id, number, extra, _, text = event
        if kind == EventKind.NOTIFY_FINAL:
            if (referral := self._referrals.get(number)) is not None:
                referral.notify_answered(extra)
        elif kind == EventKind.SUBSCRIBE_RECEIVED:
            if (referral := self._referrals.get(number)) is not None:
                referral.subscribed(extra)
        elif (leg := self._legs.by_call_id.get(call_id)) is not None:
            self._referred(leg, number, Message(text))
        else:  # the call ended in the same batch
            native.referral_close(number)

    # -- REFER ----------------------------------------------------------------------------------

    def _referred(self, leg: Leg, number: int, request: Message) -> None:
        referral = self._referrals[number] = Referral(number, leg, request, self._closed)
        referral.dialog.open_referrals += 1
        try:
            wanted = self._wanted(leg, request)
            if wanted.replaces is not None and self._runs_here(wanted):
                self._join(leg, referral, wanted.destination, wanted.replaces)
                return
            order = self._order(leg, wanted, referral.referred_by)
            uri = self._dialler.request_uri(order.target, leg.dialog.trunk)
        except (ReferRefused, DestinationBlocked) as error:
            code, reason = 603, "Destination Not Allowed"
            if isinstance(error, ReferRefused):
                code, reason = error.code, error.reason
            log.warning("REFER refused", leg=leg.id, code=code, reason=str(error))
            referral.refuse(code, reason)
            return
        caller = leg.caller
        from_user, headers = leg.info.number, order.headers
        if leg is not caller:
            says = self._dialler.told(caller, uri, order.target)
            from_user, headers = says.from_user, {**says.headers, **headers}
        dial = partial(
            self._dialler.dial_or_contact,
            order.target,
            caller=from_user,
            headers=headers,
            beside=caller,
            attempt=order.attempt,
            role=CALLER if leg is caller else AGENT,
        )
        grace = self._settings.trunks[leg.dialog.trunk].refer.bye_grace
        referral.accept(order)
        work = referral.carry_out(order, uri, dial, self._legs.exchange, grace)
        self._succeed(leg, work, referral.torn_away)

    def _wanted(self, leg: Leg, request: Message) -> ReferTo:
        if not leg.dialog.answered or leg.gone:
            raise ReferRefused(603, "Not In A Call")
        if leg.in_transfer:
            raise ReferRefused(491, "Request Pending")
        if leg.caller.referrals == MAX_REFERRALS:
            raise ReferRefused(603, "Referred Too Often")
        return refer_to(request)

    def _runs_here(self, wanted: ReferTo) -> bool:
        """Whether the dialog to be replaced is one of ours: by its Call-ID; or because a telephone
        that knows nothing but us says that it is there."""
        if wanted.replaces is not None and wanted.replaces.call_id in self._legs.by_call_id:
            return True
        if is_number(wanted.destination):
            return False
        uri = parse_uri(wanted.destination)
        return (uri.host, uri.port or 5060) in self._engine.own

    def _join(self, leg: Leg, referral: Referral, destination: str, replaces: Replaces) -> None:
        """Carry out an attended transfer between two calls of the referrer's, both of them here.

        Raises:
            ReferRefused: its trunk may not replace a dialog (403), or not this one.
        """
        over = leg.dialog.trunk
        trunk = self._settings.trunks[over]
        second = self._legs.by_call_id.get(replaces.call_id)
        if not trunk.transfers_in.replaces or (second is not None and second.dialog.trunk != over):
            raise ReferRefused(403, "Replaces Is Not Allowed Here")
        name, target = destination, _not_dialled(destination)
        if second is not None:
            name, target = self._known_as(second)
            self._may_meet(leg.partner, second.partner)
            self._may_meet(second.partner, leg.partner)
        order = self._to_be_made(leg, name, target, Method.ATTENDED)

        def meet() -> None:
            if second is None:
                raise ReplacesRefused(481, "Call/Transaction Does Not Exist")
            judge(replaces, over, [_candidate(second)])
            referring = join_calls(leg, second, self._legs)
            self._spawn(see_off(referring, trunk.refer.bye_grace))

        referral.accept(order)
        other = "" if second is None else second.caller.id
        referral.join(order, target.destination, other, meet)

    def _may_meet(self, caller: Leg | None, party: Leg | None) -> None:
        """Return unless one has called, and the other is a target that is not for its calls.

        Raises:
            DestinationBlocked: so it is.
        """
        if caller is None or party is None or caller.dialog.direction is Direction.SENT:
            return
        if (found := self._dialled(party)) is not None:
            name, target = found
            if not (verdict := reachable(target, caller.dialog.trunk)).allowed:
                raise DestinationBlocked(f"{name} {verdict.reason}")

    def _dialled(self, leg: Leg) -> tuple[str, Target] | None:
        """The target that a leg was dialled for; None: none that has a name."""
        for name, target in self._settings.targets.items():
            if leg.info.destination and target.destination == leg.info.destination:
                return name, target
        return None

    def _known_as(self, second: Leg) -> tuple[str, Target]:
        """What a second call of the referrer's leads to: the target that was dialled for it, who
        called it, or the number that was called."""
        if second.partner is None:
            info = second.caller.info
            return info.number, _not_dialled(info.to_uri)
        if (found := self._dialled(second.partner)) is not None:
            return found
        info = second.partner.info
        if info.direction is Direction.SENT:
            return info.destination, _not_dialled(info.to_uri)
        return info.caller, _not_dialled(info.from_uri)

    def _order(self, leg: Leg, wanted: ReferTo, referred_by: str) -> TransferOrder:
        own = self._engine.own
        name, target = target_of(wanted.destination, leg.dialog.trunk, self._settings, own)
        headers = {"Referred-By": referred_by}
        if wanted.replaces is not None:
            headers |= {"Replaces": str(wanted.replaces), "Require": "replaces"}
        early_media = leg.partner is not None and leg.caller.audio.last_loop is None
        order = self._to_be_made(leg, name, target, Method.INVITE)
        return replace(order, headers=headers, early_media=early_media)

    def _to_be_made(self, leg: Leg, name: str, target: Target, method: Method) -> TransferOrder:
        leg.caller.referrals += 1
        return TransferOrder(
            attempt=f"r{leg.caller.referrals}",
            name=name,
            target=target,
            method=method,
            timeout=target.timeout,
            referred_by=leg.label,
        )

    def _closed(self, referral: Referral) -> None:
        del self._referrals[referral.number]
        referral.dialog.open_referrals -= 1
        self._legs.forget(referral.dialog)

    # -- INVITE with Replaces -------------------------------------------------------------------

    def place_of(self, invite: Message, trunk: str) -> Leg | None:
        """The leg whose place an INVITE over this trunk takes; None: it is a call of its own.

        Raises:
            ReplacesRefused: it may not, or there is no such place.
        """
        replaces = replaces_of(invite)
        if replaces is None:
            return None
        leg = self._legs.by_call_id.get(replaces.call_id)
        judge(replaces, trunk, [] if leg is None else [_candidate(leg)])
        return leg

    def replace(self, place: Leg, newcomer: Leg) -> None:
        """Answer the newcomer, put it into the place, and release whom it replaces."""
        newcomer.subscribe(place.caller.emit)
        self._succeed(place, self._replace(place, newcomer), newcomer.release)

    async def _replace(self, place: Leg, newcomer: Leg) -> None:
        try:
            await newcomer.answer()
            self._legs.exchange(place, newcomer)
        except CallEnded:  # it has thought better of it
            place.give_up(None)
        except asyncio.CancelledError:
            place.give_up(None)
            raise
        finally:
            newcomer.release()  # after the exchange it holds the dialog that was replaced

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _succeed(self, place: Leg, work: Awaitable[None], torn_away: Callable[[], None]) -> None:
        """Let `work` fill the place. `torn_away` is called where it never got to that."""
        task = asyncio.ensure_future(work)

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("transfer by a peer failed", leg=place.id, exc_info=error)
            if place.succession is task:
                torn_away()
                place.give_up(None)

        self._tasks.add(task)
        task.add_done_callback(over)
        place.succession = task


def _not_dialled(uri: str) -> Target:
    """For the record: a party that is in a call already, whatever its URI is."""
    return Target.model_construct(kind=Reach.EXTERNAL, destination=uri)


def _candidate(leg: Leg) -> Candidate:
    dialog = leg.dialog
    local, remote = dialog.tags
    if leg.in_transfer:
        progress = Progress.BUSY
    elif leg.gone:
        progress = Progress.ENDED
    elif dialog.answered:
        progress = Progress.ANSWERED
    else:
        sent = dialog.direction is Direction.SENT
        progress = Progress.RINGING_THERE if sent else Progress.RINGING_HERE
    return Candidate(local, remote, dialog.trunk, progress)
