"""What the service needs of the SIP side: `sip.agent.SipAgent` and `sip.leg.Leg` fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from gateway.bots import caller
from gateway.recording.leg_recording import Recorder
from ivr.ports import CallerCall
from sip.events import Direction, LegEnded


class CallFacts(caller.CallFacts, Protocol):
    """What is known of a call from its INVITE."""

    @property
    def direction(self) -> Direction:
        """`received`: the call came in."""

    @property
    def flow(self) -> str:
        """Name of the flow that its route selected."""

    @property
    def caller(self) -> str:
        """User part of From."""

    @property
    def number(self) -> str:
        """What was dialled: user part of the request URI."""

    @property
    def source(self) -> str:
        """`address:port` the INVITE came from."""


class CallerLeg(CallerCall, caller.CallerLeg, Protocol):
    """The caller's leg."""

    @property
    def info(self) -> CallFacts:
        """What is known from the INVITE."""

    def reject(self, code: int, reason: str = "") -> None:
        """Refuse the INVITE. Raises `CallEnded`."""

    def record(self, label: str) -> Recorder:
        """Keep what the party of a leg of this call says and hears. Raises `CallEnded`,
        `MediaError`."""

    async def wait_ended(self) -> LegEnded:
        """Return when the leg is gone."""

    def unwatch(self) -> None:
        """The call is over: tell nobody any more what happens on the leg."""


class Registration(Protocol):
    """How a trunk stands with its provider (sip.registrations.RegistrationState)."""

    @property
    def trunk(self) -> str:
        """Its name."""

    @property
    def code(self) -> int:
        """SIP status of the last answer; 0: none yet."""

    @property
    def reason(self) -> str:
        """Its reason phrase."""

    @property
    def expires(self) -> int:
        """Seconds granted; 0: not registered."""


class Hop(Protocol):
    """A next hop of a trunk that has `ping` (sip.pings.HopState)."""

    @property
    def trunk(self) -> str:
        """Its trunk's name."""

    @property
    def uri(self) -> str:
        """Where it is."""

    @property
    def up(self) -> bool | None:
        """Whether it answers; None: it was not asked yet."""

    @property
    def code(self) -> int:
        """SIP status of the last answer; 0: none came."""

    @property
    def reason(self) -> str:
        """Its reason phrase, or why there is none."""


class Agent(Protocol):
    """One SIP endpoint: its calls come out of `inbound`."""

    async def start(self) -> None:
        """Listen. Raises `EngineError`, `BindError`."""

    def inbound(self) -> AsyncIterator[CallerLeg]:
        """Calls of known trunks, each with the flow its route selected."""

    async def drain(self) -> None:
        """Answer new INVITEs with 503 from now on."""

    async def stop(self) -> None:
        """End what is left, and stop listening."""

    def registrations(self) -> Sequence[Registration]:
        """The trunks that register, and how they stand."""

    def hops(self) -> Sequence[Hop]:
        """The next hops that are asked whether they are in service."""

    def counters(self) -> object:
        """A frozen dataclass of ints (sip.counters.Counters)."""
