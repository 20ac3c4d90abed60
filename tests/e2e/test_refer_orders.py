"""What a trunk may say after a REFER, in every order (RFC 3515, RFC 6665, RFC 3326).

NOTIFYs late, repeated, of other subscriptions or worded badly; BYE before, behind and beside them.
Each peer is a SIPp scenario, which also checks how the gateway answers.
"""

from __future__ import annotations

import pytest

from sip.faulty.peer import FaultyPeer
from sip.faulty.steps import Behaviour, Bye, Notify, Reply
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.referring import referred, verdict
from tests.e2e.world import CARRIER, PATIENT, World
from tests.peers import network
from tests.peers.caller import Caller

ENDED = "terminated;reason=noresource"


class TestNotifyAndBye:
    """RFC 5589 section 6.1: the peer leaves once it has what it was asked for, or before."""

    async def test_a_notify_behind_the_bye_still_counts(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """RFC 5057: the BYE ends the call, not the subscription."""
        script = referred("bye, notify 200").accepts().hangs_up().notifies("SIP/2.0 200 OK", ENDED)
        attempt = await verdict(script, world, peer, api, trunk=PATIENT)
        assert (attempt["outcome"], attempt["code"]) == ("connected", 200)
        assert attempt["bye_by"] == "caller"
        assert attempt["record"]["disposition"] == "transferred"

    async def test_a_failure_behind_the_bye_is_no_success(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred("bye, notify 486").accepts().hangs_up()
        script.notifies("SIP/2.0 486 Busy Here", ENDED)
        attempt = await verdict(script, world, peer, api, trunk=PATIENT)
        assert (attempt["outcome"], attempt["code"]) == ("busy", 486)

    @pytest.mark.parametrize("first", ["notify", "bye"])
    @pytest.mark.parametrize(("code", "outcome"), [(200, "connected"), (603, "declined")])
    async def test_notify_and_bye_within_microseconds(
        self, code: int, outcome: str, first: str, world: World, api: Api
    ) -> None:
        """The second leaves before either is answered."""
        both = (Notify(f"SIP/2.0 {code} Verdict", ENDED, answered=False), Bye(answered=False))
        refer = (Reply(202), *(both if first == "notify" else reversed(both)))
        async with FaultyPeer(PATIENT) as carrier:
            call = await carrier.call(world.number("300"), Behaviour(refer=refer))
            await call.until(lambda: call.statuses("NOTIFY") == [200], network.PATIENCE)
            await call.until(lambda: call.statuses("BYE") == [200], network.PATIENCE)
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["code"]) == (outcome, code)

    async def test_a_notify_that_the_network_let_the_bye_overtake(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """Its lower CSeq must be refused (RFC 3261 section 12.2.2); what it says is true."""
        script = referred("overtaken").accepts().sends("BYE", number=40).gets(200)
        script.tells("SIP/2.0 200 OK", ENDED, number=39)
        attempt = await verdict(script, world, peer, api, trunk=PATIENT)
        assert (attempt["outcome"], attempt["code"]) == ("connected", 200)
        said = [row["text"] for row in attempt["record"]["timeline"] if "text" in row]
        assert any(text.startswith("SIP/2.0 500") and "39 NOTIFY" in text for text in said)

    async def test_202_and_bye_back_to_back(self, world: World, peer: StartPeer, api: Api) -> None:
        script = referred("202 and bye").accepts().sends("BYE").gets(200)
        attempt = await verdict(script, world, peer, api)
        assert attempt["outcome"] == "presumed_connected"


class TestTheCallerHangsUp:
    """The peer is the caller's own side: only a word for it tells a hang-up from a transfer."""

    async def test_before_the_refer_is_accepted(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred("bye before 202").hangs_up().accepts()
        attempt = await verdict(script, world, peer, api)
        assert attempt["outcome"] == "abandoned"
        assert attempt["record"]["disposition"] == "abandoned"

    async def test_a_reason_of_487_says_that_the_target_was_given_up(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """RFC 3326."""
        script = referred("bye 487").accepts().notifies("SIP/2.0 180 Ringing")
        script.hangs_up(('Reason: SIP;cause=487;text="ORIGINATOR_CANCEL"',))
        attempt = await verdict(script, world, peer, api)
        assert (attempt["outcome"], attempt["code"]) == ("abandoned", 487)
        assert "ORIGINATOR_CANCEL" in attempt["reason"]

    async def test_so_does_a_notify_of_487_behind_the_bye(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred("bye, notify 487").accepts().notifies("SIP/2.0 180 Ringing").hangs_up()
        script.notifies("SIP/2.0 487 Request Terminated", ENDED)
        attempt = await verdict(script, world, peer, api, trunk=PATIENT)
        assert (attempt["outcome"], attempt["code"]) == ("abandoned", 487)

    async def test_normal_clearing_says_nothing(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """Q.850 cause 16 stands on every BYE of many gateways."""
        script = referred("bye 16").accepts().hangs_up(("Reason: Q.850;cause=16",))
        attempt = await verdict(script, world, peer, api)
        assert attempt["outcome"] == "presumed_connected"

    async def test_a_reason_that_names_a_failure_is_that_failure(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """RFC 3398 section 7.2.4.1: cause 17 is 486."""
        script = referred("bye 17").accepts().hangs_up(("Reason: Q.850;cause=17",))
        attempt = await verdict(script, world, peer, api)
        assert (attempt["outcome"], attempt["code"]) == ("busy", 486)


class TestEveryNotifyIsAnswered:
    """RFC 6665 section 4.1.3. The first final one decides; what follows changes nothing."""

    async def test_late_and_repeated_finals(self, world: World, peer: StartPeer, api: Api) -> None:
        script = referred("repeats").accepts().notifies("SIP/2.0 486 Busy Here", ENDED)
        script.notifies("SIP/2.0 486 Busy Here", ENDED).notifies("SIP/2.0 200 OK", ENDED)
        attempt = await verdict(script.is_hung_up_on(), world, peer, api)
        assert (attempt["outcome"], attempt["code"]) == ("busy", 486)
        assert attempt["record"]["end"] == "fallback"

    async def test_one_that_comes_after_our_timer(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """The subscription was ended by then; the peer that did not know is not told off."""
        script = referred("late").accepts().is_unsubscribed().notifies("SIP/2.0 200 OK", ENDED)
        attempt = await verdict(script.is_hung_up_on(), world, peer, api)
        assert (attempt["outcome"], attempt["timer"]) == ("no_verdict", "first_notify")

    async def test_one_with_the_id_of_no_refer(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """481: there is no such subscription. The call, and the one there is, go on."""
        script = referred("strange id").accepts()
        script.tells("SIP/2.0 200 OK", ENDED, "Event: refer;id=4711").gets(481)
        script.notifies("SIP/2.0 486 Busy Here", ENDED, "Event: refer;id=[$refer]")
        attempt = await verdict(script.is_hung_up_on(), world, peer, api)
        assert attempt["sipfrags"] == ["486 Busy Here"]

    async def test_one_of_another_event_package(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """489 with what we do know (RFC 6665 section 8.3.2)."""
        script = referred("message waiting").accepts()
        script.tells("Messages-Waiting: yes", "active", "Event: message-summary", "text/plain")
        script.gets(489, {"Allow-Events": "refer"}).notifies("SIP/2.0 200 OK", ENDED)
        attempt = await verdict(script.is_hung_up_on(), world, peer, api)
        assert attempt["outcome"] == "connected"

    async def test_one_before_any_refer(self, world: World, peer: StartPeer, api: Api) -> None:
        script = Caller("notifies at once").dials().is_answered()
        script.tells("SIP/2.0 200 OK", ENDED).gets(481).hangs_up()
        async with await peer(script, address=CARRIER, gateway=world.address, number="100"):
            pass
        assert (await api.record())["attempts"] == []

    async def test_one_outside_any_dialog(self, world: World, peer: StartPeer) -> None:
        script = Caller("notifies from nowhere").asks("NOTIFY", ("Event: refer",)).gets(481)
        async with await peer(script, address=CARRIER, gateway=world.address, number="300"):
            pass


class TestTheWordingOfANotify:
    """RFC 3515 section 2.4.5, and how far real peers are from it."""

    @pytest.mark.parametrize(
        ("sipfrag", "state", "kind"),
        [
            ("SIP/2.0 486 Busy Here", "", "message/sipfrag"),
            ("sip/2.0 486 busy", "Terminated", "message/sipfrag;version=2.0"),
            ("SIP/2.0 486", "active", "message/sipfrag"),
            ("SIP/2.0 486 Busy Here\nRetry-After: 9\nServer: PBX\n", ENDED, "message/sipfrag"),
            ("SIP/2.0 486 Busy Here", ENDED, "text/plain"),
            (
                "--e\nContent-Type: message/sipfrag\n\nSIP/2.0 486 Busy Here\n--e--\n",
                ENDED,
                "multipart/mixed;boundary=e",
            ),
        ],
    )
    async def test_a_final_status_is_found(
        self, sipfrag: str, state: str, kind: str, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred("words it its way").accepts().notifies(sipfrag, state, kind=kind)
        attempt = await verdict(script.is_hung_up_on(), world, peer, api)
        assert (attempt["outcome"], attempt["code"]) == ("busy", 486)
        assert attempt["retry_after"] == (9 if "Retry-After" in sipfrag else None)

    @pytest.mark.parametrize("sipfrag", ["SIP/2.0 180 Ringing", "BUSY", "SIP/2.0 ²00 OK"])
    async def test_the_end_of_the_subscription_without_a_final_status(
        self, sipfrag: str, world: World, peer: StartPeer, api: Api
    ) -> None:
        """`no_verdict` at once, whatever stands in it."""
        script = referred("ends").accepts().notifies(sipfrag, "terminated;reason=giveup")
        attempt = await verdict(script.is_hung_up_on(), world, peer, api)
        assert (attempt["outcome"], attempt["timer"]) == ("no_verdict", None)
