"""The call is given back to the trunk: BYE with headers that say where the caller goes next."""

from __future__ import annotations

from pathlib import Path

from sip.faulty.peer import FaultyPeer
from sip.faulty.steps import Behaviour, Bye, Reply
from sip.softphone import commands
from sip.softphone.driver import Softphone
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.world import CARRIER, HANDBACK_HEADERS, World, sound_of
from tests.peers import network
from tests.peers.caller import Caller


class TestHandBack:
    """RFC 3261 section 15 for the BYE, RFC 7433 for User-to-User in it."""

    async def test_the_bye_carries_the_flows_headers(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Caller("is handed back").dials().is_answered()
        script.is_hung_up_on({"X-Next": "^ *billing", "User-to-User": "^ *c0ffee;encoding=hex"})
        async with await peer(script, address=CARRIER, gateway=world.address, number="400"):
            pass
        record = await api.record()
        assert record["disposition"] == "handed_back"
        (attempt,) = record["attempts"]
        assert (attempt["method"], attempt["outcome"]) == ("bye", "connected")

    async def test_a_prompt_before_it_is_played_out(
        self, world: World, caller: Softphone, api: Api, tmp_path: Path
    ) -> None:
        await caller.send(
            commands.Dial(call="a", to=world.number("400"), record=tmp_path / "a.wav")
        )
        await caller.expect("heard", "a", sound=sound_of("welcome"))
        bye = await caller.expect("disconnected", "a", by="peer")
        assert HANDBACK_HEADERS.items() <= dict(bye.headers).items()

    async def test_the_bots_headers_travel_with_it(
        self, world: World, caller: Softphone, bot: ScriptedBot, api: Api
    ) -> None:
        await caller.send(commands.Dial(call="a", to=world.number("100")))
        talk = await bot.conversation()
        await talk.send("transfer", target="billing", headers={"X-Case": "77"})
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-Case") == "77"
        assert bye.headers.get("X-Next") == "billing"
        assert (await api.record())["disposition"] == "handed_back"


class TestTheCallerHangsUpMeanwhile:
    """RFC 3261 section 15.1.2: a BYE for a dialog that is over gets 481."""

    async def test_its_bye_crosses_ours(self, world: World, api: Api) -> None:
        behaviour = Behaviour(bye=(Bye(answered=False), Reply(481, contact=False)))
        async with FaultyPeer(CARRIER) as carrier:
            call = await carrier.call(world.number("400"), behaviour)
            await call.finished(network.PATIENCE)
        record = await api.record()
        (attempt,) = record["attempts"]
        assert (attempt["outcome"], attempt["bye_by"]) == ("abandoned", "caller")
        assert (record["disposition"], record["end"]) == ("abandoned", "caller_hangup")
