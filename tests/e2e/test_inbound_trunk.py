"""What a trunk that dials in may rely on."""

from __future__ import annotations

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartPeer, StartPhone
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.world import CALLER_TONE, CARRIER, STRANGER, World
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.standstill import standstill


class TestACallIsTaken:
    """RFC 3261 section 13.3: an INVITE from a known source for a known number."""

    async def test_it_is_answered_and_ends_with_the_callers_bye(
        self, world: World, peer: StartPeer, bot: ScriptedBot, api: Api
    ) -> None:
        script = Caller("talks and hangs up").dials().is_answered().waits().hangs_up()
        where = {"address": CARRIER, "gateway": world.address, "number": "100"}
        async with await peer(script, **where) as sipp:
            talk = await bot.conversation()
            await sipp.said("ACK")
            sipp.go_on()
            assert (await talk.expect("stop"))["reason"] == "caller_hangup"
        record = await api.record()
        assert record["disposition"] == "contained"
        assert record["end"] == "caller_hangup"
        assert (record["number"], record["caller"], record["trunk"]) == (
            "100",
            "+493055501",
            "carrier",
        )

    async def test_allowed_headers_reach_the_bot_and_others_do_not(
        self, world: World, peer: StartPeer, bot: ScriptedBot
    ) -> None:
        """The allow-list of the trunk; User-to-User is RFC 7433."""
        headers = ("X-Account: 4711", "User-to-User: 6162;encoding=hex", "Subject: secret")
        script = Caller("sends headers").dials(headers).is_answered().is_hung_up_on()
        async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
            talk = await bot.conversation()
            start = talk.start
            await talk.send("hangup")
        received = {name.lower(): value for name, value in start["sip"]["headers"].items()}
        assert received == {"x-account": "4711", "user-to-user": "6162;encoding=hex"}

    async def test_a_hundred_calls_one_after_the_other_leave_nothing(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        before = len(await api.ended())
        script = Caller("calls again and again").dials().is_answered().hangs_up()
        where = {
            "address": CARRIER,
            "gateway": world.address,
            "number": "400",
            "calls": 100,
            "rate": 50,
        }
        async with await peer(script, **where):
            pass

        async def all_stored() -> bool:
            return len(await api.ended()) == before + 100

        await network.until(all_stored, "each call has left one record")


class TestACallIsGivenUp:
    """RFC 3261 section 9: CANCEL."""

    async def test_a_cancel_before_the_answer_ends_with_487(
        self, world: World, gateway: GatewayProcess, peer: StartPeer, api: Api
    ) -> None:
        script = Caller("cancels at once").dials(once=True).cancels()
        # The gateway answers at once. Held for a moment, it finds INVITE and CANCEL together.
        async with standstill(gateway.pid):
            sipp = await peer(script, address=CARRIER, gateway=world.address, number="100")
            await sipp.said("CANCEL")
        async with sipp:
            pass
        record = await api.record()
        assert record["answered_at"] is None
        assert record["disposition"] == "abandoned"


class TestACallIsRefused:
    """Nothing is guessed, and nobody unknown gets in."""

    async def test_an_unknown_number_gets_404(self, world: World, peer: StartPeer) -> None:
        """RFC 3261 section 21.4.5."""
        script = Caller("dials a wrong number").dials().is_refused(404)
        async with await peer(script, address=CARRIER, gateway=world.address, number="999"):
            pass

    async def test_an_unknown_source_gets_403(self, world: World, peer: StartPeer) -> None:
        """RFC 3261 section 21.4.4."""
        script = Caller("is a stranger").dials().is_refused(403)
        async with await peer(script, address=STRANGER, gateway=world.address, number="100"):
            pass

    async def test_a_trunk_without_routes_gets_404(
        self, world: World, start_phone: StartPhone
    ) -> None:
        """A PBX that may be dialled is not thereby a PBX that may dial in."""
        phone = await start_phone("127.0.0.3", name="pbx")
        await phone.send(commands.Dial(call="a", to=world.number("100")))
        await phone.expect("disconnected", "a", code=404, by="peer")


class TestWhatIsNotServed:
    """The admission gate has a fixed answer, before any dialog exists."""

    @pytest.mark.parametrize("method", ["SUBSCRIBE", "MESSAGE", "REFER", "REGISTER", "PUBLISH"])
    async def test_other_requests_outside_a_dialog_get_405_with_allow(
        self, method: str, world: World, peer: StartPeer
    ) -> None:
        """RFC 3261 section 8.2.1: 405 carries Allow."""
        needed = {
            "SUBSCRIBE": ("Event: presence",),
            "REFER": ("Refer-To: <sip:x@127.0.0.9>",),
            "PUBLISH": ("Event: presence",),
        }.get(method, ())
        script = Caller(f"sends {method}").asks(method, needed).gets(405, {"Allow": "INVITE"})
        async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
            pass

    async def test_options_gets_200(self, world: World, peer: StartPeer) -> None:
        """RFC 3261 section 11: trunks ping with it."""
        script = Caller("pings").asks("OPTIONS").gets(200)
        async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
            pass


class TestDigits:
    """DTMF reaches the bot by either way, each digit once."""

    async def test_by_rfc_4733(self, world: World, caller: Softphone, bot: ScriptedBot) -> None:
        await caller.send(commands.Dial(call="a", to=world.number("100")))
        talk = await bot.conversation()
        await caller.expect("confirmed", "a")
        await caller.send(commands.Dtmf(call="a", digits="159*0#"))
        assert [(await talk.expect("dtmf"))["digit"] for _ in "159*0#"] == list("159*0#")
        await caller.send(commands.HangUp(call="a"))
        await talk.expect("stop")
        assert len([m for m in talk.messages if m["type"] == "dtmf"]) == 6

    async def test_by_info(self, world: World, peer: StartPeer, bot: ScriptedBot) -> None:
        """application/dtmf-relay in INFO (RFC 6086)."""
        script = Caller("presses 5 by INFO").dials().is_answered().waits()
        script.sends_info_digit("5").is_hung_up_on()
        where = {"address": CARRIER, "gateway": world.address, "number": "100"}
        async with await peer(script, **where) as sipp:
            talk = await bot.conversation()
            await sipp.said("ACK")
            sipp.go_on()
            assert (await talk.expect("dtmf"))["digit"] == "5"
            await sipp.said("SIP/2.0 200", within="2 INFO")
            await talk.send("hangup")


class TestHold:
    """RFC 3264 section 8.4."""

    async def test_the_bot_learns_of_hold_and_resume(
        self, world: World, caller: Softphone, bot: ScriptedBot
    ) -> None:
        dial = commands.Dial(call="a", to=world.number("100"), tone=CALLER_TONE)
        await caller.send(dial)
        talk = await bot.conversation()
        await talk.hears(CALLER_TONE)
        await caller.send(commands.Hold(call="a"))
        await caller.expect("media", "a", state="held_by_us")
        await talk.expect("hold")
        await caller.send(commands.Resume(call="a"))
        await talk.expect("resume")
        talk.audio.clear()
        await talk.hears(CALLER_TONE)
        await caller.send(commands.HangUp(call="a"))
        await caller.expect("disconnected", "a")
