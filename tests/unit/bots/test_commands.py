"""What a bot may ask for: a decision ends its conversation, and whatever is refused does not."""

from __future__ import annotations

import pytest

from gateway.bots.messages import MAX_VARIABLES
from ivr.ports import BotExit, BotGoto, BotHangup, BotTransfer
from sip.outcome import Method
from tests.unit.bots.bot import BotTwin, Connection
from tests.unit.bots.call import FRAME, Call, talking


class TestCommands:
    @pytest.mark.parametrize(
        ("command", "exit_", "reason"),
        [
            (
                {"type": "transfer", "target": "billing"},
                BotTransfer("billing", None, {}),
                "transfer",
            ),
            (
                {"type": "transfer", "target": "x", "method": "bye", "headers": {"X-A": "1"}},
                BotTransfer("x", Method.BYE, {"X-A": "1"}),
                "transfer",
            ),
            ({"type": "hangup", "headers": {"X-A": "1"}}, BotHangup({"X-A": "1"}), "hangup"),
            (
                {"type": "hangup", "tags": ["opening hours", "vip"]},
                BotHangup(tags=("opening hours", "vip")),
                "hangup",
            ),
            ({"type": "goto", "node": "menu"}, BotGoto("menu"), "flow"),
        ],
    )
    async def test_a_decision_ends_the_conversation(
        self, call: Call, bot: BotTwin, command: object, exit_: BotExit, reason: str
    ) -> None:
        peer = await talking(call, bot)
        await peer.send(command)
        assert await peer.receive() == {"type": "stop", "reason": reason}
        assert (await peer.closed())[0] == 1000
        assert await call.exit() == exit_
        assert call.audio.closed

    async def test_what_follows_a_decision_is_ignored(self, call: Call, bot: BotTwin) -> None:
        peer = await talking(call, bot)
        await peer.send({"type": "goto", "node": "menu"}, {"type": "hangup"}, {"type": "bad"})
        assert await peer.receive() == {"type": "stop", "reason": "flow"}
        assert await call.exit() == BotGoto("menu")

    @pytest.mark.parametrize(
        ("command", "field"),
        [
            ({"type": "transfer", "target": "nowhere"}, "target"),
            ({"type": "goto", "node": "nowhere"}, "node"),
        ],
    )
    async def test_what_the_flow_refuses_is_an_error_and_the_call_goes_on(
        self, call: Call, peer: Connection, command: object, field: str
    ) -> None:
        call.refusals["nowhere"] = f"{field}: there is no 'nowhere'"
        await peer.send(command)
        assert await peer.receive() == {
            "type": "error",
            "code": "refused",
            "message": "there is no 'nowhere'",
            "field": field,
        }
        call.audio.hear(FRAME)
        assert await peer.receive_audio() == FRAME

    async def test_nonsense_is_an_error_and_the_call_goes_on(
        self, call: Call, peer: Connection
    ) -> None:
        await peer.websocket.send("{")
        assert (await peer.receive())["code"] == "invalid_json"
        await peer.send({"type": "dance"})
        assert (await peer.receive())["field"] == "type"
        call.audio.hear(FRAME)
        assert await peer.receive_audio() == FRAME

    async def test_a_flood_of_text_is_answered_once_and_the_call_goes_on(
        self, call: Call, peer: Connection
    ) -> None:
        await peer.send(*[{"type": "clear"}] * 400)
        assert (await peer.receive())["code"] == "rate_limited"
        await peer.settle()
        assert call.audio.clears < 400
        call.audio.hear(FRAME)
        assert await peer.receive_audio() == FRAME

    async def test_digits_are_sent_one_request_at_a_time(
        self, call: Call, peer: Connection
    ) -> None:
        call.leg.digits_sent.clear()
        await peer.send({"type": "send_dtmf", "digits": "12"})
        await peer.settle()
        await peer.send({"type": "send_dtmf", "digits": "34"})
        error = await peer.receive()
        assert (error["code"], error["field"]) == ("busy", "digits")
        assert call.leg.digits == ["12"]
        call.leg.digits_sent.set()
        await peer.settle()
        await peer.send({"type": "send_dtmf", "digits": "34"})
        await peer.settle()
        assert call.leg.digits == ["12", "34"]

    async def test_variables_are_the_calls_own(self, call: Call, peer: Connection) -> None:
        await peer.send({"type": "set", "variables": {"name": "Ada", "plan": "gold"}})
        await peer.settle()
        assert call.variables == {"name": "Ada", "plan": "gold"}

    async def test_too_many_variables_are_refused(self, call: Call, peer: Connection) -> None:
        call.variables.update({f"v{n}": "" for n in range(MAX_VARIABLES)})
        await peer.send({"type": "set", "variables": {"one_more": ""}})
        error = await peer.receive()
        assert (error["code"], error["field"]) == ("refused", "variables")
        assert "one_more" not in call.variables

    async def test_log_goes_to_the_log(
        self, peer: Connection, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await peer.send({"type": "log", "message": "intent: billing"})
        await peer.settle()
        assert "intent: billing" in capsys.readouterr().out
