"""How a conversation ends: by the caller, the flow or the bot, or because the bot is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from gateway.bots.port import RECONNECT_DELAY, RECONNECT_SPREAD, reconnect_delay
from ivr.ports import BotDone, BotFailed, CallEnded
from tests.unit.bots.bot import BotTwin
from tests.unit.bots.call import FRAME, LEG_ENDED, MUSIC, Call, bounded, talking


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
        assert call.endings == [("caller_hangup", "")]

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
