"""Trunks over TLS and with SRTP: the SIP agent in this process, a softphone as its peer."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from config.targets import Reach, Target
from sip.agent import SipAgent
from sip.events import Event, LegEnded, MediaStarted, SipMessage
from sip.leg import Leg
from sip.order import TransferOrder
from sip.outcome import Attempt, Method, Outcome, classify
from sip.pjsip import native
from sip.softphone.commands import Dial, HangUp, Policy, Tone
from sip.softphone.driver import Softphone
from tests.peers import network
from tests.peers.authority import Authority, Certificate

GATEWAY, CARRIER, AGENT = "127.0.0.1", "127.0.0.2", "127.0.0.4"
NAME = "sbc.carrier.test"
LIMIT = network.PATIENCE


@dataclass
class Line:
    """A gateway's SIP side with one trunk, and telephones at it."""

    agent: SipAgent
    port: int
    carrier_port: int
    authority: Authority
    own: Certificate
    phones: AsyncExitStack
    folder: Path

    @property
    def number(self) -> str:
        return f"sip:100@{GATEWAY}:{self.port};transport=tls"

    async def carrier(
        self, certificate: Certificate | None = None, *options: str, transport: str = "tls"
    ) -> Softphone:
        """The trunk's peer, with a certificate for `NAME` unless told otherwise."""
        certificate = certificate or self.authority.signs(NAME)
        return await self.phones.enter_async_context(
            await Softphone.start(
                CARRIER,
                self.carrier_port,
                name="carrier",
                transport=transport,
                options=(*certificate.options, *options),
            )
        )

    async def dials(self) -> tuple[Leg, list[Event]]:
        """A call over the trunk, and what happens to it."""
        target = Target(kind=Reach.EXTERNAL, destination="+4930555", trunk="carrier")
        leg = await self.agent.dial(target)
        seen: list[Event] = []
        leg.subscribe(seen.append)
        return leg, seen

    async def arrives(self) -> Leg:
        async with asyncio.timeout(LIMIT):
            return await anext(self.agent.inbound())


Start = Callable[..., Awaitable[Line]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a gateway: `await start(trunk={…})`."""
    async with AsyncExitStack() as phones:
        lines: list[Line] = []

        async def begin(
            trunk: dict[str, Any] | None = None,
            clients: str = "any",
            transport: str = "tls",
        ) -> Line:
            authority = Authority(tmp_path / "authority")
            own = authority.signs(GATEWAY)
            port, carrier_port = network.free_port(GATEWAY), network.free_port(CARRIER)
            first, last = network.free_udp_range(GATEWAY, 64)
            files = {"certificate": str(own.certificate), "key": str(own.key)}
            if clients == "certified":
                files["client_ca"] = str(authority.file)
            secure = {"tls": {**files, "clients": clients}} if transport == "tls" else {}
            settings = {
                "sip": {
                    "listen": [
                        {"address": GATEWAY, "port": port, "transport": transport, **secure},
                        {"address": GATEWAY, "port": 0},
                    ],
                    "rtp": {"address": GATEWAY, "first_port": first, "last_port": last},
                    "max_calls": 8,
                },
                "trunks": {
                    "carrier": {
                        "sources": [f"{CARRIER}/32"],
                        "proxy": f"sip:{CARRIER}:{carrier_port};transport={transport}",
                        "tls": {"ca": str(authority.file), "server_name": NAME},
                        "routes": [{"flow": "any"}],
                        **(trunk or {}),
                    }
                },
                "allow": ["+4930*", f"sip:*@{AGENT}"],
            }
            agent = SipAgent(Settings.model_validate(settings))
            await agent.start()
            line = Line(agent, port, carrier_port, authority, own, phones, tmp_path)
            lines.append(line)
            return line

        yield begin
        for line in lines:
            await line.agent.stop()
            assert dict(line.agent.legs) == {}


async def failure(leg: Leg) -> LegEnded:
    async with asyncio.timeout(LIMIT):
        return await leg.wait_ended()


async def passing(leg: Leg) -> None:
    """Wait until the audio of two joined legs passes undecoded."""

    def passes() -> bool:
        return leg.partner is not None and native.relay_join(
            leg.dialog.pj_id, leg.partner.dialog.pj_id
        )

    await network.until(passes, "audio passes")


def media(events: list[Event]) -> MediaStarted:
    return next(event for event in events if isinstance(event, MediaStarted))


class TestOutbound:
    """The peer's certificate is looked at before anything is sent (RFC 5922 section 7)."""

    async def test_a_call_to_the_right_peer_is_answered_and_ended_over_one_connection(
        self, start: Start
    ) -> None:
        line = await start()
        phone = await line.carrier()
        leg, seen = await line.dials()
        async with asyncio.timeout(LIMIT):
            await leg.wait_confirmed()
        await leg.hangup({})
        await phone.expect("disconnected", by="peer")
        messages = [event for event in seen if isinstance(event, SipMessage)]
        assert {message.transport for message in messages} == {"tls"}
        assert len({message.peer for message in messages}) == 1
        assert messages[-1].text.startswith("SIP/2.0 200")

    @pytest.mark.parametrize(
        ("names", "expired", "why"),
        [
            (("sbc.stranger.test",), False, f"is not for {NAME}"),
            ((NAME,), True, "certificate has expired"),
        ],
        ids=["another name", "expired"],
    )
    async def test_a_certificate_that_is_not_right_fails_the_call_and_says_why(
        self, start: Start, names: tuple[str, ...], expired: bool, why: str
    ) -> None:
        line = await start()
        phone = await line.carrier(line.authority.signs(*names, expired=expired))
        leg, _ = await line.dials()
        ended = await failure(leg)
        assert why in ended.reason
        assert ended.reason.startswith("TLS: ")
        assert not phone.seen("incoming")

    async def test_a_certificate_of_an_unknown_authority_fails_the_transfer(
        self, start: Start
    ) -> None:
        line = await start()
        stranger = Authority(line.folder / "stranger")
        phone = await line.carrier(stranger.signs(NAME))
        attempt = await transferred(line, phone)
        assert attempt.outcome is Outcome.NETWORK_FAILURE
        assert "unable to get local issuer certificate" in attempt.reason

    async def test_after_the_peer_has_renewed_its_certificate_calls_go_through(
        self, start: Start
    ) -> None:
        line = await start()
        old = await line.carrier(line.authority.signs(NAME, expired=True))
        leg, _ = await line.dials()
        assert "expired" in (await failure(leg)).reason
        await old.stop()
        await line.carrier()
        leg, _ = await line.dials()
        async with asyncio.timeout(LIMIT):
            await leg.wait_confirmed()
        await leg.hangup({})

    async def test_without_verification_any_certificate_will_do(self, start: Start) -> None:
        line = await start(trunk={"tls": {"verify": False}})
        await line.carrier(Authority(line.folder / "stranger").signs("anybody.test"))
        leg, _ = await line.dials()
        async with asyncio.timeout(LIMIT):
            await leg.wait_confirmed()
        await leg.hangup({})

    async def test_a_peer_that_is_not_there_is_a_network_failure(self, start: Start) -> None:
        line = await start()
        leg, _ = await line.dials()
        assert "refused" in (await failure(leg)).reason.lower()

    async def test_a_call_whose_connection_breaks_can_still_be_ended(self, start: Start) -> None:
        """The dialog lets go of the connection, and the next request opens another."""
        line = await start()
        phone = await line.carrier()
        leg, _ = await line.dials()
        async with asyncio.timeout(LIMIT):
            await leg.wait_confirmed()
        os.kill(phone.pid, signal.SIGKILL)  # one that ends by itself says BYE
        await phone.stop()
        await leg.hangup({})


class TestInbound:
    """Calls that come in over TLS: whoever connects may have to show a certificate."""

    async def test_a_caller_with_a_certificate_is_taken(self, start: Start) -> None:
        line = await start(clients="certified")
        phone = await line.carrier()
        await phone.send(Dial(call="a", to=line.number))
        leg = await line.arrives()
        await leg.answer()
        await phone.expect("confirmed", "a")
        await phone.send(HangUp(call="a"))
        await leg.wait_ended()

    async def test_a_caller_of_an_unknown_authority_gets_no_connection(self, start: Start) -> None:
        line = await start(clients="certified")
        phone = await line.carrier(Authority(line.folder / "stranger").signs(NAME))
        await phone.send(Dial(call="a", to=line.number))
        await phone.expect("disconnected", "a", code=503)
        assert dict(line.agent.legs) == {}


class TestDirectly:
    """URIs that are dialled without a trunk: verified by the host in them and the system's CAs."""

    async def test_a_sips_uri_goes_over_tls_and_its_peer_is_verified(self, start: Start) -> None:
        line = await start()
        certificate = line.authority.signs(AGENT)
        phone = await line.phones.enter_async_context(
            await Softphone.start(AGENT, name="agent", transport="tls", options=certificate.options)
        )
        where = phone.uri.partition("@")[2].partition(";")[0]
        target = Target(kind=Reach.INTERNAL, destination=f"sips:agent@{where}")
        ended = await failure(await line.agent.dial(target))
        assert "unable to get local issuer certificate" in ended.reason
        assert not phone.seen("incoming")


class TestSrtp:
    """SRTP with keys in SDP (RFC 4568), required, optional and off."""

    async def test_both_ways_audio_is_encrypted_and_heard(self, start: Start) -> None:
        line = await start(trunk={"srtp": {"use": "required"}})
        phone = await line.carrier(None, "--srtp", "required")
        record = line.folder / "caller.wav"
        await phone.send(Policy(user="+4930555", tone=880))
        await phone.send(Dial(call="a", to=line.number, tone=440, record=record))
        caller = await line.arrives()
        seen: list[Event] = []
        caller.subscribe(seen.append)
        await caller.answer()
        order = Target(
            kind=Reach.EXTERNAL, destination="+4930555", trunk="carrier", method="invite"
        )
        talk = asyncio.create_task(
            caller.transfer(TransferOrder("t1", "agent", order, Method.INVITE, LIMIT))
        )
        await phone.expect("heard", "a", sound="880 Hz")
        assert {event.srtp for event in seen if isinstance(event, MediaStarted)} == {
            "AES_256_CM_HMAC_SHA1_80"
        }
        await phone.send(HangUp(call="a"))
        assert (await talk).outcome is Outcome.CONNECTED

    async def test_a_caller_with_srtp_and_an_agent_without_hear_each_other(
        self, start: Start
    ) -> None:
        line = await start(trunk={"srtp": {"use": "required"}})
        phone = await line.carrier(None, "--srtp", "required")
        agent = await line.phones.enter_async_context(await Softphone.start(AGENT, name="agent"))
        records = {name: line.folder / f"{name}.wav" for name in ("caller", "agent")}
        await agent.send(Policy(tone=880, record=records["agent"]))
        await phone.send(Dial(call="a", to=line.number, tone=440, record=records["caller"]))
        caller = await line.arrives()
        seen: list[Event] = []
        caller.subscribe(seen.append)
        await caller.answer()
        target = Target(kind=Reach.INTERNAL, destination=agent.uri)
        order = TransferOrder("t1", "agent", target, Method.INVITE, LIMIT)
        talk = asyncio.create_task(caller.transfer(order))
        await phone.expect("heard", "a", sound="880 Hz")
        await agent.expect("heard", "in-1", sound="440 Hz")
        encrypted = [bool(event.srtp) for event in seen if isinstance(event, MediaStarted)]
        assert sorted(encrypted) == [False, True]
        await passing(caller)
        await agent.send(Tone(call="in-1", hertz=660))
        await phone.send(Tone(call="a", hertz=550))
        await phone.expect("heard", "a", sound="660 Hz")
        await agent.expect("heard", "in-1", sound="550 Hz")
        await agent.send(HangUp(call="in-1"))
        assert (await talk).outcome is Outcome.CONNECTED
        caller.release()
        assert (await caller.wait_ended()).media.tx_passed > 0

    async def test_a_caller_without_srtp_gets_488_where_it_is_required(self, start: Start) -> None:
        line = await start(trunk={"srtp": {"use": "required"}})
        phone = await line.carrier()
        await phone.send(Dial(call="a", to=line.number))
        await phone.expect("disconnected", "a", code=488)

    async def test_a_peer_without_srtp_fails_as_media_incompatible(self, start: Start) -> None:
        line = await start(trunk={"srtp": {"use": "required"}})
        await line.carrier()
        leg, seen = await line.dials()
        ended = await failure(leg)
        assert classify(ended.code) is Outcome.MEDIA_INCOMPATIBLE
        sent = next(event.text for event in seen if isinstance(event, SipMessage))
        assert "m=audio" in sent
        assert "RTP/SAVP " in sent

    async def test_a_caller_with_srtp_gets_488_where_it_is_off(self, start: Start) -> None:
        line = await start()
        phone = await line.carrier(None, "--srtp", "required")
        await phone.send(Dial(call="a", to=line.number))
        await phone.expect("disconnected", "a", code=488)

    @pytest.mark.parametrize(("peer", "encrypted"), [("off", False), ("optional", True)])
    async def test_optional_takes_what_the_peer_can(
        self, start: Start, peer: str, encrypted: bool
    ) -> None:
        line = await start(trunk={"srtp": {"use": "optional"}})
        phone = await line.carrier(None, "--srtp", peer)
        await phone.send(Dial(call="a", to=line.number, tone=440))
        caller = await line.arrives()
        seen: list[Event] = []
        caller.subscribe(seen.append)
        await caller.answer()
        assert bool(media(seen).srtp) is encrypted
        leg, events = await line.dials()
        async with asyncio.timeout(LIMIT):
            await leg.wait_confirmed()
        await phone.expect("media", "in-1")
        assert bool(media(events).srtp) is encrypted
        await leg.hangup({})
        await caller.hangup({})

    async def test_keys_go_in_clear_only_where_that_is_allowed(self, start: Start) -> None:
        line = await start(
            trunk={"srtp": {"use": "required", "keys_in_clear": True}, "tls": {}}, transport="udp"
        )
        phone = await line.carrier(None, "--srtp", "required", transport="udp")
        await phone.send(Dial(call="a", to=line.number.partition(";")[0], tone=440))
        caller = await line.arrives()
        await caller.answer()
        await phone.expect("confirmed", "a")
        await caller.hangup({})


async def transferred(line: Line, phone: Softphone) -> Attempt:
    """A caller's transfer over the trunk: the caller is a second call of the same phone."""
    await phone.send(Dial(call="caller", to=line.number))
    leg = await line.arrives()
    await leg.answer()
    target = Target(kind=Reach.EXTERNAL, destination="+4930555", trunk="carrier", method="invite")
    order = TransferOrder("t1", "number", target, Method.INVITE, LIMIT)
    async with asyncio.timeout(LIMIT):
        attempt = await leg.transfer(order)
    leg.release()
    await leg.wait_ended()
    return attempt
