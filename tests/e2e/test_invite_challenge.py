"""A peer that challenges our INVITE (RFC 3261 section 22): answered for the realm that the trunk's
credentials are for, once, and once more where the nonce alone was too old.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sip.message import Message
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import CARRIER, PBX, World
from tests.peers.agent import Agent
from tests.peers.caller import Caller

REALM = "pbx"
USER, PASSWORD = "gateway", "s3cret"

HEADERS = {
    401: ("Unauthorized", "WWW-Authenticate", "Authorization"),
    407: ("Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization"),
}
"""By status: its reason, the header of the challenge, and that of the answer (RFC 3261 22.1)."""

MD5 = "algorithm=MD5"


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with credentials for the PBX's realm alone."""
    folder = tmp_path_factory.mktemp("challenge")
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    credentials = {"username": USER, "password": {"file": str(secret)}, "realm": REALM}
    world = World(folder / "world", settings={"trunks": {"pbx": {"credentials": credentials}}})
    yield from served(world)


def challenge(code: int, nonce: str, *more: str, realm: str = REALM) -> str:
    """The header that asks for credentials."""
    parameters = (f'realm="{realm}"', f'nonce="{nonce}"', *more)
    return f"{HEADERS[code][1]}: Digest {', '.join(parameters)}"


def asks(script: Agent, code: int, *challenges: str) -> Agent:
    """The INVITE just received is refused with these challenges."""
    return script.refuses(code, HEADERS[code][0], challenges)


def is_right(shown: dict[str, str], uri: str) -> bool:
    """Whether a digest is that of the password (RFC 7616 section 3.4.1)."""

    def hashed(text: str) -> str:
        kind = hashlib.sha256 if shown.get("algorithm") == "SHA-256" else hashlib.md5
        return kind(text.encode()).hexdigest()

    counted = [shown["nc"], shown["cnonce"], shown["qop"]] if "qop" in shown else []
    parts = [
        hashed(f"{USER}:{REALM}:{PASSWORD}"),
        shown["nonce"],
        *counted,
        hashed(f"INVITE:{shown['uri']}"),
    ]
    named = (shown["username"], shown["realm"], shown["uri"]) == (USER, REALM, uri)
    return named and shown["response"] == hashed(":".join(parts))


@dataclass(frozen=True)
class Transferred:
    """A caller's transfer to the PBX."""

    attempt: dict[str, Any]
    invites: list[Message]
    """As the PBX got them, each once."""

    @property
    def shown(self) -> list[dict[str, str]]:
        """For each INVITE the nonces of its credentials, by the header's name. All are right."""
        found: list[dict[str, str]] = []
        for invite in self.invites:
            found.append({})
            for name, value in invite.headers:
                if name.endswith("uthorization"):
                    digest = dict(_PARAMETER.findall(value))
                    assert name not in found[-1]
                    assert is_right(digest, invite.request_uri), value
                    found[-1][name] = digest["nonce"]
        return found


_PARAMETER = re.compile(r'(\w+)="?([^",]+)"?')


async def transferred(script: Agent, world: World, peer: StartPeer, api: Api) -> Transferred:
    """What becomes of it where the PBX does this."""
    caller = Caller("waits").dials().is_answered().is_hung_up_on()
    pbx = await peer(script, address=PBX, port=world.pbx_port)
    async with pbx, await peer(caller, address=CARRIER, gateway=world.address, number="200"):
        pass
    record = await api.record()
    assert PASSWORD not in str(record)
    (attempt,) = record["attempts"]
    messages = [Message(text) for text in pbx.messages()]
    invites = {each.header("CSeq"): each for each in messages if each.start_line[:7] == "INVITE "}
    return Transferred(attempt, list(invites.values()))


class TestCredentials:
    """RFC 3261 sections 22.2 and 22.3."""

    @pytest.mark.parametrize("code", [401, 407])
    @pytest.mark.parametrize(
        "more", [(MD5,), (MD5, 'qop="auth"', 'opaque="c0ffee"'), ()], ids=["plain", "qop", "bare"]
    )
    async def test_that_are_right_make_the_call(
        self, code: int, more: tuple[str, ...], world: World, peer: StartPeer, api: Api
    ) -> None:
        script = asks(Agent("challenges").is_called(), code, challenge(code, "5f1d2c", *more))
        script.is_called().answers().talks(0.1).hangs_up()
        done = await transferred(script, world, peer, api)
        assert done.attempt["outcome"] == "connected"
        assert done.shown == [{}, {HEADERS[code][2]: "5f1d2c"}]

    async def test_are_shown_to_proxy_and_target_alike(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """Section 22.3: the INVITE that the target challenges goes past the proxy again."""
        script = asks(Agent("both").is_called(), 407, challenge(407, "a1", MD5))
        asks(script.is_called(), 401, challenge(401, "b2", MD5))
        script.is_called().answers().talks(0.1).hangs_up()
        done = await transferred(script, world, peer, api)
        assert done.attempt["outcome"] == "connected"
        proxy, target = HEADERS[407][2], HEADERS[401][2]
        assert done.shown == [{}, {proxy: "a1"}, {proxy: "a1", target: "b2"}]

    async def test_are_hashed_by_the_first_algorithm_that_is_known(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """RFC 8760 section 2.4."""
        wanted = [
            challenge(401, "n0", "algorithm=SHA3-999"),
            challenge(401, "n1", "algorithm=SHA-256"),
            challenge(401, "n2", MD5),
        ]
        script = asks(Agent("chooses").is_called(), 401, *wanted)
        script.is_called().answers().talks(0.1).hangs_up()
        done = await transferred(script, world, peer, api)
        assert done.attempt["outcome"] == "connected"
        assert done.shown == [{}, {"Authorization": "n1"}]

    @pytest.mark.parametrize("code", [401, 407])
    async def test_are_not_told_to_another_realm(
        self, code: int, world: World, peer: StartPeer, api: Api
    ) -> None:
        wanted = challenge(code, "5f1d2c", MD5, realm="elsewhere")
        script = asks(Agent("wrong realm").is_called(), code, wanted)
        done = await transferred(script, world, peer, api)
        assert (done.attempt["outcome"], done.attempt["code"]) == ("unauthorized", code)
        assert done.shown == [{}]


class TestAnotherChallenge:
    """RFC 3261 section 22.2: credentials that were refused are not shown again. RFC 7616 section
    3.3: `stale` says that they were right, and the nonce too old."""

    @pytest.mark.parametrize("code", [401, 407])
    async def test_that_is_stale_is_answered_once_more(
        self, code: int, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = asks(Agent("stale").is_called(), code, challenge(code, "a1", MD5))
        asks(script.is_called(), code, challenge(code, "b2", MD5, "stale=true"))
        script.is_called().answers().talks(0.1).hangs_up()
        done = await transferred(script, world, peer, api)
        assert done.attempt["outcome"] == "connected"
        header = HEADERS[code][2]
        assert done.shown == [{}, {header: "a1"}, {header: "b2"}]

    @pytest.mark.parametrize("nonce", ["a1", "b2"], ids=["the same nonce", "a new nonce"])
    @pytest.mark.parametrize("code", [401, 407])
    async def test_that_is_not_is_the_answer(
        self, code: int, nonce: str, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = asks(Agent("refuses").is_called(), code, challenge(code, "a1", MD5))
        asks(script.is_called(), code, challenge(code, nonce, MD5))
        done = await transferred(script, world, peer, api)
        assert (done.attempt["outcome"], done.attempt["code"]) == ("unauthorized", code)
        assert done.shown == [{}, {HEADERS[code][2]: "a1"}]

    async def test_that_is_always_stale_ends(self, world: World, peer: StartPeer, api: Api) -> None:
        script = asks(Agent("always stale").is_called(), 401, challenge(401, "a1", MD5))
        for nonce in ("b2", "c3", "d4"):
            asks(script.is_called(), 401, challenge(401, nonce, MD5, "stale=true"))
        done = await transferred(script, world, peer, api)
        assert (done.attempt["outcome"], done.attempt["code"]) == ("unauthorized", 401)
        assert done.shown[1:] == [{"Authorization": nonce} for nonce in ("a1", "b2", "c3")]
