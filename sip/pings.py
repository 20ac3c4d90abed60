"""OPTIONS to the trunks' next hops (RFC 3261 section 11): which of them are in service.

Any final response is a sign of life, whatever it says. A hop without one is passed over by calls
(`sip/hops.py`) until it answers again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import structlog

from config.trunks import Ping, Trunk
from sip.hops import Hops

log = structlog.get_logger(__name__)

# Around each interval, so that the gateways of one provider do not keep step.
JITTER = (0.8, 1.2)

# Seconds within which the first ones leave: a start with many trunks is no flood.
FIRST_WITHIN = 1.0

Send = Callable[[str, int, int], None]
"""(trunk, hop, number of the question); OSError: it cannot leave."""


@dataclass(frozen=True, slots=True)
class HopState:
    """How a next hop of a trunk that has `ping` stands."""

    trunk: str
    uri: str
    up: bool | None = None
    """None: it was not asked yet."""
    code: int = 0
    """SIP status of the last answer; 0: none came."""
    reason: str = ""


class Pings:
    """Asks every next hop of the trunks that have `ping`, again and again."""

    def __init__(self, trunks: Mapping[str, Trunk], hops: Mapping[str, Hops], send: Send) -> None:
        self._hops = hops
        self._send = send
        self._plans: dict[tuple[str, int], Ping] = {}
        self._states: dict[tuple[str, int], HopState] = {}
        for name, trunk in trunks.items():
            if trunk.ping is not None:
                for hop, uri in enumerate(trunk.hops):
                    self._plans[name, hop] = trunk.ping
                    self._states[name, hop] = HopState(name, uri)
        self._timers: dict[tuple[str, int], asyncio.TimerHandle] = {}
        self._questions: dict[int, tuple[str, int]] = {}
        self._last = 0

    @property
    def states(self) -> list[HopState]:
        """Of each hop that is asked."""
        return list(self._states.values())

    def start(self) -> None:
        """Begin to ask."""
        for place, plan in self._plans.items():
            self._after(random.uniform(0, min(FIRST_WITHIN, plan.interval)), place)

    def stop(self) -> None:
        """Ask no more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._questions.clear()

    def answered(self, question: int, code: int, reason: str) -> None:
        """A final response came; `code` 0: none, because it could not be sent or was not answered.

        What comes later than the timeout is too late.
        """
        place = self._questions.pop(question, None)
        if place is None:
            return
        self._conclude(place, code, reason)
        self._after(self._plans[place].interval * random.uniform(*JITTER), place)

    def _after(self, seconds: float, place: tuple[str, int]) -> None:
        if (timer := self._timers.get(place)) is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[place] = loop.call_later(seconds, self._ask, place)

    def _ask(self, place: tuple[str, int]) -> None:
        self._last = question = self._last + 1
        self._questions[question] = place
        limit = self._plans[place].timeout
        loop = asyncio.get_running_loop()
        self._timers[place] = loop.call_later(
            limit, partial(self.answered, question, 0, f"no answer in {limit:g} s")
        )
        try:
            self._send(*place, question)
        except OSError as error:
            self.answered(question, 0, str(error))

    def _conclude(self, place: tuple[str, int], code: int, reason: str) -> None:
        before, (trunk, hop) = self._states[place], place
        up = code > 0
        self._states[place] = now = replace(before, up=up, code=code, reason=reason)
        self._hops[trunk].pinged(hop, alive=up)
        if up and before.up is False:
            log.info("hop in service", trunk=trunk, hop=now.uri, code=code, reason=reason)
        elif not up and before.up is not False:
            log.warning("hop out of service", trunk=trunk, hop=now.uri, reason=reason)
