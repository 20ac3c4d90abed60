"""Calls out: an INVITE to a target that our rules and limits allow, over a next hop that works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Any

from config.errors import Undialable
from config.rules import allowed, destination_uri, reachable
from config.settings import Settings
from config.targets import Target
from config.trunks import Trunk
from config.uri import parse_uri
from sip.codecs import offered
from sip.context.handover import named
from sip.context.identity import ANONYMOUS, ANONYMOUS_FROM, Told
from sip.engine import Engine
from sip.errors import DestinationBlocked
from sip.events import Direction
from sip.leg import Leg
from sip.leg_info import AGENT, OUTBOUND, LegInfo
from sip.legs import Legs
from sip.limits import DialLimits
from sip.message import user_part
from sip.names import Names
from sip.next_hops import NextHops
from sip.offer import Offer
from sip.pj_account import DIRECT, NO_CALL, PjAccount
from sip.pj_call import PjCall, add_headers
from sip.pjsip import native, pj
from sip.transfer.refer_to import ReferRefused, destination, target_of


class Dialler:
    """Dials for transfers, and for nobody's sake."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        names: Names,
        *,
        next_hops: NextHops,
        accounts: Mapping[str, PjAccount],
        legs: Legs,
    ) -> None:
        """
        Args:
            settings: targets, trunks, rules and limits.
            engine: sends.
            names: finds hosts.
            next_hops: of the trunks.
            accounts: by trunk; those of an agent that has started.
            legs: where the new one is found from then on.
        """
        self._settings = settings
        self._engine = engine
        self._names = names
        self._next_hops = next_hops
        self._accounts = accounts
        self._legs = legs
        self._limits = DialLimits(settings)

    def request_uri(self, target: Target, caller_trunk: str | None = None, hop: int = 0) -> str:
        """The request URI of a target that our rules allow. Raises DestinationBlocked.

        Args:
            target: whom to call.
            caller_trunk: where the call came in that is to be transferred; None: nobody's call is.
            hop: which of the trunk's next hops it is for.
        """
        verdict = allowed(target.destination, self._settings, target.trunk)
        if verdict.allowed and caller_trunk is not None:
            verdict = reachable(target, caller_trunk)
        if not verdict.allowed:
            raise DestinationBlocked(f"{target.destination} {verdict.reason}")
        try:
            return destination_uri(target, self._settings.trunks, hop)
        except Undialable as error:
            raise DestinationBlocked(str(error)) from error

    def told(self, caller: Leg, uri: str, target: Target) -> Told:
        """What our INVITE to a target says of the caller."""
        trunk = self._settings.trunks.get(target.trunk or "")
        return named(caller.info, uri, trunk, self._engine.hostport)

    async def dial_or_contact(
        self,
        target: Target,
        contact: str,
        offer: Offer | None,
        *,
        caller: str,
        headers: Mapping[str, str],
        beside: Leg,
        attempt: str,
        role: str = AGENT,
    ) -> Leg:
        """As `dial`; `contact`, where it is not empty, is where the target redirects to."""
        if contact:
            try:
                _, target = target_of(
                    destination(contact), target.trunk or "", self._settings, self._engine.own
                )
            except ReferRefused as error:
                raise DestinationBlocked(f"{contact}: {error.reason}") from error
        return await self.dial(
            target,
            caller=caller,
            headers=headers,
            beside=beside,
            attempt=attempt,
            role=role,
            offer=offer,
        )

    async def dial(
        self,
        target: Target,
        *,
        caller: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
        beside: Leg | None = None,
        attempt: str = "",
        role: str = AGENT,
        offer: Offer | None = None,
    ) -> Leg:
        """Send an INVITE to a target.

        Args:
            target: whom to call, and over which trunk.
            caller: user part of From, unless the trunk has a `caller_id` or registers.
            headers: sent on the INVITE.
            beside: the caller's leg that this one is dialled for; its listeners hear of this one.
            attempt: the transfer attempt it is dialled for.
            role: what its label begins with, where it is dialled beside a caller's leg.
            offer: the audio that is offered; default: the trunk's own first offer.

        Returns:
            The leg, which is calling; one whose INVITE could not be sent has ended already.

        Raises:
            DestinationBlocked: our rules or limits forbid it; nothing was sent.
            UnresolvedHost: the target's host has no address; nothing was sent.
        """
        trunk = self._settings.trunks.get(target.trunk or "")
        account = self._accounts[target.trunk or DIRECT]
        hop = left = 0
        caller_trunk = None if beside is None else beside.info.trunk
        uri = self.request_uri(target, caller_trunk)
        if trunk is None or not trunk.hops:
            # PJSIP asks again, and finds it known.
            where = await self._names.address(parse_uri(uri).host)
        else:
            hop, left, where = await self._next_hops.choose(target.trunk or "", trunk.hops)
            uri = self.request_uri(target, caller_trunk, hop)
            native.route_use_hop(account.getId(), hop)
        legs = self._legs.by_id.values()
        self._limits.check(target, legs, asyncio.get_running_loop().time())
        from_user = (trunk.caller_id or trunk.numbers.from_e164(caller)) if trunk else caller
        codec = "" if beside is None else beside.audio.codec
        native.call_prepare(account.getId(), codec, int(IPv4Address(where)))
        if offer is not None:
            native.call_offer(*offered(offer))
        call, failure = PjCall(account, NO_CALL), ""
        try:
            call.makeCall(uri, self._invite(self._from(from_user, trunk), headers.items()))
        except pj.Error as error:
            failure = str(error.reason)
        info = LegInfo(
            direction=Direction.SENT,
            trunk=target.trunk or "",
            flow="",
            from_uri=str(account.getInfo().uri),
            to_uri=uri,
            caller=from_user,
            number=user_part(uri),
            sip_call_id="" if failure else native.call_id(call.getId()),
            source="",
            destination=target.destination,
            hop=hop,
            hops_left=left,
            attempt=attempt,
            offer=offer or Offer.first(trunk),
        )
        leg = self._legs.new(OUTBOUND if beside is None else role, info, beside)
        if beside is not None:
            leg.subscribe(beside.emit)
        leg.begin(call)
        if failure:
            leg.fail(failure)
        self._engine.soon()
        return leg

    def _from(self, user: str, trunk: Trunk | None) -> str:
        """From of an INVITE; empty: the account's own."""
        if not user or (trunk and trunk.registration):
            return ""
        return ANONYMOUS_FROM if user == ANONYMOUS else f"<sip:{user}@{self._engine.hostport}>"

    @staticmethod
    def _invite(from_header: str, headers: Iterable[tuple[str, str]]) -> Any:
        """CallOpParam of a call with audio alone."""
        parameters = pj.CallOpParam()
        add_headers(parameters.txOption, headers)
        if from_header:
            parameters.txOption.localUri = from_header
        parameters.opt.audioCount = 1
        parameters.opt.videoCount = 0
        parameters.opt.textCount = 0
        return parameters
