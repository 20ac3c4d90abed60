"""The trunks that register with a provider (RFC 3261 section 10): refresh, failover, return.

PJSIP sends REGISTER and refreshes what was granted; when, and at which hop, `sip/hops.py` decides.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass

import structlog

from sip.hops import NextRegister, Registering
from sip.pj_account import PjAccount
from sip.pjsip import native, pj

log = structlog.get_logger(__name__)

# How long the end waits for the answers to its un-REGISTERs.
STOP_LIMIT = 3.0

JITTER = (0.8, 1.2)


@dataclass(frozen=True, slots=True)
class RegistrationState:
    """How a trunk's registration stands."""

    trunk: str
    code: int
    """SIP status of the last answer; 0: none yet."""
    reason: str
    expires: int
    """Seconds granted; 0: not registered."""
    server: str = ""
    """Where: the proxy or registrar that was asked last."""


class Registrations:
    """Keeps the trunks registered."""

    def __init__(self) -> None:
        self.states: dict[str, RegistrationState] = {}
        self._accounts: dict[str, PjAccount] = {}
        self._hops: dict[str, list[str]] = {}
        self._plans: dict[str, Registering] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._changed = asyncio.Event()
        self._stopping = False

    def begin(self, trunk: str, account: PjAccount, hops: list[str]) -> None:
        """A trunk's account was made, and PJSIP registers it at the first of these hops."""
        self.states[trunk] = RegistrationState(trunk, 0, "", 0, hops[0])
        self._accounts[trunk] = account
        self._hops[trunk] = hops
        self._plans[trunk] = Registering(len(hops), lambda: random.uniform(*JITTER))

    def hop(self, trunk: str) -> int:
        """Where the trunk is registered, or was asked to be; 0 for one that does not register."""
        plan = self._plans.get(trunk)
        return 0 if plan is None else plan.hop

    def answered(
        self, trunk: str, code: int, reason: str, expires: int, retry_after: int | None
    ) -> None:
        """A REGISTER was answered, or PJSIP has given up waiting."""
        plan = self._plans[trunk]
        server = self._hops[trunk][plan.hop]
        self.states[trunk] = RegistrationState(trunk, code, reason, expires, server)
        self._changed.set()
        if self._stopping:
            return
        if expires:
            log.info("registered", trunk=trunk, server=server, expires=expires)
        following = plan.answered(code, expires, retry_after)
        if following is not None:
            self._plan(trunk, following)
        if not expires:
            delay = None if following is None else round(following.delay, 1)
            log.warning(
                "not registered",
                trunk=trunk,
                server=server,
                code=code,
                reason=reason,
                again_in=delay,
            )

    async def stop(self) -> None:
        """Take the registrations back (RFC 3261 section 10.2.2)."""
        self._stopping = True
        for timer in self._timers.values():
            timer.cancel()
        for state in self.states.values():
            if state.expires:
                self._accounts[state.trunk].setRegistration(False)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_LIMIT):
                while any(state.expires for state in self.states.values()):
                    self._changed.clear()
                    await self._changed.wait()

    def _plan(self, trunk: str, following: NextRegister) -> None:
        if (timer := self._timers.pop(trunk, None)) is not None:
            timer.cancel()
        self._timers[trunk] = asyncio.get_running_loop().call_later(
            following.delay, self._register, trunk, following.hop
        )

    def _register(self, trunk: str, hop: int) -> None:
        account = self._accounts[trunk]
        self._plans[trunk].hop = hop
        try:
            native.route_use_hop(account.getId(), hop)
            account.setRegistration(True)
        except (pj.Error, OSError) as error:
            reason = str(getattr(error, "reason", "") or error)
            self.answered(trunk, 503, reason, 0, None)
