"""A peer that challenges our REFER (RFC 3261 section 22): answered once, for the realm that the
trunk's credentials are for, and to the trunk alone.

The trunk registers with a provider at 127.0.0.6 that is not there; its credentials are what counts.
Another one, at 127.0.0.7, is known by its digest alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sip.softphone import commands
from tests.e2e.conftest import StartPeer, StartPhone
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.referring import TARGET
from tests.e2e.test_digest import answer, challenges
from tests.e2e.world import PBX, REFER_TIMERS, STRANGER, World
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.datagram import Peer
from tests.peers.sipp import Sipp

PROVIDER, BRANCH = "127.0.0.6", "127.0.0.7"
REALM = "provider"
USER, PASSWORD = "gateway", "s3cret"
ENDED = "terminated;reason=noresource"


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with a trunk that has credentials."""
    folder = tmp_path_factory.mktemp("challenge")
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    password = {"file": str(secret)}
    provider = {
        "registration": {
            "registrar": f"sip:{PROVIDER}:{network.free_port(PROVIDER)}",
            "username": USER,
            "password": password,
            "realm": REALM,
        },
        "refer": REFER_TIMERS,
        "transfers_in": {"refer": True},
        "routes": [{"number": "610", "flow": "refer"}, {"number": "611", "flow": "dial"}],
    }
    branch = {
        "digest": {"username": "branch-7", "password": password},
        "credentials": {"username": USER, "password": password, "realm": REALM},
        "refer": REFER_TIMERS,
        "routes": [{"number": "610", "flow": "refer"}],
    }
    trunks = {"provider": provider, "branch": branch}
    yield from served(World(folder / "world", settings={"trunks": trunks}))


async def attempt(script: Caller, world: World, peer: StartPeer, api: Api) -> Any:
    """What came of the call; `refers`: how many REFERs left, as the ladder shows them."""
    await calls(script, world, peer)
    return await told(api)


async def calls(script: Caller, world: World, peer: StartPeer, at: str = PROVIDER) -> None:
    """Run it to its end."""
    async with await peer(script, address=at, gateway=world.address, number="610"):
        pass


async def proof(world: World, at: str) -> str:
    """An Authorization header with which this address may call 610."""
    asking = await Peer.at(at, world.port)
    try:
        challenge = challenges(await asking.calls())["SHA-256"]
    finally:
        await asking.socket.close()
    uri = f"sip:610@{world.address[0]}:{world.port}"
    return answer(challenge, uri, user="branch-7", password=PASSWORD)


async def told(api: Api) -> Any:
    """The one attempt."""
    record = await api.record()
    said = [row["text"] for row in record["timeline"] if row["name"] == "sip.message"]
    (attempt,) = record["attempts"]
    refers = {text for text in said if text.startswith("REFER ")}
    return {**attempt, "refers": len(refers), "end": record["end"]}


async def test_the_trunks_realm_is_answered(world: World, peer: StartPeer, api: Api) -> None:
    """The subscription's id is the CSeq of the second REFER (RFC 3515 section 2.4.6)."""
    script = Caller("challenges").dials().is_answered().is_referred(TARGET)
    script.challenges_refer(REALM).is_referred(TARGET, {"Authorization": f'realm="{REALM}"'})
    script.checks_credentials(USER, PASSWORD).accepts()
    script.notifies("SIP/2.0 200 OK", ENDED, "Event: refer;id=[$refer]").is_hung_up_on()
    verdict = await attempt(script, world, peer, api)
    assert (verdict["outcome"], verdict["refers"]) == ("connected", 2)


async def test_a_second_challenge_is_the_answer(world: World, peer: StartPeer, api: Api) -> None:
    script = Caller("challenges again").dials().is_answered().is_referred(TARGET)
    script.challenges_refer(REALM).is_referred(TARGET, {"Authorization": "Digest"})
    script.challenges_refer(REALM, nonce="a77e4").is_hung_up_on()
    verdict = await attempt(script, world, peer, api)
    assert (verdict["outcome"], verdict["code"]) == ("unauthorized", 401)
    assert verdict["reason"] == "our credentials were refused"
    assert (verdict["refers"], verdict["end"]) == (2, "fallback")


async def test_another_realm_is_told_nothing(world: World, peer: StartPeer, api: Api) -> None:
    script = Caller("wrong realm").dials().is_answered().is_referred(TARGET)
    verdict = await attempt(script.challenges_refer("elsewhere").is_hung_up_on(), world, peer, api)
    assert (verdict["outcome"], verdict["code"]) == ("unauthorized", 401)
    assert verdict["reason"] == "no credentials for this realm"
    assert (verdict["refers"], verdict["end"]) == (1, "fallback")


async def test_a_stranger_that_knows_the_realm_is_told_nothing(
    world: World, peer: StartPeer, api: Api
) -> None:
    """The call's Contact leads past the trunk, to one who would choose the nonce."""
    port = network.free_port(STRANGER)
    thief = Caller("thief").is_referred(TARGET).challenges_refer(REALM).is_hung_up_on()
    caller = Caller("is one with the thief")
    caller.dials(contact=f"sip:peer@{STRANGER}:{port}").is_answered()
    async with await peer(thief, address=STRANGER, port=port):
        await calls(caller, world, peer)
    verdict = await told(api)
    assert (verdict["outcome"], verdict["code"]) == ("unauthorized", 401)
    assert verdict["reason"] == "the challenge came from outside the trunk"
    assert verdict["refers"] == 1


async def test_a_trunk_known_by_its_digest_alone_is_answered(
    world: World, peer: StartPeer, api: Api
) -> None:
    """It has no networks: the address that its call has proved itself from is the trunk's."""
    script = Caller("has proved itself").dials((await proof(world, BRANCH),)).is_answered()
    script.is_referred(TARGET).challenges_refer(REALM)
    script.is_referred(TARGET, {"Authorization": f'realm="{REALM}"'})
    script.checks_credentials(USER, PASSWORD).accepts()
    script.tells("SIP/2.0 200 OK", ENDED).is_hung_up_on()
    await calls(script, world, peer, BRANCH)
    verdict = await told(api)
    assert (verdict["outcome"], verdict["refers"]) == ("connected", 2)


async def test_a_stranger_in_its_place_is_told_nothing(
    world: World, peer: StartPeer, api: Api
) -> None:
    """Whoever has the password to call us is not thereby anywhere else."""
    port = network.free_port(STRANGER)
    thief = Caller("steals").is_referred(TARGET).challenges_refer(REALM).is_hung_up_on()
    caller = Caller("names a thief")
    authorization = await proof(world, BRANCH)
    caller.dials((authorization,), contact=f"sip:peer@{STRANGER}:{port}").is_answered()
    async with await peer(thief, address=STRANGER, port=port):
        await calls(caller, world, peer, BRANCH)
    verdict = await told(api)
    assert verdict["reason"] == "the challenge came from outside the trunk"
    assert verdict["refers"] == 1


class TestNotify:
    """So it is with the NOTIFYs that a referrer gets from us, and challenges."""

    CHALLENGE = (f'WWW-Authenticate: Digest realm="{REALM}", algorithm=MD5, nonce="5f1d2c"',)

    async def test_the_trunk_is_answered(
        self, world: World, peer: StartPeer, start_phone: StartPhone, api: Api
    ) -> None:
        script = Caller("challenges NOTIFY").dials().is_answered().waits()
        script.refers(f"<{support(world)}>")
        script.receives("NOTIFY").replies(401, "Unauthorized", self.CHALLENGE)
        script.is_notified("100", headers={"Authorization": f'realm="{REALM}"'})
        script.is_notified("200", "terminated").is_hung_up_on()
        await self.hands_over(script, world, peer, start_phone, api)

    async def test_a_stranger_is_told_nothing(
        self, world: World, peer: StartPeer, start_phone: StartPhone, api: Api
    ) -> None:
        """Another NOTIFY than the first would fail the thief's script."""
        port = network.free_port(STRANGER)
        thief = Caller("collects").receives("NOTIFY").replies(401, "Unauthorized", self.CHALLENGE)
        script = Caller("refers for a thief").dials(contact=f"sip:peer@{STRANGER}:{port}")
        script.is_answered().waits().refers(f"<{support(world)}>")
        async with await peer(thief.is_hung_up_on(), address=STRANGER, port=port) as stranger:
            await self.hands_over(script, world, peer, start_phone, api, stranger)

    async def hands_over(
        self,
        script: Caller,
        world: World,
        peer: StartPeer,
        start_phone: StartPhone,
        api: Api,
        thief: Sipp | None = None,
    ) -> None:
        """The caller refers to support, which then talks to sales in its place.

        Support answers once the first NOTIFY was challenged: another would be in its way.
        """
        phone = await start_phone(PBX, world.pbx_port, name="pbx")
        await phone.send(commands.Policy(user="support", provisional=None, answer=None))
        where = {"address": PROVIDER, "gateway": world.address, "number": "611"}
        async with await peer(script, **where) as sipp:
            await phone.expect("confirmed", "in-1")
            await sipp.said("ACK")
            sipp.go_on()
            await phone.expect("incoming", "in-2")
            await (thief.said("SIP/2.0 401") if thief else sipp.said("NOTIFY", 2))
            await phone.send(commands.Answer(call="in-2"))
            await phone.expect("confirmed", "in-2")
        await phone.send(commands.HangUp(call="in-2"))
        await phone.expect("disconnected", "in-1", by="peer")
        assert [each["outcome"] for each in (await api.record())["attempts"]] == ["connected"] * 2


def support(world: World) -> str:
    """Where the PBX has it."""
    return f"sip:support@{PBX}:{world.pbx_port}"
