"""A whole conversation: caller's leg in memory, gateway's bot port, a bot on a real WebSocket."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from config import settings
from config.flows import Waiting
from config.media import Samples
from config.secrets import Secret
from gateway.bots.messages import MAX_VARIABLES
from gateway.bots.port import (
    RECONNECT_DELAY,
    RECONNECT_SPREAD,
    BotConversations,
    reconnect_delay,
)
from ivr.events import BotConnected, BotDisconnected
from ivr.ports import (
    BotDone,
    BotExit,
    BotFailed,
    BotGoto,
    BotHangup,
    BotStart,
    BotTransfer,
    CallEnded,
)
from sip.audio import Pcm
from sip.events import DtmfReceived, Event, HoldChanged, LegEnded, MediaQuality
from sip.outcome import Handover, HandoverErrorReason, HandoverStatus, Method, Outcome, Side
from tests.unit.bots.bot import DEADLINE, BotTwin, Connection
from tests.unit.bots.caller import AudioTwin, LegTwin

Result = TypeVar("Result")

MUSIC = Pcm(bytes(1600), 8000)
FRAME = bytes(range(160)) * 2
LEG_ENDED = LegEnded("caller", 200, "OK", Side.CALLER, MediaQuality())


class Call:
    """One caller with one bot, and a flow that refuses what the test says."""

    def __init__(self, url: str, **options: Any) -> None:
        self.leg = LegTwin()
        self.events: list[Event] = []
        self.refusals: dict[str, str] = {}
        """By target or node."""
        self.variables: dict[str, str] = {}
        self._port = BotConversations(
            {"assistant": settings.Bot(url=url, **options)},
            self.leg,
            {Waiting.MUSIC: MUSIC}.__getitem__,
            self.events.append,
        )
        self._task: asyncio.Task[BotExit] | None = None

    def converse(self, handover: Handover | None = None) -> None:
        start = BotStart("assistant", "main", "talk", handover, self.variables)
        self._task = asyncio.create_task(self._port.converse(start, self._accepts))

    async def exit(self) -> BotExit:
        """What the flow is told."""
        assert self._task is not None
        return await bounded(self._task)

    def cancel(self) -> None:
        assert self._task is not None
        self._task.cancel()

    @property
    def audio(self) -> AudioTwin:
        return self.leg.audio[-1]

    @property
    def endings(self) -> list[tuple[str, str]]:
        return [(e.reason, e.message) for e in self.events if isinstance(e, BotDisconnected)]

    def _accepts(self, exit_: BotExit) -> str | None:
        match exit_:
            case BotTransfer(target=target):
                return self.refusals.get(target)
            case BotGoto(node=node):
                return self.refusals.get(node)
            case _:
                return None


async def bounded(result: Awaitable[Result]) -> Result:
    async with asyncio.timeout(DEADLINE):
        return await result


@pytest.fixture
async def call(bot: BotTwin) -> Call:
    return Call(await bot.listen())


async def talking(call: Call, bot: BotTwin) -> Connection:
    """Begin the conversation and read `start`."""
    call.converse()
    peer = await bot.accept()
    assert (await peer.receive())["type"] == "start"
    return peer


@pytest.fixture
async def peer(call: Call, bot: BotTwin) -> AsyncIterator[Connection]:
    """The bot in a conversation that goes on until the test, or this fixture, ends it."""
    peer = await talking(call, bot)
    yield peer
    call.cancel()
    await peer.closed()
    assert call.audio.closed
    assert call.audio.sink is None


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.bots.port.RECONNECT_DELAY", 0)


class TestStart:
    async def test_tells_the_bot_about_the_call(self, call: Call, bot: BotTwin) -> None:
        call.variables["name"] = "Ada"
        call.converse()
        peer = await bot.accept()
        assert await peer.receive() == {
            "type": "start",
            "version": "switchhook.v1",
            "call_id": "00c0ffee00c0ffee",
            "from": "sip:alice@127.0.0.2",
            "to": "sip:100@127.0.0.1",
            "direction": "inbound",
            "trunk": "carrier",
            "sip": {
                "call_id": "abc@127.0.0.2",
                "headers": {"X-Tenant": "7"},
                "user_to_user": [],
            },
            "audio": {"encoding": "pcm_s16le", "sample_rate": 8000, "frame_ms": 20},
            "flow": {"name": "main", "node": "talk"},
            "variables": {"name": "Ada"},
            "handover": None,
            "reconnected": False,
        }
        assert isinstance(call.events[0], BotConnected)
        await peer.websocket.close()
        assert await call.exit() == BotDone()

    async def test_brings_the_last_transfers_result(self, call: Call, bot: BotTwin) -> None:
        call.converse(
            Handover(
                HandoverStatus.ERROR,
                Outcome.BUSY,
                HandoverErrorReason.ERROR,
                "Busy Here",
                486,
                "billing",
            )
        )
        peer = await bot.accept()
        assert (await peer.receive())["handover"] == {
            "status": "error",
            "outcome": "busy",
            "sip_code": 486,
            "target": "billing",
            "message": "Busy Here",
            "error": {"reason": "error"},
        }
        await peer.websocket.close()
        await call.exit()

    async def test_wideband_opens_the_leg_at_that_rate(self, bot: BotTwin) -> None:
        call = Call(await bot.listen(), sample_rate=16000, backlog=5)
        call.converse()
        peer = await bot.accept()
        assert (await peer.receive())["audio"]["sample_rate"] == 16000
        assert (call.audio.rate, call.audio.backlog_limit) == (16000, 5)
        await peer.websocket.close()
        await call.exit()

    async def test_a_token_is_sent_as_bearer(self, bot: BotTwin, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("s3cret\n")
        call = Call(await bot.listen(), token=Secret(file=tmp_path / "token"))
        peer = await talking(call, bot)
        assert peer.websocket.request is not None
        assert peer.websocket.request.headers["Authorization"] == "Bearer s3cret"
        await peer.websocket.close()
        await call.exit()

    async def test_a_token_that_is_gone_fails_the_bot_not_the_call(
        self, bot: BotTwin, no_delay: None
    ) -> None:
        assert "NO_SUCH_TOKEN" not in os.environ
        call = Call(await bot.listen(), token=Secret(env="NO_SUCH_TOKEN"))
        call.converse()
        failed = await call.exit()
        assert isinstance(failed, BotFailed)
        assert failed.reason == "connect_failed"
        assert "NO_SUCH_TOKEN" in failed.message

    async def test_what_happened_before_is_not_told(self, call: Call, bot: BotTwin) -> None:
        call.leg.emit(DtmfReceived("caller", "7", 100, "rtp"))
        peer = await talking(call, bot)
        call.leg.emit(DtmfReceived("caller", "1", 100, "rtp"))
        assert (await peer.receive())["digit"] == "1"
        await peer.websocket.close()
        await call.exit()

    async def test_a_caller_on_hold_is_announced(self, call: Call, bot: BotTwin) -> None:
        call.leg.held = True
        peer = await talking(call, bot)
        assert await peer.receive() == {"type": "hold"}
        await peer.websocket.close()
        await call.exit()


class TestAudio:
    async def test_the_caller_is_heard_frame_by_frame(self, call: Call, peer: Connection) -> None:
        call.audio.hear(FRAME)
        call.audio.hear(FRAME[::-1])
        assert await peer.receive_audio() == FRAME
        assert await peer.receive_audio() == FRAME[::-1]

    async def test_the_bot_is_heard_whatever_the_length(self, call: Call, peer: Connection) -> None:
        await peer.websocket.send(FRAME)
        await peer.websocket.send(FRAME[:6])
        await peer.settle()
        assert call.audio.queue == FRAME + FRAME[:6]

    async def test_odd_lengths_are_not_played(self, call: Call, peer: Connection) -> None:
        await peer.websocket.send(FRAME[:5])
        error = await peer.receive()
        assert error["code"] == "odd_length"
        assert call.audio.written == 0

    async def test_a_sample_of_g711_is_one_byte(self, bot: BotTwin) -> None:
        call = Call(await bot.listen(), samples=Samples.PCMA)
        call.converse()
        peer = await bot.accept()
        assert (await peer.receive())["audio"]["encoding"] == "pcma"
        await peer.websocket.send(FRAME[:5])
        await peer.settle()
        assert call.audio.queue == FRAME[:5]
        call.cancel()
        await peer.closed()

    async def test_beyond_the_backlog_the_oldest_is_dropped(
        self, call: Call, peer: Connection
    ) -> None:
        call.audio.backlog_limit = 1.0
        for _ in range(60):
            await peer.websocket.send(FRAME)
        error = await peer.receive()
        assert error["code"] == "slow_down"
        await peer.settle()
        assert len(call.audio.queue) == 16_000
        await peer.websocket.close()
        await call.exit()
        ended = call.events[-1]
        assert isinstance(ended, BotDisconnected)
        assert ended.dropped_ms == 200

    async def test_frames_that_a_slow_bot_missed_are_counted(
        self, call: Call, peer: Connection
    ) -> None:
        peer.websocket.transport.pause_reading()
        for _ in range(20_000):
            call.audio.hear(FRAME)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.exit()
        ended = call.events[-1]
        assert isinstance(ended, BotDisconnected)
        assert ended.frames_dropped > 0
        peer.websocket.transport.resume_reading()


class TestMarks:
    async def test_a_mark_comes_back_when_its_audio_was_played(
        self, call: Call, peer: Connection
    ) -> None:
        await peer.websocket.send(FRAME)
        await peer.send({"type": "mark", "name": "one"})
        await peer.websocket.send(FRAME)
        await peer.send({"type": "mark", "name": "two"})
        await peer.settle()
        call.audio.play(320)
        call.audio.play(320)
        assert await peer.receive() == {"type": "mark", "name": "one", "played": True}
        assert await peer.receive() == {"type": "mark", "name": "two", "played": True}

    async def test_clear_drops_audio_and_reports_its_marks(
        self, call: Call, peer: Connection
    ) -> None:
        await peer.websocket.send(FRAME)
        await peer.send({"type": "mark", "name": "one"}, {"type": "clear"})
        assert await peer.receive() == {"type": "mark", "name": "one", "played": False}
        assert not call.audio.queue


class TestCallerEvents:
    async def test_dtmf(self, call: Call, peer: Connection) -> None:
        call.leg.emit(DtmfReceived("caller", "#", 120, "rtp"))
        assert await peer.receive() == {"type": "dtmf", "digit": "#", "duration_ms": 120}

    async def test_hold_and_resume(self, call: Call, peer: Connection) -> None:
        call.leg.emit(HoldChanged("caller", held=True))
        call.leg.emit(HoldChanged("caller", held=False))
        assert await peer.receive() == {"type": "hold"}
        assert await peer.receive() == {"type": "resume"}

    async def test_other_legs_are_none_of_its_business(self, call: Call, peer: Connection) -> None:
        call.leg.emit(DtmfReceived("agent-1", "9", 120, "rtp"))
        call.leg.emit(DtmfReceived("caller", "1", 120, "rtp"))
        assert (await peer.receive())["digit"] == "1"


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


class TestEnd:
    async def test_the_callers_hang_up_stops_the_bot(self, call: Call, bot: BotTwin) -> None:
        peer = await talking(call, bot)
        call.leg.emit(LEG_ENDED)
        assert await peer.receive() == {"type": "stop", "reason": "caller_hangup"}
        assert (await peer.closed())[0] == 1000
        with pytest.raises(CallEnded):
            await call.exit()
        assert call.endings == [("caller_hangup", "")]

    async def test_hang_up_and_cancellation_at_once(self, call: Call, bot: BotTwin) -> None:
        peer = await talking(call, bot)
        call.leg.emit(LEG_ENDED)
        call.cancel()
        assert await peer.receive() == {"type": "stop", "reason": "caller_hangup"}
        with pytest.raises(asyncio.CancelledError):
            await call.exit()
        assert call.audio.closed

    async def test_cancelling_takes_the_caller_elsewhere(self, call: Call, bot: BotTwin) -> None:
        peer = await talking(call, bot)
        call.cancel()
        assert await peer.receive() == {"type": "stop", "reason": "flow"}
        assert (await peer.closed())[0] == 1000
        with pytest.raises(asyncio.CancelledError):
            await call.exit()
        assert call.endings == [("interrupted", "")]

    async def test_the_bots_normal_closure_is_done(self, call: Call, bot: BotTwin) -> None:
        peer = await talking(call, bot)
        await peer.websocket.close(1000)
        assert await call.exit() == BotDone()
        assert call.endings == [("done", "")]

    async def test_one_call_may_converse_many_times(self, call: Call, bot: BotTwin) -> None:
        for _ in range(3):
            peer = await talking(call, bot)
            await peer.websocket.close(1000)
            assert await call.exit() == BotDone()
        assert [audio.closed for audio in call.leg.audio] == [True] * 3


class TestFailure:
    async def test_a_lost_bot_gets_one_more_chance_and_the_caller_music(
        self, bot: BotTwin, no_delay: None
    ) -> None:
        back = asyncio.Event()
        back.set()

        async def once_it_is_back(_connection: Any, _request: Any) -> None:
            await back.wait()

        call = Call(await bot.listen(process_request=once_it_is_back))
        peer = await talking(call, bot)
        await peer.websocket.send(FRAME)
        await peer.settle()
        back.clear()
        peer.websocket.transport.abort()
        await bounded(call.leg.played.wait())
        assert call.leg.playing == [MUSIC]
        assert not call.audio.queue
        back.set()
        again = await bot.accept()
        start = await again.receive()
        assert (start["type"], start["reconnected"]) == ("start", True)
        await again.settle()
        assert call.leg.playing == []
        call.audio.hear(FRAME)
        assert await again.receive_audio() == FRAME
        await again.websocket.close(1000)
        assert await call.exit() == BotDone()
        assert len(call.leg.audio) == 1
        assert [reason for reason, _ in call.endings] == ["connection_lost", "done"]

    @pytest.mark.parametrize("code", [1001, 1011, 4321])
    async def test_the_second_failure_is_the_flows(
        self, call: Call, bot: BotTwin, no_delay: None, code: int
    ) -> None:
        peer = await talking(call, bot)
        await peer.websocket.close(code, "sorry")
        again = await bot.accept()
        await again.receive()
        await again.websocket.close(code, "sorry")
        failed = await call.exit()
        assert isinstance(failed, BotFailed)
        assert failed.reason == "connection_lost"
        assert str(code) in failed.message
        assert "sorry" in failed.message
        assert call.audio.closed
        await asyncio.sleep(0)
        assert call.leg.playing == []

    async def test_a_breach_of_the_websocket_protocol_is_a_protocol_error(
        self, call: Call, bot: BotTwin, no_delay: None
    ) -> None:
        for _ in range(2):
            peer = await (talking(call, bot) if not call.leg.audio else bot.accept())
            peer.websocket.transport.write(b"\x80\x01x")
            await peer.closed()
        failed = await call.exit()
        assert isinstance(failed, BotFailed)
        assert failed.reason == "protocol_error"

    async def test_no_bot_at_all(self, no_delay: None) -> None:
        call = Call("ws://127.0.0.1:9/")
        call.converse()
        failed = await call.exit()
        assert isinstance(failed, BotFailed)
        assert failed.reason == "connect_failed"
        assert [reason for reason, _ in call.endings] == ["connect_failed", "connect_failed"]
        assert call.audio.closed

    def test_calls_that_were_lost_together_do_not_come_back_together(self) -> None:
        delays = [reconnect_delay() for _ in range(300)]
        assert all(
            RECONNECT_DELAY <= delay <= RECONNECT_DELAY * RECONNECT_SPREAD for delay in delays
        )
        tenths = Counter(int(delay * 10) for delay in delays)
        assert max(tenths.values()) < 100  # what a server's queue of connections usually holds

    async def test_cancelled_between_two_connections(
        self, call: Call, bot: BotTwin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.bots.port.RECONNECT_DELAY", 1000)
        peer = await talking(call, bot)
        peer.websocket.transport.abort()
        await bounded(call.leg.played.wait())
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.exit()
        await asyncio.sleep(0)
        assert call.leg.playing == []
        assert call.audio.closed

    async def test_what_a_bot_sends_before_start_is_refused(self, bot: BotTwin) -> None:
        greeting = b"\x81\x02{}" + b"\x82\x02ab"  # a text and a binary frame behind the upgrade

        def eager(_connection: Any, _request: Any, response: Any) -> Any:
            response.body = greeting
            return response

        url = await bot.listen(process_response=eager)
        call = Call(url)
        call.converse()
        peer = await bot.accept()
        codes = [(await peer.receive())["code"] for _ in range(2)]
        assert codes == ["before_start", "before_start"]
        assert call.audio.written == 0
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.exit()
        peer.websocket.transport.abort()
