"""Registration and calls where the first proxy does not do its work (RFC 3261 10, RFC 3263 4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from config.targets import Reach, Target
from sip.agent import SipAgent
from sip.events import Event, LegEnded
from sip.leg import Leg
from sip.order import TransferOrder
from sip.outcome import Attempt, Method, Outcome
from sip.registrations import RegistrationState
from sip.softphone.commands import Dial
from sip.softphone.driver import Softphone
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.registrar import Registrar
from tests.peers.script import Script
from tests.peers.sipp import Sipp

GATEWAY, FIRST, SECOND, CALLER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
LIMIT = network.PATIENCE


@dataclass
class Line:
    """A gateway's SIP side whose trunk `provider` has two proxies."""

    agent: SipAgent
    port: int
    ports: dict[str, int]
    end: AsyncExitStack
    folder: Path

    async def peer(self, address: str, script: Script) -> Sipp:
        sipp = await Sipp.start(script, self.folder, address=address, port=self.ports[address])
        self.end.push_async_callback(sipp.stop)
        return sipp

    async def registration(self, wanted: Callable[[RegistrationState], bool]) -> RegistrationState:
        await network.until(
            lambda: any(map(wanted, self.agent.registrations())), "it registers", LIMIT
        )
        return self.agent.registrations()[0]

    async def transferred(self) -> tuple[Attempt, list[Event]]:
        """A caller's transfer to a number over the trunk."""
        phone = await Softphone.start(CALLER, name="caller")
        await self.end.enter_async_context(phone)
        await phone.send(Dial(call="a", to=f"sip:100@{GATEWAY}:{self.port}"))
        async with asyncio.timeout(LIMIT):
            caller: Leg = await anext(self.agent.inbound())
        await caller.answer()
        seen: list[Event] = []
        caller.subscribe(seen.append)
        target = Target(
            kind=Reach.EXTERNAL, destination="+4930555", trunk="provider", method="invite"
        )
        order = TransferOrder("t1", "number", target, Method.INVITE, LIMIT)
        async with asyncio.timeout(LIMIT):
            attempt = await caller.transfer(order)
        caller.release()
        await caller.wait_ended()
        return attempt, seen


Start = Callable[..., Awaitable[Line]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Prepares a gateway; its `agent.start()` is the test's."""
    secret = tmp_path / "password"
    secret.write_text("s3cret")
    async with AsyncExitStack() as end:

        async def begin(*, registers: bool) -> Line:
            port = network.free_port(GATEWAY)
            ports = {address: network.free_port(address) for address in (FIRST, SECOND)}
            first, last = network.free_udp_range(GATEWAY, 64)
            proxies = [f"sip:{address}:{at}" for address, at in ports.items()]
            registration = {
                "registrar": proxies[0],
                "username": "gateway",
                "password": {"file": str(secret)},
                "expires": 60,
            }
            trunk: dict[str, Any] = {"sources": [f"{FIRST}/32"], "proxy": proxies[0]}
            if registers:
                trunk = {"registration": registration}
            settings = {
                "sip": {
                    "listen": [{"address": GATEWAY, "port": port}],
                    "rtp": {"address": GATEWAY, "first_port": first, "last_port": last},
                    "max_calls": 8,
                },
                "trunks": {
                    "provider": {**trunk, "fallback_proxies": proxies[1:]},
                    "phones": {"sources": [f"{CALLER}/32"], "routes": [{"flow": "any"}]},
                },
                "allow": ["+4930*"],
            }
            agent = SipAgent(Settings.model_validate(settings))
            end.push_async_callback(agent.stop)
            return Line(agent, port, ports, end, tmp_path)

        yield begin


class TestRegistration:
    """The trunk is registered as long as one of its proxies grants it."""

    async def test_a_registrar_that_says_503_is_followed_by_the_next_at_once(
        self, start: Start
    ) -> None:
        line = await start(registers=True)
        busy = Registrar("busy", "gateway", "s3cret").is_asked()
        await line.peer(FIRST, busy.refuses(503, "Service Unavailable", ("Retry-After: 60",)))
        await line.peer(SECOND, Registrar("grants", "gateway", "s3cret").challenges().grants(60))
        await line.agent.start()
        state = await line.registration(lambda each: each.expires > 0)
        assert state.server == f"sip:{SECOND}:{line.ports[SECOND]}"

    async def test_an_interval_that_is_too_brief_is_made_longer(self, start: Start) -> None:
        """RFC 3261 section 10.2.8."""
        line = await start(registers=True)
        script = Registrar("brief", "gateway", "s3cret").is_asked({"Expires": "60"})
        script.refuses(423, "Interval Too Brief", ("Min-Expires: 600",))
        script.is_asked({"Expires": "600"}).grants(600)
        await line.peer(FIRST, script)
        await line.agent.start()
        assert (await line.registration(lambda each: each.expires > 0)).expires == 600

    async def test_wrong_credentials_are_a_warning_and_no_flood(self, start: Start) -> None:
        line = await start(registers=True)
        script = Registrar("forbids", "gateway", "s3cret").is_asked().refuses(403, "Forbidden")
        peer = await line.peer(FIRST, script)
        await line.agent.start()
        state = await line.registration(lambda each: each.code == 403)
        await peer.succeeds()
        assert (state.expires, state.reason) == (0, "Forbidden")


class TestCalls:
    """A call that the first proxy does not take goes to the next one, and to nobody twice."""

    async def test_503_leads_to_the_next_proxy_within_the_attempt(self, start: Start) -> None:
        line = await start(registers=False)
        await line.agent.start()
        first = await line.peer(
            FIRST, Agent("busy").is_called().refuses(503, "Service Unavailable")
        )
        second = await line.peer(
            SECOND, Agent("answers").is_called().answers().talks(0.2).hangs_up()
        )
        attempt, seen = await line.transferred()
        await first.succeeds()
        await second.succeeds()
        assert attempt.outcome is Outcome.CONNECTED
        steps = [step.what for step in attempt.steps]
        assert steps.count("invite_sent") == 2
        assert "next_hop" in steps
        ended = [event for event in seen if isinstance(event, LegEnded)]
        assert ended[0].code == 503

    async def test_what_the_called_party_says_is_final(self, start: Start) -> None:
        line = await start(registers=False)
        await line.agent.start()
        await line.peer(FIRST, Agent("busy").is_called().rings().refuses(486, "Busy Here"))
        second = await line.peer(SECOND, Agent("never").is_called())
        attempt, _ = await line.transferred()
        assert attempt.outcome is Outcome.BUSY
        assert not second.ended

    async def test_a_telephone_that_rang_is_not_rung_twice(self, start: Start) -> None:
        line = await start(registers=False)
        await line.agent.start()
        script = Agent("breaks").is_called().rings().refuses(503, "Service Unavailable")
        await line.peer(FIRST, script)
        second = await line.peer(SECOND, Agent("never").is_called())
        attempt, _ = await line.transferred()
        assert attempt.outcome is Outcome.SERVER_UNAVAILABLE
        assert not second.ended

    async def test_a_proxy_that_failed_is_passed_over_by_the_next_call(self, start: Start) -> None:
        line = await start(registers=False)
        await line.agent.start()
        busy = Agent("busy").is_called().refuses(503, "Service Unavailable", ("Retry-After: 60",))
        await line.peer(FIRST, busy)
        refuses = Agent("refuses").is_called().refuses(486, "Busy Here")
        second = await Sipp.start(
            refuses, line.folder, address=SECOND, port=line.ports[SECOND], calls=2
        )
        line.end.push_async_callback(second.stop)
        attempt, _ = await line.transferred()
        assert attempt.outcome is Outcome.BUSY
        target = Target(kind=Reach.EXTERNAL, destination="+4930555", trunk="provider")
        leg = await line.agent.dial(target)
        assert (await leg.wait_ended()).code == 486
        await second.succeeds()
