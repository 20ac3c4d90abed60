"""Bot and operator while a REFER waits for its verdict (RFC 3515 section 2.4.4).

A second request for the same target joins the first one; another target is refused. A cancelled
transfer gives the caller back, and its subscription is ended.
"""

from __future__ import annotations

from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.referring import TARGET
from tests.e2e.world import CARRIER, World
from tests.peers import network
from tests.peers.caller import Caller


async def waiting(api: Api) -> str:
    """The id of the one call, once its transfer rings."""

    async def rings() -> bool:
        handover = (await api.only_call())["handover"]
        return handover is not None and handover["status"] == "ringing"

    await network.until(rings, "the transfer rings")
    return str((await api.only_call())["id"])


async def test_parallel_requests_and_a_cancelled_one(
    world: World, peer: StartPeer, bot: ScriptedBot, api: Api
) -> None:
    script = Caller("is taken back").dials().is_answered().is_referred(TARGET).accepts()
    script.notifies("SIP/2.0 180 Ringing").is_unsubscribed()
    # What ends the subscription is told too (RFC 6665 section 4.2.1.4), and changes nothing.
    script.notifies("SIP/2.0 180 Ringing", "terminated;reason=timeout").is_hung_up_on()
    where = {"address": CARRIER, "gateway": world.address, "number": "100"}
    async with await peer(script, **where) as sipp:
        talk = await bot.conversation()
        await talk.send("transfer", target="outside", method="refer")
        await talk.send("transfer", target="sales")  # the bot has left by then: the first stands
        call = await waiting(api)
        joined = await api.decide(call, "transfer", target="outside", method="refer")
        assert joined.status_code == 202, joined.text
        other = await api.decide(call, "transfer", target="sales")
        assert (other.status_code, other.json()["reason"]) == (409, "transfer_running")
        cancelled = await api.decide(call, "cancel_transfer")
        assert cancelled.status_code == 202, cancelled.text
        again = await bot.conversation()
        assert again.start["handover"]["status"] == "cancelled"
        await sipp.said("SIP/2.0 200", within="3 NOTIFY")
        await again.send("hangup")
    record = await api.record()
    (attempt,) = record["attempts"]
    assert (attempt["target"], attempt["outcome"]) == ("outside", "cancelled")
    assert "unsubscribed" in [step["what"] for step in attempt["steps"]]


async def test_a_refer_that_is_cancelled_before_its_202(
    world: World, peer: StartPeer, bot: ScriptedBot, api: Api
) -> None:
    """The subscription that the 202 makes is ended as soon as there is one."""
    script = Caller("accepts too late").dials().is_answered().is_referred(TARGET).waits()
    script.accepts().is_unsubscribed().is_hung_up_on()
    sipp = await peer(script, address=CARRIER, gateway=world.address, number="100")
    async with sipp:
        talk = await bot.conversation()
        await talk.send("transfer", target="outside", method="refer")
        call = await waiting(api)
        assert (await api.decide(call, "cancel_transfer")).status_code == 202
        again = await bot.conversation()
        sipp.go_on()
        await sipp.said("SUBSCRIBE")
        await again.send("hangup")
    attempt = await api.attempt()
    assert attempt["outcome"] == "cancelled"
