"""A leg in memory: what a transfer does to it, without SIP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sip.audio import Pcm
from sip.errors import CallEnded
from sip.events import DtmfReceived, Event, LegEnded, MediaQuality
from sip.message import Message
from sip.offer import Offer
from sip.outcome import Side


def response(code: int, *headers: str) -> Message:
    return Message("\r\n".join([f"SIP/2.0 {code} X", *headers, "CSeq: 1 INVITE", "", ""]))


@dataclass
class Wire:
    failure: Message | None = None
    bye_received: Message | None = None


@dataclass
class Dialog:
    wire: Wire = field(default_factory=Wire)
    answered: bool = False
    rang: bool = False
    unreached: bool = False
    ended_by: Side = Side.CALLER


@dataclass
class Info:
    offer: Offer | None = None


@dataclass
class Audio:
    hears: object = None
    last_loop: object = None

    def stop_loop(self) -> None:
        self.last_loop = None


@dataclass
class Party:
    """A leg without SIP."""

    label: str
    dialog: Dialog = field(default_factory=Dialog)
    info: Info = field(default_factory=Info)
    audio: Audio = field(default_factory=Audio)
    played: list[Pcm] = field(default_factory=list)
    before_answered: Callable[[], object] = bool
    """What happens while the caller's answer is on its way."""
    released: int = 0

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.confirmed: asyncio.Future[None] = loop.create_future()
        self.audible: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[LegEnded] = loop.create_future()
        self.listeners: list[Callable[[Event], None]] = []

    @property
    def gone(self) -> bool:
        return self.ended.done()

    # What happens to it

    def answers(self) -> None:
        if not self.gone and not self.dialog.answered:
            self.dialog.answered = True
            self.confirmed.set_result(None)
            self.audible.set_result(None)

    def answers_deaf(self) -> None:
        """200 without audio: PJSIP ends the call."""
        if not self.gone and not self.dialog.answered:
            self.dialog.answered = True
            self.confirmed.set_result(None)
            self.ends()

    def refuses(self, code: int = 486, *headers: str) -> None:
        if not self.gone and not self.dialog.answered:
            self.dialog.wire.failure = response(code, *headers)
            self.ends()

    def hangs_up(self) -> None:
        if self.dialog.answered and not self.gone:
            self.dialog.wire.bye_received = Message("BYE sip:x SIP/2.0\r\n\r\n")
            self.ends()

    def presses(self, key: str) -> None:
        for listener in list(self.listeners):
            listener(DtmfReceived(self.label, key, 0, "rtp"))

    def ends(self, by: Side = Side.TARGET) -> None:
        if not self.gone:
            self.ended.set_result(LegEnded(self.label, 200, "", by, MediaQuality()))
            for waited in (self.confirmed, self.audible):
                if not waited.done():
                    waited.set_exception(CallEnded("gone"))
                    waited.exception()

    # What is asked of it

    async def answer(self) -> None:
        self.before_answered()
        await asyncio.sleep(0)

    async def wait_confirmed(self) -> None:
        await asyncio.shield(self.confirmed)

    async def wait_audible(self) -> None:
        await asyncio.shield(self.audible)

    async def wait_ended(self) -> LegEnded:
        return await asyncio.shield(self.ended)

    async def play(self, audio: Pcm) -> None:
        self.played.append(audio)
        await asyncio.sleep(0)

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        pass

    @contextmanager
    def listening(self, listener: Callable[[Event], None]) -> Iterator[None]:
        self.listeners.append(listener)
        try:
            yield
        finally:
            self.listeners.remove(listener)

    def release(self, headers: object = None) -> None:
        self.released += 1
        self.ends()
