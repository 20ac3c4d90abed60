"""The trunk is asked to take the call elsewhere (RFC 3515): every verdict, and what follows it.

The peer is the caller. Between REFER and verdict it hears ringing; after a failure the call is
kept, and the configured words are heard.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import listen
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.referring import referred, verdict
from tests.e2e.world import (
    CARRIER,
    FALLBACK,
    HASTY,
    HASTY_TIMERS,
    PROMPTS,
    World,
    sound_of,
)


class TestTheTrunkTakesTheCall:
    """Success: a final sipfrag of 2xx, then BYE."""

    async def test_202_then_notify_100_and_200(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred("connects").accepts().notifies("SIP/2.0 100 Trying")
        script.notifies("SIP/2.0 200 OK", "terminated;reason=noresource").is_hung_up_on()
        attempt = await verdict(script, world, peer, api)
        assert (attempt["outcome"], attempt["code"]) == ("connected", 200)
        assert len(attempt["sipfrags"]) == 2
        assert attempt["record"]["disposition"] == "transferred"

    async def test_the_peers_own_bye_after_the_verdict_is_no_fault(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred("hangs up first").accepts()
        script.notifies("SIP/2.0 200 OK", "terminated;reason=noresource").hangs_up()
        attempt = await verdict(script, world, peer, api)
        assert attempt["outcome"] == "connected"

    @pytest.mark.parametrize("event", ["", "Event: refer;id=[$refer]"])
    async def test_a_notify_is_understood_without_event_and_with_an_id(
        self, event: str, world: World, peer: StartPeer, api: Api
    ) -> None:
        """RFC 3515 section 2.4.6: the id is the CSeq of the REFER; some peers send no Event."""
        script = referred(f"notifies with {event or 'nothing'}").accepts()
        script.notifies("SIP/2.0 200 OK", "terminated;reason=noresource", event).is_hung_up_on()
        attempt = await verdict(script, world, peer, api)
        assert attempt["outcome"] == "connected"


class TestTheTransferFails:
    """The call is kept, and the fallback is taken."""

    async def test_202_then_notify_503(self, world: World, peer: StartPeer, api: Api) -> None:
        script = referred("fails later").accepts().notifies("SIP/2.0 100 Trying")
        script.notifies("SIP/2.0 503 Service Unavailable", "terminated;reason=noresource")
        attempt = await verdict(script.is_hung_up_on(), world, peer, api)
        assert (attempt["outcome"], attempt["code"]) == ("server_unavailable", 503)
        assert attempt["record"]["end"] == "fallback"

    @pytest.mark.parametrize(
        ("code", "reason", "outcome"),
        [
            (603, "Decline", "declined"),
            (405, "Method Not Allowed", "method_unsupported"),
            (481, "Call/Transaction Does Not Exist", "method_unsupported"),
        ],
    )
    async def test_a_final_response_to_the_refer(
        self, code: int, reason: str, outcome: str, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred(f"answers {code}").replies(code, reason).is_hung_up_on()
        attempt = await verdict(script, world, peer, api)
        assert (attempt["outcome"], attempt["code"]) == (outcome, code)

    @pytest.mark.parametrize("sipfrag", ["", "SIP/2.0 100 Trying"])
    async def test_a_subscription_that_ends_without_a_status_is_no_verdict(
        self, sipfrag: str, world: World, peer: StartPeer, api: Api
    ) -> None:
        """At once: there is nothing to wait for."""
        script = referred(f"ends with {sipfrag or 'nothing'}").accepts()
        script.notifies(sipfrag, "terminated;reason=timeout").is_hung_up_on()
        attempt = await verdict(script, world, peer, api)
        assert attempt["outcome"] == "no_verdict"
        assert attempt["timer"] is None

    @pytest.mark.parametrize("first", [False, True])
    async def test_silence_after_202_is_no_verdict(
        self, first: bool, world: World, peer: StartPeer, api: Api
    ) -> None:
        """Never success: the trunk's timers decide, for the first NOTIFY and for the final one."""
        script = referred("falls silent").accepts()
        if first:
            script.notifies("SIP/2.0 100 Trying")
        attempt = await verdict(script.is_hung_up_on(), world, peer, api, trunk=HASTY)
        assert attempt["outcome"] == "no_verdict"
        assert attempt["timer"] == ("final_notify" if first else "first_notify")

    @pytest.mark.parametrize(
        ("trunk", "outcome", "timer"),
        [(CARRIER, "connected", None), (HASTY, "no_verdict", "first_notify")],
    )
    async def test_each_trunk_has_timers_of_its_own(
        self,
        trunk: str,
        outcome: str,
        timer: str | None,
        world: World,
        peer: StartPeer,
        api: Api,
    ) -> None:
        """What comes in time on the carrier's trunk is too late on another one."""
        script = referred(f"notifies late, at {trunk}").accepts()
        script.talks(HASTY_TIMERS["first_notify"] + 0.5)
        script.tells("SIP/2.0 200 OK", "terminated;reason=noresource").is_hung_up_on()
        attempt = await verdict(script, world, peer, api, trunk=trunk)
        assert (attempt["outcome"], attempt["timer"]) == (outcome, timer)


class TestThePeerLeavesEarly:
    """BYE after 202, before the final NOTIFY."""

    async def test_without_a_notify_it_is_presumed_connected(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """Reported apart from `connected`: nobody has said so."""
        attempt = await verdict(referred("leaves").accepts().hangs_up(), world, peer, api)
        assert attempt["outcome"] == "presumed_connected", attempt["steps"]
        assert attempt["bye_by"] == "caller"


class TestWhatTheCallerHears:
    """Never silence between decision and verdict, and the right words after a failure."""

    async def test_ringing_then_the_words_for_the_failure(
        self, world: World, caller: Softphone, api: Api, tmp_path: Path
    ) -> None:
        recording = tmp_path / "caller.wav"
        await caller.send(
            commands.Dial(call="a", to=world.number("300"), refer=603, record=recording)
        )
        await caller.expect("heard", "a", sound=sound_of("declined"))
        await caller.expect("disconnected", "a", by="peer")
        await caller.expect("recorded", "a")
        heard = listen(recording)
        assert heard.seconds_of(PROMPTS[FALLBACK["declined"]]) > 0.4, heard
