"""The SIP side in memory: an agent whose calls a test dials, and their callers' legs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, fields, replace

from config.media import Samples
from gateway.bots.caller import CallerAudio
from gateway.recording.leg_recording import Recorder
from gateway.resumptions import Refusal, Refused
from ivr.resumption import Resumption
from sip.context.received import Received
from sip.counters import Counters
from sip.errors import BindError, CallEnded
from sip.events import (
    Direction,
    Event,
    LegAnswered,
    LegEnded,
    LegStarted,
    MediaQuality,
    SipMessage,
)
from sip.outcome import Side
from sip.pings import HopState
from sip.registrations import RegistrationState
from tests.twin import Stage, TwinCall, TwinPrompts, TwinResumptions, Verdict

CALLER = "192.0.2.5:5060"
INVITE = (
    "INVITE sip:1000@192.0.2.1 SIP/2.0\r\nCSeq: 1 INVITE\r\n"
    "Content-Type: application/sdp\r\n\r\nv=0\r\n"
)


@dataclass(frozen=True)
class TwinInfo:
    """`sip.leg.LegInfo` of a call to 1000."""

    direction: Direction = Direction.RECEIVED
    trunk: str = "carrier"
    flow: str = "main"
    from_uri: str = "sip:+4930123@192.0.2.5"
    to_uri: str = "sip:1000@192.0.2.1"
    caller: str = "+4930123"
    number: str = "1000"
    sip_call_id: str = "abc@192.0.2.5"
    source: str = CALLER
    received: Received = field(default_factory=Received)


class TwinLeg(TwinCall):
    """`gateway.agent.CallerLeg` without SIP."""

    def __init__(
        self,
        call_id: str,
        *,
        info: TwinInfo | None = None,
        stage: Stage | None = None,
        verdicts: Iterable[Verdict] = (),
    ) -> None:
        super().__init__(stage or Stage(), verdicts)
        self.id = call_id
        self.info: TwinInfo = info or TwinInfo()
        self.held = False
        self.history: list[Event] = []
        self.stubborn = False
        """The leg does not end, whoever hangs up."""
        self._gone: asyncio.Future[LegEnded] = asyncio.get_running_loop().create_future()
        self._publish(LegStarted(self.label, Direction.RECEIVED, self.info.from_uri, "carrier"))
        self._publish(SipMessage(self.label, Direction.RECEIVED, "udp", CALLER, INVITE))

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        for event in list(self.history):
            listener(event)
        super().subscribe(listener)

    async def answer(self) -> None:
        await super().answer()
        self._publish(LegAnswered(self.label, 5))

    def reject(self, code: int, reason: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        if self.ended:
            raise CallEnded
        self.stage.journal.append(f"rejected {code}")
        self.hang_up(Side.GATEWAY)

    def hang_up(self, by: Side = Side.CALLER) -> None:
        if not self.stubborn:
            super().hang_up(by)

    async def wait_ended(self) -> LegEnded:
        return await asyncio.shield(self._gone)

    def unwatch(self) -> None:
        self._listeners.clear()

    def open_audio(self, rate: int, samples: Samples) -> CallerAudio:
        raise AssertionError("no bot is connected here")

    def record(self, label: str) -> Recorder:
        raise AssertionError("nothing is recorded here")

    async def send_dtmf(self, digits: str) -> None:
        raise AssertionError("no bot is connected here")

    def _publish(self, event: Event) -> None:
        if isinstance(event, LegEnded) and event.leg == self.label:
            event = replace(event, media=MediaQuality(codec="PCMU/8000"))
            self._gone.set_result(event)
        self.history.append(event)
        super()._publish(event)


class TwinAgent:
    """`gateway.agent.Agent` without SIP. `journal` has what the service asked of it, in order."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.legs: dict[str, TwinLeg] = {}
        self.draining = asyncio.Event()
        self.unregistered: list[RegistrationState] = []
        self.pinged: list[HopState] = []
        self.taken_port = False
        """`start` finds its port taken."""
        self._inbound: asyncio.Queue[TwinLeg | None] = asyncio.Queue()

    # What a test does

    def dial(self, leg: TwinLeg) -> TwinLeg:
        """A caller's INVITE is admitted."""
        self.legs[leg.id] = leg
        self._inbound.put_nowait(leg)
        return leg

    def break_off(self) -> None:
        """The stream of calls ends, as if by a fault."""
        self._inbound.put_nowait(None)

    # What the service does

    async def start(self) -> None:
        self.journal.append("sip started")
        if self.taken_port:
            raise BindError("udp", "127.0.0.1", 5060, "address in use")

    async def inbound(self) -> AsyncIterator[TwinLeg]:
        while (leg := await self._inbound.get()) is not None:
            yield leg

    async def drain(self) -> None:
        self.journal.append("sip draining")
        self.draining.set()

    async def stop(self) -> None:
        self.journal.append("sip stopped")
        for leg in self.legs.values():
            leg.hang_up(Side.GATEWAY)

    def registrations(self) -> list[RegistrationState]:
        return self.unregistered

    def hops(self) -> list[HopState]:
        return self.pinged

    def counters(self) -> Counters:
        legs = sum(leg.ended is None for leg in self.legs.values())
        return replace(Counters(*[0] * len(fields(Counters))), legs_active=legs)


class TwinTokens(TwinResumptions):
    """`gateway.call.Tokens` in memory."""

    async def redeem(self, token: str, trunk: str) -> Resumption | Refused:
        await asyncio.sleep(0)
        if token not in self.offered:
            return Refused(Refusal.UNKNOWN)
        return self.offered.pop(token)[0]


class TwinPromptStore(TwinPrompts):
    """`ivr.prompts.PromptStore` without speech."""

    def __init__(self, journal: list[str] | None = None) -> None:
        super().__init__(Stage())
        self.journal = [] if journal is None else journal

    async def prepare(self) -> None:
        self.journal.append("prompts prepared")
