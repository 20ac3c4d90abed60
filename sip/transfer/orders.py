"""Carries out a transfer that a flow has ordered: by the method of the attempt, as our rules allow.

What a target hears of the caller, and what the order's context becomes on the wire, is settled
here; how each method goes, each in a file of its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import assert_never

from config.settings import Settings
from sip.context.handover import with_context
from sip.dialler import Dialler
from sip.errors import DestinationBlocked
from sip.leg import Leg
from sip.legs import Legs
from sip.order import TransferOrder
from sip.outcome import Attempt, Method, Outcome
from sip.transfer.attended import hand_over
from sip.transfer.bye import by_bye
from sip.transfer.evidence import Evidence
from sip.transfer.invite import HandOver, by_invite
from sip.transfer.refer import by_refer
from sip.transfer.ringing import Dial, Ringing


class Orders:
    """The transfers that flows order, in all calls."""

    def __init__(self, settings: Settings, dialler: Dialler, legs: Legs) -> None:
        self._settings = settings
        self._dialler = dialler
        self._legs = legs

    async def carry_out(self, caller: Leg, order: TransferOrder) -> Attempt:
        """Carry out one attempt and return its verdict."""
        asked, order = order, with_context(order, caller.info, self._settings.trunks)
        try:
            uri = self._dialler.request_uri(order.target, caller.info.trunk)
        except DestinationBlocked as error:
            evidence = Evidence(order, order.target.destination, caller.emit)
            return evidence.conclude(Outcome.BLOCKED, reason=str(error))
        evidence = Evidence(order, uri, caller.emit)
        if order.withdrawal.done():
            return evidence.conclude(Outcome.CANCELLED, reason=order.withdrawal.result())
        match order.method:
            case Method.INVITE | Method.ATTENDED:
                ringing = Ringing(caller, order, self._dial(caller, order, uri), evidence)
                over = self._hand_over(caller, asked, evidence)
                return await by_invite(caller, ringing, evidence, over)
            case Method.REFER:
                return await self._refer(caller, order, uri, evidence)
            case Method.BYE:
                return await by_bye(caller, order, uri, evidence)
            case Method.AUTO:
                raise ValueError("an order names the method of one attempt")
            case _:
                assert_never(order.method)

    def _dial(self, caller: Leg, order: TransferOrder, uri: str) -> Dial:
        """Sends the INVITE of an order, in the caller's name."""
        says = self._dialler.told(caller, uri, order.target)
        return partial(
            self._dialler.dial_or_contact,
            order.target,
            caller=says.from_user,
            headers={**order.headers, **says.headers},
            beside=caller,
            attempt=order.attempt,
        )

    def _hand_over(self, caller: Leg, asked: TransferOrder, evidence: Evidence) -> HandOver | None:
        """Has the caller's peer take an attended transfer over; None: the order is not for that.

        Args:
            caller: waits.
            asked: the order, before its context became headers: a REFER carries others.
            evidence: of the attempt.
        """
        if asked.method is not Method.ATTENDED or not asked.target.completed_by_replaces:
            return None
        referring = replace(asked, method=Method.REFER)
        referring = with_context(referring, caller.info, self._settings.trunks)
        return partial(hand_over, caller, partial(self._refer, caller, referring), evidence)

    async def _refer(
        self, caller: Leg, order: TransferOrder, uri: str, evidence: Evidence
    ) -> Attempt:
        dialog = caller.dialog
        timers = self._settings.trunks[dialog.trunk].refer
        try:
            return await by_refer(caller, order, uri, timers, evidence)
        finally:
            self._legs.forget(dialog)
