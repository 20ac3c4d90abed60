"""The SIP agent: trunks in, calls out. The one door between the gateway and SIP.

An INVITE passes the gate (sip/native/gate.c), finds its flow by the trunk's routes, and comes out
of `inbound()` as a leg. What a leg is asked, it does by itself; its transfers are carried out in
sip/transfer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType

import structlog

from config.numbers import Numbers
from config.routing import flow_for
from config.settings import Settings
from config.uri import parse_proxy
from sip.audio_watch import AudioWatch
from sip.codecs import codec_row, spoken
from sip.context.received import Received, received
from sip.counters import Counters
from sip.dialler import Dialler
from sip.engine import Engine
from sip.errors import CallEnded, EngineError, UnresolvedHost
from sip.events import Direction
from sip.gate import Gate, network_row
from sip.leg import Leg
from sip.leg_info import AGENT, CALLER, LegInfo
from sip.legs import Legs
from sip.message import Message, address, user_part
from sip.names import Names
from sip.next_hops import NextHops
from sip.pings import HopState, Pings
from sip.pj_account import DIRECT, PjAccount, account_configuration, hop_uris, routes, tls_peers
from sip.pj_call import PjCall
from sip.pjsip import NativeEvent, native, pj
from sip.registrations import Registrations, RegistrationState
from sip.transfer.by_peer import BY_PEER, ByPeer
from sip.transfer.orders import Orders
from sip.transfer.replaces import ReplacesRefused

log = structlog.get_logger(__name__)

# How long `stop` waits for the legs it hangs up: the BYE limit of a leg, and a little.
STOP_LIMIT = 3.0


class SipAgent:
    """One SIP endpoint with its trunks. Made once per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = Names(_aliases(settings))
        self._engine = Engine(
            settings.sip, spoken(settings.trunks), self._names, self._saw, self._pinged
        )
        self._accounts: dict[str, PjAccount] = {}
        self._arrived: asyncio.Queue[Leg] = asyncio.Queue()
        self._registrations = Registrations()
        next_hops = NextHops(settings.trunks, self._names, self._registrations)
        self._pings = Pings(settings.trunks, next_hops.by_trunk, self._ping)
        self._gate = Gate(settings)
        self._legs = Legs(
            self._engine,
            # Found late: transfers make legs, and legs are transferred.
            carry_out=lambda leg, order: orders.carry_out(leg, order),  # noqa: PLW0108
            on_end=next_hops.note,
        )
        dialler = Dialler(
            settings,
            self._engine,
            self._names,
            next_hops=next_hops,
            accounts=self._accounts,
            legs=self._legs,
        )
        self.dial = dialler.dial
        """Sends an INVITE, for nobody's sake."""
        orders = Orders(settings, dialler, self._legs)
        self._by_peer = ByPeer(settings, self._engine, dialler, self._legs)
        self._audio_watch = AudioWatch(settings.sip.rtp.timeout, self._legs.by_call_id)

    @property
    def legs(self) -> Mapping[str, Leg]:
        """All live legs by id."""
        return MappingProxyType(self._legs.by_id)

    @property
    def listening(self) -> str:
        """`address:port` of the first transport, once it has started."""
        return self._engine.hostport

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
        legs = list(self._legs.by_id.values())
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
        return Counters.read(self._engine, legs_active=len(self._legs.by_id))

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
            leg = self._legs.new(CALLER, info)
            leg.begin(call)
            self._engine.post(partial(self._refuse, leg, refused))
            return
        if place is None:
            leg = self._legs.new(CALLER, info)
            then = partial(self._route, leg)
        else:
            caller = place.caller
            leg = self._legs.new(CALLER if place is caller else AGENT, info, caller)
            then = partial(self._by_peer.replace, place, leg)
        leg.begin(call)
        self._engine.post(then)

    def _refuse(self, leg: Leg, refused: ReplacesRefused) -> None:
        """An INVITE whose Replaces is not followed."""
        info = leg.info
        log.warning("Replaces refused", trunk=info.trunk, caller=info.caller, reason=str(refused))
        with suppress(CallEnded):
            leg.reject(refused.code, refused.reason)

    def _route(self, leg: Leg) -> None:
        if leg.info.flow or leg.info.received.token:
            self._arrived.put_nowait(leg)  # also when its caller gave up: it leaves a record
            return
        log.warning("no route", trunk=leg.info.trunk, number=leg.info.number, to=leg.info.to_uri)
        with suppress(CallEnded):
            leg.reject(404)

    def _saw(self, event: NativeEvent) -> None:
        if event[0] in BY_PEER:
            self._by_peer.saw(event)
        elif (leg := self._legs.by_call_id.get(event[2])) is not None:
            leg.saw(event)


def _aliases(settings: Settings) -> dict[str, str]:
    """The names that trunks' certificates carry, for the hosts that their proxies have."""
    return {
        trunk.tls.server_name: parse_proxy(trunk.next_hop).host
        for trunk in settings.trunks.values()
        if trunk.tls.server_name is not None and trunk.next_hop is not None
    }
