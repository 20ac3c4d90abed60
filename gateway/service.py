"""The running gateway: what it is made of, and how it starts, drains and stops.

start   database ─ API ─ prompts ─ SIP        ready once SIP listens
serve   until SIGTERM, SIGINT or SIGHUP
drain   new INVITEs get 503; calls in progress go on, for `drain` seconds at most
stop    SIP, which hangs up what is left ─ records ─ database ─ API
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial
from typing import Protocol

import structlog

from config import secrets
from config.configuration import Configuration
from config.graph import named_tags
from config.settings import Settings
from gateway import open_files, priority
from gateway.agent import Agent, Hop, Registration
from gateway.api import app
from gateway.api.keys import Access, Key
from gateway.api.models import Readiness
from gateway.api.server import ApiServer
from gateway.availability import Availability
from gateway.call import CallSession
from gateway.capabilities import TrunkCapabilities
from gateway.database import default_url
from gateway.errors import PartEnded
from gateway.events import CallFinished, EventBus
from gateway.expiry import expiries, expiring
from gateway.log import EventLog, logged
from gateway.memory import Memory
from gateway.metrics import Metrics
from gateway.recording.leg_recording import Place
from gateway.resumptions import ResumptionStore
from gateway.store import CallStore
from gateway.timeline import CallEvent
from ivr.ports import PromptSource

log = structlog.get_logger()

SESSION_LIMIT = 2.0
"""Seconds a session may take to make its record once SIP has stopped: its leg is gone."""
TEARS = 3
"""Times a session that takes longer is cancelled: its flow takes one, its waiting another."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stage(StrEnum):
    """Where the gateway is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    STOPPED = "stopped"


class Prompts(PromptSource, Protocol):
    """The prompts of the flows, and the work that makes them ready."""

    async def prepare(self) -> None:
        """Render every prompt of the flows. Raises `ConfigError`."""


class Gateway:
    """One gateway process."""

    def __init__(
        self, configuration: Configuration, agent: Agent, prompts: Prompts, log_level: int
    ) -> None:
        settings = configuration.settings
        self._configuration = configuration
        self._agent = agent
        self._prompts = prompts
        self._certificates = expiries(settings.sip)
        self.store = CallStore(settings.database or default_url(settings.data))
        self._resumptions = ResumptionStore(self.store.engine, settings.trunks, configuration.flows)
        self.memory = Memory(self.store.engine)
        self.availability = Availability(settings, self.memory)
        self.capabilities = TrunkCapabilities(settings.trunks, self.memory)
        self.metrics = Metrics(
            agent.counters, agent.hops, self.store, named_tags(configuration.flows)
        )
        self._recordings = Place(
            settings.recordings.folder or settings.data / "recordings", settings.recordings.format
        )
        self._bus = EventBus()
        self._bus.subscribe(EventLog(), logged(log_level))
        self._bus.subscribe(self.metrics, self.metrics.counted)
        self._bus.subscribe(self._keep_record, [CallFinished.name])
        keys = [
            Key.of(key.name, secrets.resolve(key.secret), Access(key.scope))
            for key in settings.api.keys
        ]
        self._api = ApiServer(app.build(self, keys), str(settings.api.address), settings.api.port)
        self._calls: dict[str, CallSession] = {}
        self._sessions: set[asyncio.Task[None]] = set()
        self._parts: list[asyncio.Task[None]] = []
        self._asked_to_stop = asyncio.Event()
        self._drained = asyncio.Event()
        self._hurry = False
        self.stage = Stage.STARTING

    @property
    def calls(self) -> Mapping[str, CallSession]:
        """The calls in progress, by id."""
        return self._calls

    @property
    def settings(self) -> Settings:
        """What is configured."""
        return self._configuration.settings

    @property
    def api_url(self) -> str:
        """Where the API is found; with its real port once the gateway has started."""
        return self._api.url

    def registrations(self) -> Sequence[Registration]:
        """The trunks that register, and how they stand."""
        return self._agent.registrations()

    def hops(self) -> Sequence[Hop]:
        """The next hops that are asked whether they are in service."""
        return self._agent.hops()

    def readiness(self) -> Readiness:
        """Whether new calls are taken, and what an operator should know."""
        serving = self.stage is Stage.SERVING
        warnings = [
            f"trunk {trunk.trunk} is not registered: {trunk.code or 'no answer yet'} {trunk.reason}"
            for trunk in self._agent.registrations()
            if not trunk.expires
        ]
        warnings += [
            f"{hop.uri} of trunk {hop.trunk} is out of service: {hop.reason}"
            for hop in self._agent.hops()
            if hop.up is False
        ]
        warnings += expiring(self._certificates)
        if self.store.problem is not None:
            warnings.append(f"records are not being written: {self.store.problem}")
        reasons = [] if serving else [self.stage.value]
        return Readiness(ready=serving, reasons=reasons, warnings=warnings)

    async def run(self) -> None:
        """Start, serve until a signal, drain, stop.

        Raises:
            StoreError, ApiBindError, ConfigError, SipError: a part cannot be had.
            PartEnded: a part ended by itself.
        """
        with self._signals():
            try:
                await self.start()
                await self.serve()
                await self.drain()
            finally:
                await self.stop()

    async def start(self) -> None:
        """Open everything; return when calls are taken. Raises as `run`; `stop` is due then too."""
        began = time.monotonic()
        settings = self._configuration.settings
        files = open_files.raise_limit(settings.sip.max_calls)
        await self.store.open()
        await self.memory.open()
        self._parts.append(await self._api.open())
        await self._prompts.prepare()
        nice = priority.raise_own()
        await self._agent.start()
        self._parts.append(asyncio.create_task(self._take_calls(), name="take calls"))
        self._parts.append(asyncio.create_task(self.metrics.watch_loop(), name="watch loop"))
        self.stage = Stage.SERVING
        log.info(
            "gateway ready",
            sip=[f"{at.transport}:{at.address}:{at.port}" for at in settings.sip.listen],
            api=self.api_url,
            configuration=str(self._configuration.path),
            max_calls=settings.sip.max_calls,
            open_files=files,
            nice=nice,
            start_ms=round((time.monotonic() - began) * 1000),
        )

    async def serve(self) -> None:
        """Take calls until asked to stop. Raises `PartEnded` when a part ends by itself."""
        asked = asyncio.create_task(self._asked_to_stop.wait(), name="asked to stop")
        done, _ = await asyncio.wait((asked, *self._parts), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        for part in done - {asked}:
            log.error("part ended", part=part.get_name(), exc_info=part.exception())
            raise PartEnded(f"`{part.get_name()}` ended by itself; the log has the reason")

    async def drain(self) -> None:
        """Refuse new calls, and wait for those in progress as long as the configuration allows."""
        self.stage = Stage.DRAINING
        limit = self._configuration.settings.drain
        log.info("gateway draining", calls=len(self._sessions), seconds=limit)
        await self._agent.drain()
        if self._sessions and not self._hurry:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), limit)

    async def stop(self) -> None:
        """Hang up what is left, store every record, and close. Safe after a `start` that failed."""
        self.stage = Stage.STOPPED
        log.info("gateway stopping", calls=len(self._sessions))
        await self._agent.stop()
        await self._see_sessions_off()
        await self._recordings.writer.close()
        await self._resumptions.close()
        await self.availability.close()
        await self.memory.close()
        await self.store.close()
        await self._api.close()
        for part in self._parts:
            part.cancel()
        await asyncio.gather(*self._parts, return_exceptions=True)
        log.info("gateway stopped", records=self.store.written, lost=self.store.lost)

    async def _take_calls(self) -> None:
        async for leg in self._agent.inbound():
            session = CallSession(
                leg,
                self._configuration,
                self._prompts,
                self._bus.publish,
                self._resumptions,
                availability=self.availability,
                capabilities=self.capabilities,
                recordings=self._recordings,
            )
            self._calls[leg.id] = session
            task = asyncio.create_task(session.run(), name=f"call {leg.id}")
            self._sessions.add(task)
            task.add_done_callback(partial(self._call_over, leg.id))

    def _call_over(self, call_id: str, task: asyncio.Task[None]) -> None:
        self._sessions.discard(task)
        del self._calls[call_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("session failed", call_id=call_id, exc_info=error)
        if not self._sessions and self.stage is not Stage.SERVING:
            self._drained.set()

    def _keep_record(self, stamped: CallEvent) -> None:
        if isinstance(stamped.event, CallFinished):
            self.store.put(stamped.event.call)

    async def _see_sessions_off(self) -> None:
        """Wait until every session has made its record; their legs have been hung up."""
        for tear in range(TEARS + 1):
            if not self._sessions:
                return
            for session in self._sessions if tear else ():
                session.cancel()
            await asyncio.wait(self._sessions, timeout=SESSION_LIMIT)
        log.error("sessions left behind", calls=sorted(self._calls))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first SIGTERM or SIGINT asks to stop, the second cuts the draining short.

        SIGHUP asks too: a terminal that is closed sends it, mostly more than once. `nohup` has the
        gateway ignore it.
        """
        loop = asyncio.get_running_loop()
        heard = dict.fromkeys(SIGNALS, self.ask_to_stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            heard[signal.SIGHUP] = self._asked_to_stop.set
        for number, ask in heard.items():
            loop.add_signal_handler(number, ask)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)

    def ask_to_stop(self) -> None:
        """Drain, then stop; asked twice, stop at once."""
        self._hurry = self._asked_to_stop.is_set()
        self._asked_to_stop.set()
        if self._hurry:
            self._drained.set()
