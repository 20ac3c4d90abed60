"""The legs that are there: by their ids, and by the dialogs that fill them.

What happens in a dialog finds its leg by the Call-ID. A dialog may change its leg; and it is kept
here beyond its leg's end for as long as a NOTIFY, the peer's or ours, may trail the BYE.
"""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace

from sip.dialog import Dialog
from sip.engine import Engine
from sip.leg import Leg
from sip.leg_info import CALLER, LegInfo
from sip.order import TransferOrder
from sip.outcome import Attempt


class Legs:
    """Makes legs, and knows them until their end."""

    def __init__(
        self,
        engine: Engine,
        carry_out: Callable[[Leg, TransferOrder], Awaitable[Attempt]],
        on_end: Callable[[Leg], None],
    ) -> None:
        """
        Args:
            engine: what they run on.
            carry_out: transfers a leg.
            on_end: told of each leg that has ended.
        """
        self._engine = engine
        self._carry_out = carry_out
        self._on_end = on_end
        self.by_id: dict[str, Leg] = {}
        self.by_call_id: dict[str, Leg] = {}
        self._next_beside: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """How many legs were named beside a caller's, by its id and their role."""

    def new(self, role: str, info: LegInfo, caller: Leg | None = None) -> Leg:
        """A leg, which is to `begin`.

        Args:
            role: its label, or what that begins with where it is made for a caller.
            info: what its INVITE says.
            caller: the leg of the call that it comes into; None: it is a call's first.
        """
        leg_id, label = self._named(role, caller)
        leg = Leg(
            leg_id,
            label,
            info,
            engine=self._engine,
            carry_out=self._carry_out,
            on_end=self._ended,
            caller=caller,
        )
        self.by_id[leg_id] = leg
        if info.sip_call_id:
            self.by_call_id[info.sip_call_id] = leg
        return leg

    def _named(self, role: str, caller: Leg | None) -> tuple[str, str]:
        """Id and label."""
        if caller is None:
            return secrets.token_hex(8), role
        named = self._next_beside[caller.id]
        named[role] += 1
        number = named[role] + (role == CALLER)  # the caller's own leg is the first
        return f"{caller.id}/{role}-{number}", f"{role}-{number}"

    def exchange(self, place: Leg, newcomer: Leg) -> None:
        """Put the newcomer's dialog into the place; the newcomer's leg is left with the old one."""
        for leg in (place, newcomer):
            self.by_call_id.pop(leg.dialog.sip_call_id, None)
        place.take_over(newcomer)
        self.by_call_id[place.dialog.sip_call_id] = place
        if newcomer.id in self.by_id or newcomer.dialog.open_referrals:
            self.by_call_id[newcomer.dialog.sip_call_id] = newcomer

    def bring(self, leg: Leg, caller: Leg, role: str) -> Leg:
        """Let the dialog of a leg of another call go on in this caller's call, in a leg of its own.

        Args:
            leg: answered, and joined with nobody.
            caller: the leg of the call that it comes into.
            role: what its label there begins with.
        """
        came = self.new(role, replace(leg.info, sip_call_id="", attempt=""), caller)
        came.subscribe(caller.emit)
        leg.go_on_in(came)
        self.by_call_id[came.dialog.sip_call_id] = came
        return came

    def forget(self, dialog: Dialog) -> None:
        """Once its leg has ended, and no NOTIFY trails the BYE: neither the peer's nor ours."""
        leg = self.by_call_id.get(dialog.sip_call_id)
        if leg is None or leg.dialog is not dialog or leg.id in self.by_id:
            return
        if dialog.wire.on_notify is None and not dialog.open_referrals:
            del self.by_call_id[dialog.sip_call_id]

    def _ended(self, leg: Leg) -> None:
        self.by_id.pop(leg.id, None)
        self._on_end(leg)
        self._next_beside.pop(leg.id, None)
        self.forget(leg.dialog)
