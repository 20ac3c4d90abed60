"""Another telephone takes a place in a call: INVITE with Replaces (RFC 3891)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sip.softphone import commands
from sip.softphone.driver import Softphone
from sip.softphone.tones import tone_name
from tests.e2e.conftest import StartPhone
from tests.e2e.process import Api
from tests.e2e.transfers_in import COLLEAGUE_TONE, dialog, shared_gateway
from tests.e2e.world import AGENT_TONE, CALLER_TONE, CARRIER, PBX, World

__all__ = ["shared_gateway"]


class TestAnotherTelephoneTakesAPlace:
    """RFC 3891 section 3: 200 to the new dialog, BYE or CANCEL to the one that is replaced."""

    async def test_a_colleague_takes_the_agents_call(
        self,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        start_phone: StartPhone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        await pbx.send(commands.Policy(tone=AGENT_TONE))
        await caller.send(
            commands.Dial(
                call="a", to=world.number("670"), tone=CALLER_TONE, record=tmp_path / "a.wav"
            )
        )
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        other = await start_phone(PBX, name="other")
        await other.send(
            commands.Dial(
                call="b",
                to=world.number("670"),
                tone=COLLEAGUE_TONE,
                record=tmp_path / "b.wav",
                headers={"Replaces": await dialog(api, "agent-1"), "Require": "replaces"},
            )
        )
        await pbx.expect("disconnected", by="peer")
        await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await other.expect("heard", "b", sound=tone_name(CALLER_TONE))
        await other.send(commands.HangUp(call="b"))
        bye = await caller.expect("disconnected", "a", by="peer")
        assert bye.headers.get("X-End") == "completed"
        record = await api.record()
        (attempt,) = record["attempts"]
        assert (attempt["outcome"], attempt["bye_by"]) == ("connected", "target")
        (moved,) = [e for e in record["timeline"] if e["name"] == "leg.replaced"]
        assert (moved["leg"], moved["by"]) == ("agent-1", "agent-2")

    async def test_a_ringing_telephone_is_picked_up_elsewhere(
        self,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        start_phone: StartPhone,
        api: Api,
        tmp_path: Path,
    ) -> None:
        """Early dialogs of ours may be replaced: the ringing telephone is cancelled."""
        await pbx.send(commands.Policy(answer=None))
        await caller.send(
            commands.Dial(call="a", to=world.number("670"), record=tmp_path / "a.wav")
        )
        await pbx.expect("incoming")
        other = await start_phone(PBX, name="other")
        replaces = await dialog(api, "agent-1") + ";early-only"
        await other.send(
            commands.Dial(
                call="b",
                to=world.number("670"),
                tone=COLLEAGUE_TONE,
                headers={"Replaces": replaces},
            )
        )
        await pbx.expect("disconnected", code=487)
        await caller.expect("heard", "a", sound=tone_name(COLLEAGUE_TONE))
        await caller.send(commands.HangUp(call="a"))
        await other.expect("disconnected", "b", by="peer")
        attempt = await api.attempt()
        assert (attempt["outcome"], attempt["target"]) == ("connected", "sales")

    async def test_the_callers_own_pbx_may_move_the_caller(
        self, world: World, pbx: Softphone, start_phone: StartPhone, api: Api, tmp_path: Path
    ) -> None:
        """The other end of an attended transfer at the caller's PBX."""
        await pbx.send(commands.Policy(tone=AGENT_TONE, record=tmp_path / "p.wav"))
        first = await start_phone(PBX, name="first")
        await first.send(commands.Dial(call="a", to=world.number("670"), tone=CALLER_TONE))
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        second = await start_phone(PBX, name="second")
        await second.send(
            commands.Dial(
                call="b",
                to=world.number("670"),
                tone=COLLEAGUE_TONE,
                headers={"Replaces": await dialog(api, "caller")},
            )
        )
        await first.expect("disconnected", "a", by="peer")
        await pbx.expect("heard", sound=tone_name(COLLEAGUE_TONE))
        await second.send(commands.HangUp(call="b"))
        await pbx.expect("disconnected", by="peer")
        record = await api.record()
        assert (record["end"], record["caller"]) == ("caller_hangup", "first")

    @pytest.mark.parametrize(
        ("leg", "spoil", "code"),
        [
            ("agent-1", ("from-tag=", "from-tag=x"), 481),
            ("agent-1", ("to-tag=", "early-only;to-tag="), 486),
            ("agent-1", ("to-tag=", "tag="), 400),
            ("caller", ("", ""), 403),
        ],
    )
    async def test_what_does_not_fit_is_refused_and_the_call_goes_on(
        self,
        leg: str,
        spoil: tuple[str, str],
        code: int,
        world: World,
        caller: Softphone,
        pbx: Softphone,
        start_phone: StartPhone,
        api: Api,
    ) -> None:
        """Wrong tags; `early-only` for an answered call; malformed; another trunk's dialog."""
        await pbx.send(commands.Policy(tone=AGENT_TONE))
        await caller.send(commands.Dial(call="a", to=world.number("670")))
        await pbx.expect("confirmed")
        replaces = (await dialog(api, leg)).replace(*spoil)
        other = await start_phone(PBX, name="other")
        await other.send(
            commands.Dial(call="b", to=world.number("670"), headers={"Replaces": replaces})
        )
        assert (await other.expect("disconnected", "b"))["code"] == code
        assert not pbx.seen("disconnected")
        await caller.send(commands.HangUp(call="a"))
        await pbx.expect("disconnected", by="peer")
        await api.record()

    async def test_a_trunk_that_is_not_allowed_to_replace(
        self, world: World, caller: Softphone, pbx: Softphone, start_phone: StartPhone, api: Api
    ) -> None:
        """The default."""
        await caller.send(commands.Dial(call="a", to=world.number("670")))
        await pbx.expect("confirmed")
        other = await start_phone(CARRIER, name="other")
        await other.send(
            commands.Dial(
                call="b",
                to=world.number("670"),
                headers={"Replaces": await dialog(api, "caller")},
            )
        )
        assert (await other.expect("disconnected", "b"))["code"] == 403
        await caller.send(commands.HangUp(call="a"))
        await api.record()
