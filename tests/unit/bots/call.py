"""One caller with one bot: the gateway's bot port between a leg in memory and a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from config import settings
from config.flows import Waiting
from gateway.bots.port import BotConversations
from ivr.events import BotDisconnected
from ivr.ports import BotExit, BotGoto, BotStart, BotTransfer, Dismissal
from ivr.reaching import Progress
from sip.audio import Pcm
from sip.events import Event, LegEnded, MediaQuality
from sip.outcome import Handover, Side
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


class StayingCall(Call):
    """Its bot stays; the flow counts how often the transfer is taken back."""

    taken_back = 0
    too_late: str | None = None

    def begin(self, node: str = "talk") -> None:
        start = BotStart("assistant", "main", node, None, self.variables, self._take_back)
        self._task = asyncio.create_task(self._port.converse(start, self._accepts))

    def tell(self, news: Progress | Handover) -> None:
        self._port.tell(news)

    def dismiss(self, why: Dismissal) -> None:
        self._port.dismiss(why)

    def _take_back(self) -> str | None:
        self.taken_back += 1
        return self.too_late


async def bounded(result: Awaitable[Result]) -> Result:
    async with asyncio.timeout(DEADLINE):
        return await result


async def talking(call: Call, bot: BotTwin) -> Connection:
    """Begin the conversation and read `start`."""
    call.converse()
    peer = await bot.accept()
    assert (await peer.receive())["type"] == "start"
    return peer
