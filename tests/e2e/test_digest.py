"""Digest both ways: who calls proves who it is, and so does the gateway (RFC 3261 section 22)."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from config.targets import Reach, Target
from sip.agent import SipAgent
from sip.message import Message
from sip.softphone.commands import Dial
from sip.softphone.driver import Softphone
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.datagram import GATEWAY, LIMIT, Peer
from tests.peers.sipp import Sipp

PBX, ELSEWHERE, CARRIER = "127.0.0.2", "127.0.0.9", "127.0.0.3"
USER, PASSWORD, REALM = "pbx-7", "correct horse", "switchhook"


@dataclass
class Line:
    """An agent, and peers at it."""

    agent: SipAgent
    port: int
    carrier_port: int
    end: AsyncExitStack

    async def peer(self, address: str = PBX) -> Peer:
        peer = await Peer.at(address, self.port)
        self.end.push_async_callback(peer.socket.close)
        return peer

    async def phone(self, address: str, *options: str) -> Softphone:
        phone = await Softphone.start(address, name="peer", options=options)
        return await self.end.enter_async_context(phone)


Start = Callable[..., Awaitable[Line]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts an agent whose trunk `pbx` has these settings beside its digest."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    async with AsyncExitStack() as end:

        async def begin(**trunk: Any) -> Line:
            port, carrier_port = network.free_port(GATEWAY), network.free_port(CARRIER)
            first, last = network.free_udp_range(GATEWAY, 64)
            credentials = {"username": USER, "password": {"file": str(secret)}}
            settings = {
                "sip": {
                    "listen": [{"address": GATEWAY, "port": port}],
                    "rtp": {"address": GATEWAY, "first_port": first, "last_port": last},
                    "max_calls": 8,
                },
                "trunks": {
                    "pbx": {"digest": credentials, "routes": [{"flow": "any"}], **trunk},
                    "carrier": {
                        "sources": [f"{CARRIER}/32"],
                        "proxy": f"sip:{CARRIER}:{carrier_port}",
                        "credentials": credentials,
                    },
                },
                "allow": ["+4930*"],
            }
            agent = SipAgent(Settings.model_validate(settings))
            await agent.start()
            end.push_async_callback(agent.stop)
            return Line(agent, port, carrier_port, end)

        yield begin


def challenges(response: Message) -> dict[str, dict[str, str]]:
    """The parameters of each challenge, by its algorithm."""
    found = [
        dict(re.findall(r'(\w+)="?([^",]+)"?', value))
        for name, value in response.headers
        if name.lower() == "www-authenticate"
    ]
    return {each["algorithm"]: each for each in found}


def answer(
    challenge: dict[str, str],
    uri: str,
    *,
    count: int = 1,
    user: str = USER,
    password: str = PASSWORD,
    counted: bool = True,
) -> str:
    """The Authorization header (RFC 7616 section 3.4.1)."""
    algorithm = challenge["algorithm"]

    def hashed(text: str) -> str:
        kind = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5
        return kind(text.encode()).hexdigest()

    ha1, ha2 = hashed(f"{user}:{REALM}:{password}"), hashed(f"INVITE:{uri}")
    nonce = challenge["nonce"]
    rest = f"{count:08x}:c0ffee:auth:{ha2}" if counted else ha2
    fields = [
        f'username="{user}"',
        f'realm="{REALM}"',
        f'nonce="{nonce}"',
        f'uri="{uri}"',
        f'response="{hashed(f"{ha1}:{nonce}:{rest}")}"',
        f"algorithm={algorithm}",
    ]
    if counted:
        fields += ["qop=auth", f"nc={count:08x}", 'cnonce="c0ffee"']
    return f"Authorization: Digest {', '.join(fields)}"


async def admitted(line: Line, peer: Peer, authorization: str) -> str:
    """The trunk that a call was taken for."""
    peer.send("INVITE", authorization)
    async with asyncio.timeout(LIMIT):
        leg = await anext(line.agent.inbound())
    trunk = leg.info.trunk
    leg.reject(486)
    await leg.wait_ended()
    return trunk


class TestChallenge:
    """An INVITE without credentials is asked for them, and leaves nothing behind."""

    async def test_the_stronger_algorithm_comes_first_and_no_leg_is_made(
        self, start: Start
    ) -> None:
        line = await start()
        response = await (await line.peer()).calls()
        assert response.status == 401
        assert list(challenges(response)) == ["SHA-256", "MD5"]
        assert {each["qop"] for each in challenges(response).values()} == {"auth"}
        assert dict(line.agent.legs) == {}

    @pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
    @pytest.mark.parametrize("address", [PBX, ELSEWHERE])
    async def test_the_right_answer_selects_the_trunk_wherever_it_comes_from(
        self, start: Start, algorithm: str, address: str
    ) -> None:
        line = await start()
        peer = await line.peer(address)
        challenge = challenges(await peer.calls())[algorithm]
        uri = f"sip:100@{GATEWAY}:{line.port}"
        assert await admitted(line, peer, answer(challenge, uri)) == "pbx"

    async def test_a_trunk_with_sources_is_challenged_too(self, start: Start) -> None:
        line = await start(sources=[f"{PBX}/32"])
        peer = await line.peer()
        challenge = challenges(await peer.calls())["MD5"]
        uri = f"sip:100@{GATEWAY}:{line.port}"
        assert await admitted(line, peer, answer(challenge, uri)) == "pbx"
        stranger = await line.peer(ELSEWHERE)
        assert (await stranger.calls()).status == 403

    async def test_an_answer_without_qop_is_taken_once(self, start: Start) -> None:
        line = await start()
        peer = await line.peer()
        challenge = challenges(await peer.calls())["MD5"]
        uri = f"sip:100@{GATEWAY}:{line.port}"
        authorization = answer(challenge, uri, counted=False)
        assert await admitted(line, peer, authorization) == "pbx"
        assert (await (await line.peer()).calls(authorization)).status == 401

    async def test_a_softphone_gets_through_by_itself(self, start: Start) -> None:
        line = await start()
        phone = await line.phone(ELSEWHERE, "--username", USER, "--password", PASSWORD)
        await phone.send(Dial(call="a", to=f"sip:100@{GATEWAY}:{line.port}"))
        async with asyncio.timeout(LIMIT):
            leg = await anext(line.agent.inbound())
        await leg.answer()
        await phone.expect("confirmed", "a")
        await leg.hangup({})
        assert leg.info.trunk == "pbx"


class TestRefusal:
    """Whatever is wrong with an answer, no call is made of it."""

    @pytest.mark.parametrize(
        ("user", "password"),
        [(USER, "guessed"), ("pbx-8", PASSWORD)],
        ids=["a wrong password", "an unknown user"],
    )
    async def test_wrong_credentials_get_403(self, start: Start, user: str, password: str) -> None:
        line = await start()
        peer = await line.peer()
        challenge = challenges(await peer.calls())["SHA-256"]
        uri = f"sip:100@{GATEWAY}:{line.port}"
        before = line.agent.counters().gate_refused_credentials
        refused = await peer.calls(answer(challenge, uri, user=user, password=password))
        assert refused.status == 403
        assert line.agent.counters().gate_refused_credentials == before + 1

    async def test_an_answer_for_another_number_gets_403(self, start: Start) -> None:
        line = await start()
        peer = await line.peer()
        challenge = challenges(await peer.calls())["SHA-256"]
        refused = await peer.calls(answer(challenge, f"sip:200@{GATEWAY}:{line.port}"))
        assert refused.status == 403

    async def test_a_nonce_counts_up_and_no_count_is_taken_twice(self, start: Start) -> None:
        line = await start()
        peer = await line.peer()
        challenge = challenges(await peer.calls())["SHA-256"]
        uri = f"sip:100@{GATEWAY}:{line.port}"
        for count in (1, 3, 2):
            again = await line.peer()
            assert await admitted(line, again, answer(challenge, uri, count=count)) == "pbx"
        replayed = await (await line.peer()).calls(answer(challenge, uri, count=2))
        assert replayed.status == 401
        assert challenges(replayed)["MD5"]["stale"] == "true"

    async def test_a_nonce_of_another_address_or_of_nobody_is_stale(self, start: Start) -> None:
        line = await start()
        challenge = challenges(await (await line.peer()).calls())["SHA-256"]
        uri = f"sip:100@{GATEWAY}:{line.port}"
        thief = await line.peer(ELSEWHERE)
        for nonce in (challenge["nonce"], "0" * 56, "short"):
            refused = await thief.calls(answer({**challenge, "nonce": nonce}, uri))
            assert refused.status == 401
            assert challenges(refused)["SHA-256"]["stale"] == "true"
        assert dict(line.agent.legs) == {}

    async def test_other_requests_of_strangers_are_refused_as_ever(self, start: Start) -> None:
        line = await start()
        assert (await (await line.peer()).asks("REGISTER")).status == 403


class TestOutbound:
    """A peer that challenges our calls is answered, registered or not."""

    async def test_the_call_goes_through(self, start: Start, tmp_path: Path) -> None:
        line = await start()
        challenge = 'Proxy-Authenticate: Digest realm="carrier", algorithm=SHA-256, nonce="5f1d2c"'
        script = (
            Agent("challenges")
            .is_called()
            .refuses(407, "Proxy Authentication Required", (challenge,))
            .is_called({"Proxy-Authorization": f'username="{USER}"'})
            .refuses(486, "Busy Here")
        )
        async with await Sipp.start(script, tmp_path, address=CARRIER, port=line.carrier_port):
            leg = await line.agent.dial(
                Target(kind=Reach.EXTERNAL, destination="+4930555", trunk="carrier")
            )
            assert (await leg.wait_ended()).code == 486


class TestGuessing:
    """Whoever guesses passwords is soon not answered any more; who knows one is not held up."""

    async def test_it_ends_in_silence(self, start: Start) -> None:
        line = await start()
        peer = await line.peer(ELSEWHERE)
        before = line.agent.counters()
        for _ in range(200):
            peer.send("INVITE")
        assert (await (await line.peer()).calls()).status == 401
        after = line.agent.counters()
        assert after.gate_challenged - before.gate_challenged < 150
        assert after.gate_refused_rate > before.gate_refused_rate

    async def test_a_scanner_gets_no_answer_at_all(self, start: Start) -> None:
        line = await start()
        before = line.agent.counters().gate_refused_scanner
        scanner = await line.peer(ELSEWHERE)
        scanner.send("OPTIONS", "User-Agent: friendly-scanner")
        assert (await (await line.peer()).calls()).status == 401
        assert line.agent.counters().gate_refused_scanner == before + 1
        assert scanner.socket.received.empty()
