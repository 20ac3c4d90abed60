"""A bot whose connection outlives its transfer: detached, told, and taken up again."""

from __future__ import annotations

import asyncio

import pytest

from ivr.events import BotConnected
from ivr.ports import BotDone, BotHangup, BotTransfer, Dismissal
from ivr.reaching import Progress
from sip.events import DtmfReceived
from sip.outcome import Handover, HandoverErrorReason, HandoverStatus, Outcome
from tests.unit.bots.bot import BotTwin, Connection
from tests.unit.bots.call import FRAME, LEG_ENDED, StayingCall, talking

BUSY = Handover(
    HandoverStatus.ERROR, Outcome.BUSY, HandoverErrorReason.ERROR, "Busy Here", 486, "billing"
)


@pytest.fixture
async def call(bot: BotTwin) -> StayingCall:
    return StayingCall(await bot.listen())


@pytest.fixture
async def peer(call: StayingCall, bot: BotTwin) -> Connection:
    """The bot while its transfer is under way."""
    call.begin()
    peer = await bot.accept()
    assert (await peer.receive())["type"] == "start"
    await peer.send({"type": "transfer", "target": "billing"})
    assert await call.exit() == BotTransfer("billing")
    return peer


async def gone(call: StayingCall, peer: Connection) -> None:
    """Nothing of the session is left."""
    call.dismiss(Dismissal.ELSEWHERE)
    await peer.closed()
    assert call.leg.audio[-1].closed


async def test_its_audio_is_off_the_leg(call: StayingCall, peer: Connection) -> None:
    assert call.audio.closed
    assert call.audio.sink is None
    await peer.websocket.send(FRAME)
    assert (await peer.receive())["code"] == "refused"
    assert call.audio.written == 0
    assert call.endings == []
    await gone(call, peer)


async def test_what_it_had_not_said_is_dropped_and_reported(
    call: StayingCall, bot: BotTwin
) -> None:
    call.begin()
    peer = await bot.accept()
    await peer.receive()
    await peer.websocket.send(FRAME)
    await peer.send({"type": "mark", "name": "m"}, {"type": "transfer"})
    assert await peer.receive() == {"type": "mark", "name": "m", "played": False}
    await call.exit()
    await gone(call, peer)


async def test_it_is_told_how_the_transfer_goes(call: StayingCall, peer: Connection) -> None:
    call.tell(Progress("billing", HandoverStatus.QUEUED))
    call.tell(Progress("billing", HandoverStatus.RINGING, "t1", sip_code=180))
    call.leg.emit(DtmfReceived("caller", "5", 100, "rtp"))
    call.tell(BUSY)
    queued = {"type": "transfer", "attempt": None, "target": "billing", "status": "queued"}
    assert await peer.receive() == {**queued, "outcome": None, "sip_code": None}
    ringing = await peer.receive()
    assert (ringing["attempt"], ringing["status"], ringing["sip_code"]) == ("t1", "ringing", 180)
    assert (await peer.receive())["digit"] == "5"
    assert await peer.receive() == {
        "type": "handover",
        "status": "error",
        "outcome": "busy",
        "sip_code": 486,
        "target": "billing",
        "message": "Busy Here",
        "error": {"reason": "error"},
    }
    await gone(call, peer)


async def test_it_takes_the_transfer_back(call: StayingCall, peer: Connection) -> None:
    await peer.send({"type": "set", "variables": {"why": "changed"}}, {"type": "cancel_transfer"})
    await peer.settle()
    assert call.taken_back == 1
    assert call.variables == {"why": "changed"}
    call.too_late = "no transfer is under way"
    await peer.send({"type": "cancel_transfer"})
    assert (await peer.receive())["message"] == "no transfer is under way"
    await gone(call, peer)


async def test_the_same_session_goes_on_at_the_same_node(
    call: StayingCall, peer: Connection
) -> None:
    call.tell(BUSY)
    assert (await peer.receive())["type"] == "handover"
    call.begin()
    await asyncio.sleep(0)
    call.audio.hear(FRAME)
    assert await peer.receive_audio() == FRAME
    await peer.websocket.send(FRAME)
    await peer.settle()
    assert call.audio.queue == FRAME
    await peer.send({"type": "hangup"})
    assert await call.exit() == BotHangup()
    assert [audio.closed for audio in call.leg.audio] == [True, True]
    assert len([event for event in call.events if isinstance(event, BotConnected)]) == 1
    assert call.endings == [("hangup", "")]


async def test_at_another_node_a_fresh_one_begins(
    call: StayingCall, bot: BotTwin, peer: Connection
) -> None:
    call.begin("elsewhere")
    assert await peer.receive() == {"type": "stop", "reason": "flow"}
    again = await bot.accept()
    assert (await again.receive())["flow"]["node"] == "elsewhere"
    await again.websocket.close()
    assert await call.exit() == BotDone()
    assert [reason for reason, _ in call.endings] == ["interrupted", "done"]


async def test_one_that_has_closed_meanwhile_is_met_again_by_a_start(
    call: StayingCall, bot: BotTwin, peer: Connection
) -> None:
    await peer.websocket.close()
    assert call.endings == [("done", "")]
    call.tell(BUSY)
    call.begin()
    again = await talking_again(bot)
    await again.websocket.close()
    assert await call.exit() == BotDone()


async def talking_again(bot: BotTwin) -> Connection:
    again = await bot.accept()
    assert (await again.receive())["type"] == "start"
    return again


@pytest.mark.parametrize("why", list(Dismissal))
async def test_it_is_dismissed_with_the_reason(
    call: StayingCall, peer: Connection, why: Dismissal
) -> None:
    call.leg.emit(LEG_ENDED)  # the flow has the last word
    call.dismiss(why)
    assert await peer.receive() == {"type": "stop", "reason": why.value}
    assert (await peer.closed())[0] == 1000
    call.dismiss(why)
    assert len(call.endings) == 1


async def test_a_conversation_is_not_dismissed(call: StayingCall, bot: BotTwin) -> None:
    peer = await talking(call, bot)
    call.dismiss(Dismissal.ELSEWHERE)
    call.audio.hear(FRAME)
    assert await peer.receive_audio() == FRAME
    await peer.websocket.close()
    await call.exit()
