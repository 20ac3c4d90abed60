"""Two legs joined here: audio, digits and hold cross from one to the other.

A hold ends at us. The party that is held hears our music, not whatever its peer sends meanwhile,
and gets no re-INVITE: what its side would make of one is not known, what it hears from us is.
"""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from sip.audio import Pcm
from sip.events import Event, HoldChanged
from sip.leg import Leg
from sip.transfer.evidence import Evidence


class Bridge:
    """Joins two legs for as long as it is entered."""

    def __init__(
        self, caller: Leg, target: Leg, hold_music: Pcm | None, evidence: Evidence
    ) -> None:
        self._caller = caller
        self._target = target
        self._hold_music = hold_music
        self._evidence = evidence
        self._events = ExitStack()

    def __enter__(self) -> Self:
        self._caller.join(self._target)
        self._events.enter_context(self._caller.listening(self._observe))  # hears of both legs
        for leg, other in self._both_ways():
            leg.digits.relay_to(other.press)
            if leg.held:
                self._hold(leg, other)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._events.close()
        for leg, other in self._both_ways():
            leg.digits.relay_to(None)
            if leg.held:
                other.audio.stop_loop()
        self._caller.part()

    def _both_ways(self) -> tuple[tuple[Leg, Leg], tuple[Leg, Leg]]:
        return (self._caller, self._target), (self._target, self._caller)

    def _observe(self, event: Event) -> None:
        if not isinstance(event, HoldChanged):
            return
        for leg, other in self._both_ways():
            if event.leg == leg.label:
                (self._hold if event.held else self._resume)(leg, other)

    def _hold(self, leg: Leg, other: Leg) -> None:
        self._evidence.step("hold", detail=f"by {leg.label}")
        other.audio.unhear()
        if self._hold_music is not None and not other.gone:
            other.audio.loop(self._hold_music)

    def _resume(self, leg: Leg, other: Leg) -> None:
        self._evidence.step("resume", detail=f"by {leg.label}")
        other.audio.stop_loop()
        other.audio.hear(leg.audio)
