"""The SIP agent: trunks in, calls out. The one door between the gateway and SIP.

An INVITE passes the gate (sip/native/gate.c), finds its flow by the trunk's routes, and comes out
of `inbound()` as a leg. Transfers of a leg are carried out here, because they may dial another one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import assert_never

import structlog

from config.errors import Undialable
from config.numbers import Numbers
from config.routing import flow_for
from config.rules import allowed, destination_uri, reachable
from config.settings import Settings
from config.targets import Target
from config.uri import parse_proxy, parse_uri
from sip.audio_watch import AudioWatch
from sip.codecs import codec_row, offered, spoken
from sip.context.handover import named, with_context
from sip.context.identity import ANONYMOUS, ANONYMOUS_FROM, Told
from sip.context.received import Received, received
from sip.counters import Counters
from sip.engine import Engine
from sip.errors import DestinationBlocked, EngineError, UnresolvedHost
from sip.events import Direction
from sip.gate import Gate, network_row
from sip.hops import Hops
from sip.leg import Leg
from sip.leg_info import AGENT, CALLER, LegInfo
from sip.limits import DialLimits
from sip.message import Message, address, user_part
from sip.names import Names
from sip.offer import Offer
from sip.order import TransferOrder
from sip.outcome import Attempt, Method, Outcome
from sip.pings import HopState, Pings
from sip.pj_account import NO_CALL, PjAccount, account_configuration, hop_uris, routes, tls_peers
from sip.pj_call import PjCall, add_headers
from sip.pjsip import NativeEvent, native, pj
from sip.registrations import Registrations, RegistrationState
from sip.transfer.attended import hand_over
from sip.transfer.by_peer import BY_PEER, ByPeer
from sip.transfer.bye import by_bye
from sip.transfer.evidence import Evidence
from sip.transfer.invite import by_invite
from sip.transfer.refer import by_refer
from sip.transfer.refer_to import ReferRefused, destination, target_of
from sip.transfer.replaces import ReplacesRefused
from sip.transfer.ringing import Dial, Ringing

log = structlog.get_logger(__name__)

# How long `stop` waits for the legs it hangs up: the BYE limit of a leg, and a little.
STOP_LIMIT = 3.0

OUTBOUND = "outbound"
"""The label of a leg that was dialled for nobody's sake."""

DIRECT = ""
"""Name of the account for URIs that are dialled without a trunk."""


class SipAgent:
    """One SIP endpoint with its trunks. Made once per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = Names(_aliases(settings))
        self._engine = Engine(
            settings.sip, spoken(settings.trunks), self._names, self._saw, self._pinged
        )
        self._accounts: dict[str, PjAccount] = {}
        self._legs: dict[str, Leg] = {}
        self._by_call_id: dict[str, Leg] = {}
        self._arrived: asyncio.Queue[Leg] = asyncio.Queue()
        self._registrations = Registrations()
        self._hops = {name: Hops(len(trunk.hops)) for name, trunk in settings.trunks.items()}
        self._pings = Pings(settings.trunks, self._hops, self._ping)
        self._gate = Gate(settings)
        self._limits = DialLimits(settings)
        self._next_beside: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """How many legs were named beside a caller's, by its id and their role."""
        self._audio_watch = AudioWatch(settings.sip.rtp.timeout, self._by_call_id)
        self._by_peer = ByPeer(settings, self, self._by_call_id)

    @property
    def legs(self) -> Mapping[str, Leg]:
        """All live legs by id."""
        return MappingProxyType(self._legs)

    @property
    def listening(self) -> str:
        """`address:port` of the first transport, once it has started."""
        listen = self._engine.listening[0]
        return f"{listen.address}:{listen.port}"

    async def start(self) -> None:
        """Bind, register, and let calls in.

        Raises:
            BindError: an address and port cannot be listened on.
            EngineError: PJSIP does not start, or a trunk's host has no address.
        """
        addresses = await self._hop_addresses()
        self._engine.start()
        try:
            native.tls_replace(tls_peers(self._settings.trunks, addresses))
            self._open_accounts(addresses)
        except pj.Error as error:
            self._engine.stop()
            raise EngineError(f"PJSIP refuses an account: {error.reason}") from error
        except OSError as error:
            self._engine.stop()
            raise EngineError(str(error)) from error
        self._pings.start()
        self._gate.replace(draining=False)
        self._audio_watch.start()

    async def inbound(self) -> AsyncIterator[Leg]:
        """Callers' legs, unanswered, each with the flow its route selected."""
        while True:
            yield await self._arrived.get()

    def give_up_after(self, seconds: float) -> None:
        """Wait so long for a response, not the 32 s of RFC 3261's Timers B and F: for rehearsals.

        Call it after `start`.
        """
        native.give_up_after(round(seconds * 1000))

    async def drain(self) -> None:
        """Answer new INVITEs and OPTIONS with 503 from now on; calls in progress go on."""
        self._gate.replace(draining=True)

    async def stop(self) -> None:
        """Hang up what is left, then take PJSIP down."""
        if not self._engine.running:
            return
        self._gate.replace(draining=True)
        self._audio_watch.stop()
        self._pings.stop()
        legs = list(self._legs.values())
        for leg in legs:
            leg.release()
        if legs:
            await asyncio.wait(
                [asyncio.ensure_future(leg.wait_ended()) for leg in legs], timeout=STOP_LIMIT
            )
        await self._registrations.stop()
        for account in self._accounts.values():
            account.shutdown()
            pj.Account.__swig_destroy__(account)
        self._accounts.clear()
        self._engine.stop()

    def counters(self) -> Counters:
        """What the SIP side has seen so far."""
        return Counters.read(self._engine, legs_active=len(self._legs))

    def registrations(self) -> list[RegistrationState]:
        """The trunks that register, and how they stand."""
        return list(self._registrations.states.values())

    def hops(self) -> list[HopState]:
        """The next hops of the trunks that have `ping`, and how they stand."""
        return self._pings.states

    # -- trunks ---------------------------------------------------------------------------------

    async def _hop_addresses(self) -> dict[str, str]:
        """Where the trunks' proxies are, by host. Of those that a trunk has, one must be found."""
        addresses: dict[str, str] = {}
        for name, trunk in self._settings.trunks.items():
            failure = ""
            for host in [parse_proxy(hop).host for hop in trunk.hops]:
                try:
                    addresses[host] = await self._names.address(host)
                except UnresolvedHost as error:
                    failure = str(error)
                    log.warning("host not found", host=host, reason=failure)
            if failure and not any(parse_proxy(hop).host in addresses for hop in trunk.hops):
                raise EngineError(f"trunk {name}: {failure}")
        return addresses

    def _open_accounts(self, addresses: Mapping[str, str]) -> None:
        host = self.listening
        rtp = self._settings.sip.rtp
        accounts: dict[str, int] = {}
        audio, codecs = [], []
        for name, trunk in [(DIRECT, None), *self._settings.trunks.items()]:
            account = PjAccount(name, self._invited, self._registered)
            if trunk is not None and trunk.registration is not None:
                self._registrations.begin(name, account, trunk.hops)
            account.create(account_configuration("switchhook", host, rtp, trunk))
            self._accounts[name] = account
            codecs.append(codec_row(account.getId(), trunk))
            if trunk is not None:
                accounts[name] = account.getId()
                native.route_set_hops(accounts[name], routes(trunk))
                audio += [network_row(each, accounts[name]) for each in trunk.media_sources]
        self._by_peer.permit(accounts)
        known = {
            name: [
                addresses[host]
                for host in (parse_proxy(hop).host for hop in trunk.hops)
                if host in addresses
            ]
            for name, trunk in self._settings.trunks.items()
        }
        self._gate = Gate(self._settings, accounts, known)
        native.rtp_replace([*self._gate.sources, *audio])
        native.codecs_replace(codecs)

    def _registered(
        self, trunk: str, code: int, reason: str, expires: int, retry_after: int | None
    ) -> None:
        self._engine.post(
            partial(self._registrations.answered, trunk, code, reason, expires, retry_after)
        )

    def _ping(self, trunk: str, hop: int, question: int) -> None:
        native.ping(
            self._accounts[trunk].getId(), hop_uris(self._settings.trunks[trunk])[hop], question
        )
        self._engine.soon()

    def _pinged(self, question: int, code: int, reason: str) -> None:
        self._pings.answered(question, code, reason)

    # -- calls in -------------------------------------------------------------------------------

    def _invited(self, trunk: str, pj_id: int, text: str, source: str) -> None:
        """Inside PJSIP's callback: make the call object and its leg; the rest comes later."""
        message = Message(text)
        leg_id = secrets.token_hex(8)
        call = PjCall(self._accounts[trunk], pj_id)
        configured = self._settings.trunks.get(trunk)
        numbers = configured.numbers if configured is not None else Numbers()
        number = numbers.to_e164(user_part(message.request_uri))
        flow = flow_for(number, configured) if configured is not None else None
        info = LegInfo(
            direction=Direction.RECEIVED,
            trunk=trunk,
            flow=flow or "",
            from_uri=address(message.header("From")),
            to_uri=address(message.header("To")),
            caller=numbers.to_e164(user_part(message.header("From"))),
            number=number,
            sip_call_id=native.call_id(pj_id),
            source=source,
            offered=bool(message.body),
            received=received(message, configured) if configured else Received(),
        )
        try:
            place = self._by_peer.place_of(message, trunk)
        except ReplacesRefused as refused:
            leg = self._new_leg(leg_id, CALLER, info)
            leg.begin(call)
            self._engine.post(partial(self._refuse, leg, refused))
            return
        if place is None:
            leg = self._new_leg(leg_id, CALLER, info)
            then = partial(self._route, leg)
        else:
            caller = place.caller
            leg_id, label = self._name(caller, CALLER if place is caller else AGENT)
            leg = self._new_leg(leg_id, label, info, caller)
            then = partial(self._by_peer.replace, place, leg)
        leg.begin(call)
        self._engine.post(then)

    def _refuse(self, leg: Leg, refused: ReplacesRefused) -> None:
        """An INVITE whose Replaces is not followed."""
        info = leg.info
        log.warning("Replaces refused", trunk=info.trunk, caller=info.caller, reason=str(refused))
        if not leg.gone:
            leg.reject(refused.code, refused.reason)

    def _route(self, leg: Leg) -> None:
        if leg.info.flow or leg.info.received.token:
            self._arrived.put_nowait(leg)  # also when its caller gave up: it leaves a record
            return
        log.warning("no route", trunk=leg.info.trunk, number=leg.info.number, to=leg.info.to_uri)
        if not leg.gone:
            leg.reject(404)

    def _new_leg(self, leg_id: str, label: str, info: LegInfo, beside: Leg | None = None) -> Leg:
        leg = Leg(
            leg_id,
            label,
            info,
            engine=self._engine,
            carry_out=self._transfer,
            on_end=self._ended,
            caller=beside,
        )
        self._legs[leg_id] = leg
        if info.sip_call_id:
            self._by_call_id[info.sip_call_id] = leg
        return leg

    def _saw(self, event: NativeEvent) -> None:
        if event[0] in BY_PEER:
            self._by_peer.saw(event)
        elif (leg := self._by_call_id.get(event[2])) is not None:
            leg.saw(event)

    def _ended(self, leg: Leg) -> None:
        self._legs.pop(leg.id, None)
        self._note_hop(leg)
        self._next_beside.pop(leg.id, None)
        self.forget_dialog(leg.dialog.sip_call_id)

    def _note_hop(self, leg: Leg) -> None:
        """Remember whether the next hop that a leg was dialled over does its work."""
        hops = self._hops.get(leg.info.trunk)
        if hops is None or leg.info.direction is not Direction.SENT:
            return
        if leg.dialog.unreached:
            failure = leg.dialog.wire.failure
            retry_after = None if failure is None else failure.retry_after
            now = asyncio.get_running_loop().time()
            hops.failed(leg.info.hop, now, retry_after, answered=failure is not None)
        else:
            hops.worked(leg.info.hop)

    # -- transfers ------------------------------------------------------------------------------

    async def _transfer(self, caller: Leg, order: TransferOrder) -> Attempt:
        asked, order = order, with_context(order, caller.info, self._settings.trunks)
        try:
            uri = self.request_uri(order.target, caller.info.trunk)
        except DestinationBlocked as error:
            evidence = Evidence(order, order.target.destination, caller.emit)
            return evidence.conclude(Outcome.BLOCKED, reason=str(error))
        evidence = Evidence(order, uri, caller.emit)
        if order.withdrawal.done():
            return evidence.conclude(Outcome.CANCELLED, reason=order.withdrawal.result())
        match order.method:
            case Method.INVITE | Method.ATTENDED:
                ringing = Ringing(caller, order, self._dial_for(caller, order, uri), evidence)
                over = None
                if order.method is Method.ATTENDED and order.target.completed_by_replaces:
                    asked = with_context(
                        replace(asked, method=Method.REFER), caller.info, self._settings.trunks
                    )
                    refer = partial(self._refer, caller, asked)
                    over = partial(hand_over, caller, refer, evidence)
                return await by_invite(caller, ringing, evidence, over)
            case Method.REFER:
                return await self._refer(caller, order, uri, evidence)
            case Method.BYE:
                return await by_bye(caller, order, uri, evidence)
            case Method.AUTO:
                raise ValueError("an order names the method of one attempt")
            case _:
                assert_never(order.method)

    def _dial_for(self, caller: Leg, order: TransferOrder, uri: str) -> Dial:
        """Sends the INVITE of an order, in the caller's name."""
        says = self.told(caller, uri, order.target)
        return partial(
            self.dial_or_contact,
            order.target,
            caller=says.from_user,
            headers={**order.headers, **says.headers},
            beside=caller,
            attempt=order.attempt,
        )

    async def _refer(
        self, caller: Leg, order: TransferOrder, uri: str, evidence: Evidence
    ) -> Attempt:
        timers = self._settings.trunks[caller.dialog.trunk].refer
        try:
            return await by_refer(caller, order, uri, timers, evidence)
        finally:
            self.forget_dialog(caller.dialog.sip_call_id)

    def told(self, caller: Leg, uri: str, target: Target) -> Told:
        """What our INVITE to a target says of the caller."""
        trunk = self._settings.trunks.get(target.trunk or "")
        return named(caller.info, uri, trunk, self.listening)

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

    # -- what transfers by a peer need (sip/transfer/by_peer.py) --------------------------------

    @property
    def own(self) -> set[tuple[str, int]]:
        """Addresses and ports that SIP is spoken on."""
        return {(str(at.address), at.port) for at in self._engine.listening}

    def exchange(self, place: Leg, newcomer: Leg) -> None:
        """Put the newcomer's dialog into the place; the newcomer's leg is left with the old one."""
        for leg in (place, newcomer):
            self._by_call_id.pop(leg.dialog.sip_call_id, None)
        place.take_over(newcomer)
        self._by_call_id[place.dialog.sip_call_id] = place
        left = newcomer.dialog.sip_call_id
        if newcomer.id in self._legs or self._by_peer.reporting(left):
            self._by_call_id[left] = newcomer

    def bring(self, leg: Leg, caller: Leg, role: str) -> Leg:
        """Let the dialog of a leg of another call go on in this caller's call, in a leg of its own.

        Args:
            leg: answered, and joined with nobody.
            caller: the leg of the call that it comes into.
            role: what its label there begins with.
        """
        info = replace(leg.info, sip_call_id="", attempt="")
        came = self._new_leg(*self._name(caller, role), info, caller)
        came.subscribe(caller.emit)
        self._by_call_id.pop(leg.dialog.sip_call_id, None)
        leg.go_on_in(came)
        self._by_call_id[came.dialog.sip_call_id] = came
        return came

    def forget_dialog(self, call_id: str) -> None:
        """Once its leg has ended, and no NOTIFY trails the BYE: neither the peer's nor ours."""
        leg = self._by_call_id.get(call_id)
        if leg is None or leg.id in self._legs or leg.dialog.wire.on_notify is not None:
            return
        if leg.dialog.sip_call_id == call_id and not self._by_peer.reporting(call_id):
            del self._by_call_id[call_id]

    # -- calls out ------------------------------------------------------------------------------

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
                    destination(contact), target.trunk or "", self._settings, self.own
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
            hop, left, where = await self._choose_hop(target.trunk or "", trunk.hops)
            uri = self.request_uri(target, caller_trunk, hop)
            native.route_use_hop(account.getId(), hop)
        self._limits.check(target, self._legs.values(), asyncio.get_running_loop().time())
        from_user = (trunk.caller_id or trunk.numbers.from_e164(caller)) if trunk else caller
        parameters = pj.CallOpParam()
        add_headers(parameters.txOption, headers.items())
        if from_user and not (trunk and trunk.registration):
            anonymous = from_user == ANONYMOUS
            own = f"<sip:{from_user}@{self.listening}>"
            parameters.txOption.localUri = ANONYMOUS_FROM if anonymous else own
        parameters.opt.audioCount = 1
        parameters.opt.videoCount = 0
        parameters.opt.textCount = 0
        codec = "" if beside is None else beside.audio.codec
        native.call_prepare(account.getId(), codec, int(IPv4Address(where)))
        if offer is not None:
            native.call_offer(*offered(offer))
        call, failure = PjCall(account, NO_CALL), ""
        try:
            call.makeCall(uri, parameters)
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
        leg = self._new_leg(*self._name(beside, role), info, beside)
        if beside is not None:
            leg.subscribe(beside.emit)
        leg.begin(call)
        if failure:
            leg.fail(failure)
        self._engine.soon()
        return leg

    async def _choose_hop(self, trunk: str, uris: list[str]) -> tuple[int, int, str]:
        """Which next hop a call goes to, how many others are left after it, and where it is.

        Raises:
            UnresolvedHost: none of them has an address.
        """
        hops, now = self._hops[trunk], asyncio.get_running_loop().time()
        while True:
            hop = hops.choose(now, self._registrations.hop(trunk))
            left = hops.left(now, hop)
            try:
                where = await self._names.address(parse_uri(uris[hop]).host)
            except UnresolvedHost:
                hops.failed(hop, now, None)
                if not left:
                    raise
            else:
                return hop, left, where

    def _name(self, beside: Leg | None, role: str) -> tuple[str, str]:
        """Id and label of a leg that no trunk's call begins with."""
        if beside is None:
            return secrets.token_hex(8), OUTBOUND
        named = self._next_beside[beside.id]
        named[role] += 1
        number = named[role] + (role == CALLER)  # the caller's own leg is the first
        return f"{beside.id}/{role}-{number}", f"{role}-{number}"


def _aliases(settings: Settings) -> dict[str, str]:
    """The names that trunks' certificates carry, for the hosts that their proxies have."""
    return {
        trunk.tls.server_name: parse_proxy(trunk.next_hop).host
        for trunk in settings.trunks.values()
        if trunk.tls.server_name is not None and trunk.next_hop is not None
    }
