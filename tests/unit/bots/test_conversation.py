"""What passes between a caller and a bot, from `start` on: audio, marks, keys and hold."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from config.media import Samples
from config.secrets import Secret
from ivr.events import BotConnected, BotDisconnected
from ivr.ports import BotDone, BotFailed
from sip.events import DtmfReceived, HoldChanged
from sip.outcome import Handover, HandoverErrorReason, HandoverStatus, Outcome
from tests.unit.bots.bot import BotTwin, Connection
from tests.unit.bots.call import FRAME, Call, talking


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
