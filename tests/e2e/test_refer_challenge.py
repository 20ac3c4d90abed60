"""A peer that challenges our REFER (RFC 3261 section 22): answered once, for the realm that the
trunk's credentials are for, and to the trunk alone.

The trunk registers with a provider at 127.0.0.6 that is not there; its credentials are what counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.test_refer import TARGET
from tests.e2e.world import REFER_TIMERS, STRANGER, World
from tests.peers import network
from tests.peers.script import Caller

PROVIDER = "127.0.0.6"
REALM = "provider"
USER, PASSWORD = "gateway", "s3cret"
ENDED = "terminated;reason=noresource"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with a trunk that has credentials."""
    folder = tmp_path_factory.mktemp("challenge")
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    trunk = {
        "registration": {
            "registrar": f"sip:{PROVIDER}:{network.free_port(PROVIDER)}",
            "username": USER,
            "password": {"file": str(secret)},
            "realm": REALM,
        },
        "refer": {**REFER_TIMERS, "first_notify": 0.3},
        "routes": [{"number": "610", "flow": "refer"}],
    }
    process = GatewayProcess(World(folder / "world", settings={"trunks": {"provider": trunk}}))
    process.world.write()
    process.start()
    yield process
    assert process.stop() == 0, process.log_tail()


@pytest_asyncio.fixture
async def api(home: GatewayProcess) -> AsyncIterator[Api]:
    """Its control API."""
    async with httpx.AsyncClient(base_url=home.world.api) as client:
        api = Api(client)
        await api.begin()
        yield api


async def attempt(script: Caller, home: GatewayProcess, peer: StartPeer, api: Api) -> Any:
    """What came of the call; `refers`: how many REFERs left, as the ladder shows them."""
    async with await peer(script, address=PROVIDER, gateway=home.world.address, number="610"):
        pass
    return await told(api)


async def told(api: Api) -> Any:
    """The one attempt."""
    record = await api.record()
    said = [row["text"] for row in record["timeline"] if row["name"] == "sip.message"]
    (attempt,) = record["attempts"]
    refers = {text for text in said if text.startswith("REFER ")}
    return {**attempt, "refers": len(refers), "end": record["end"]}


async def test_the_trunks_realm_is_answered(
    home: GatewayProcess, peer: StartPeer, api: Api
) -> None:
    """The subscription's id is the CSeq of the second REFER (RFC 3515 section 2.4.6)."""
    script = Caller("challenges").dials().is_answered().is_referred(TARGET)
    script.challenges_refer(REALM).is_referred(TARGET, {"Authorization": f'realm="{REALM}"'})
    script.checks_credentials(USER, PASSWORD).accepts()
    script.notifies("SIP/2.0 200 OK", ENDED, "Event: refer;id=[$refer]").is_hung_up_on()
    verdict = await attempt(script, home, peer, api)
    assert (verdict["outcome"], verdict["refers"]) == ("connected", 2)


async def test_a_second_challenge_is_the_answer(
    home: GatewayProcess, peer: StartPeer, api: Api
) -> None:
    script = Caller("challenges again").dials().is_answered().is_referred(TARGET)
    script.challenges_refer(REALM).is_referred(TARGET, {"Authorization": "Digest"})
    script.challenges_refer(REALM, nonce="a77e4").is_hung_up_on()
    verdict = await attempt(script, home, peer, api)
    assert (verdict["outcome"], verdict["code"]) == ("unauthorized", 401)
    assert verdict["reason"] == "our credentials were refused"
    assert (verdict["refers"], verdict["end"]) == (2, "fallback")


async def test_another_realm_is_told_nothing(
    home: GatewayProcess, peer: StartPeer, api: Api
) -> None:
    script = Caller("wrong realm").dials().is_answered().is_referred(TARGET)
    verdict = await attempt(script.challenges_refer("elsewhere").is_hung_up_on(), home, peer, api)
    assert (verdict["outcome"], verdict["code"]) == ("unauthorized", 401)
    assert verdict["reason"] == "no credentials for this realm"
    assert (verdict["refers"], verdict["end"]) == (1, "fallback")


async def test_a_stranger_that_knows_the_realm_is_told_nothing(
    home: GatewayProcess, peer: StartPeer, api: Api
) -> None:
    """The call's Contact leads past the trunk, to one who would choose the nonce."""
    port = network.free_port(STRANGER)
    thief = Caller("thief").is_referred(TARGET).challenges_refer(REALM).is_hung_up_on()
    caller = Caller("is one with the thief")
    caller.dials(contact=f"sip:peer@{STRANGER}:{port}").is_answered()
    async with await peer(thief, address=STRANGER, port=port):
        where = {"address": PROVIDER, "gateway": home.world.address, "number": "610"}
        async with await peer(caller, **where):
            pass
    verdict = await told(api)
    assert (verdict["outcome"], verdict["code"]) == ("unauthorized", 401)
    assert verdict["reason"] == "the challenge came from outside the trunk"
    assert verdict["refers"] == 1


async def test_each_trunk_has_timers_of_its_own(
    home: GatewayProcess, peer: StartPeer, api: Api
) -> None:
    """What comes in time on the carrier's trunk is too late on this one."""
    script = Caller("notifies after half a second").dials().is_answered().is_referred(TARGET)
    script.accepts().talks(0.6).tells("SIP/2.0 200 OK", ENDED).is_hung_up_on()
    verdict = await attempt(script, home, peer, api)
    assert (verdict["outcome"], verdict["timer"]) == ("no_verdict", "first_notify")
