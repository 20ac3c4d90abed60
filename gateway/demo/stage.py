"""Everybody who takes part in the demo, each in a process of its own, and one call between them.

127.0.0.1   the gateway and the bot
127.0.0.2   the carrier: the caller's telephone, and whom the carrier can dial
127.0.0.3   the PBX: the agents' telephones
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from config.configuration import Configuration
from config.rules import destination_uri
from config.uri import parse_uri
from gateway.api.models import CallDetail, CallList, EndedCall, TimelineEvent
from gateway.demo import bot
from gateway.demo.configuration import lay_out
from gateway.demo.programs import DemoError, running, switchhook, until
from ivr.prompts.store import PromptStore
from sip.softphone.commands import Dial, Dtmf, Policy
from sip.softphone.driver import Softphone
from sip.softphone.reports import Report

CALLER_ADDRESS = "127.0.0.2"
SIP_PORT = 5060
CALLER_TONE = 440
"""Hz. A tone of one frequency is no DTMF digit, which is two (ITU-T Q.23)."""

START_LIMIT = 30.0
"""Seconds for a process to start: the gateway speaks its prompts the first time."""

STEP_LIMIT = 15.0
"""Seconds for the next thing in a call: the longest words of the demo take six."""


class Stage:
    """The running demo; made by `open_stage`."""

    def __init__(
        self,
        *,
        folder: Path,
        configuration: Configuration,
        prompts: PromptStore,
        api: httpx.AsyncClient,
        caller: Softphone,
        agents: dict[tuple[str, int], Softphone],
    ) -> None:
        self.folder = folder
        self.configuration = configuration
        self.prompts = prompts
        self.caller = caller
        self._api = api
        self._agents = agents

    async def instruct(self, target: str, **behaviour: Any) -> Softphone:
        """Tell a target how to take its calls; returns its telephone."""
        user, place = _place(self.configuration, target)
        phone = self._agents[place]
        await phone.send(Policy(user=user, **behaviour))
        return phone

    async def call(self, name: str) -> Call:
        """Let the caller call the gateway; what is heard is recorded to NAME.wav.

        Raises:
            SoftphoneError: the call is not answered.
            DemoError: the gateway does not know the call.
        """
        listen = self.configuration.settings.sip.listen[0]
        recording = self.folder / f"{name}.wav"
        number = f"sip:100@{listen.address}:{listen.port}"
        await self.caller.send(
            Dial(call=name, to=number, caller="alice", tone=CALLER_TONE, record=recording)
        )
        confirmed = await self.caller.expect("confirmed", name, within=STEP_LIMIT)
        call = Call(self.caller, name, recording, self._api)
        await call.find(confirmed.headers["Call-ID"])
        return call


class Call:
    """One call: what the caller's telephone reports of it, and what the gateway's API knows."""

    def __init__(
        self, phone: Softphone, name: str, recording: Path, api: httpx.AsyncClient
    ) -> None:
        self.phone = phone
        self.name = name
        self.recording = recording
        self._api = api
        self.pressed: list[str] = []
        self._id = ""
        self._seen = 0

    async def find(self, sip_call_id: str) -> None:
        """Learn the gateway's id of the call."""

        async def known() -> bool:
            for state in ("live", "ended"):
                calls = CallList.model_validate_json(await self._ask(f"?state={state}")).calls
                self._id = next((c.id for c in calls if c.sip_call_id == sip_call_id), "")
                if self._id:
                    break
            return bool(self._id)

        await until(known, "the gateway knows the call", STEP_LIMIT)

    async def event(self, name: str, **facts: object) -> TimelineEvent:
        """The next event of the timeline with this name and these fields; waits for it.

        Raises:
            DemoError: it did not come in time; the message has the timeline's end.
        """
        rows: list[TimelineEvent] = []
        found: list[TimelineEvent] = []

        async def happened() -> bool:
            rows[:] = (await self.detail()).timeline
            for at, row in enumerate(rows[self._seen :], self._seen):
                fields = row.model_extra or {}
                if row.name == name and all(fields.get(k) == v for k, v in facts.items()):
                    self._seen = at + 1
                    found.append(row)
                    return True
            return False

        try:
            await until(happened, f"{name} {facts or ''}".strip(), STEP_LIMIT)
        except DemoError as error:
            last = ", ".join(row.name for row in rows[-8:])
            raise DemoError(f"{error}; the call's last events: {last}") from None
        return found[0]

    async def press(self, digit: str) -> None:
        """Press a key (RFC 4733)."""
        self.pressed.append(digit)
        await self.phone.send(Dtmf(call=self.name, digits=digit))

    async def ended(self) -> Report:
        """Wait until the caller's telephone has seen the end, and its recording is complete."""
        report = await self.phone.expect("disconnected", self.name, within=STEP_LIMIT)
        await self.phone.expect("recorded", self.name, within=STEP_LIMIT)
        return report

    async def detail(self) -> CallDetail:
        """The call as the API shows it now."""
        return CallDetail.model_validate_json(await self._ask(f"/{self._id}"))

    async def record(self) -> tuple[EndedCall, list[TimelineEvent]]:
        """The stored record and the whole timeline, once the call is over."""
        ended: list[tuple[EndedCall, list[TimelineEvent]]] = []

        async def stored() -> bool:
            detail = await self.detail()
            if isinstance(detail.call, EndedCall):
                ended.append((detail.call, detail.timeline))
            return bool(ended)

        await until(stored, "the call's record", STEP_LIMIT)
        return ended[0]

    async def _ask(self, what: str) -> bytes:
        try:
            answer = await self._api.get(f"/v1/calls{what}")
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise DemoError(f"the gateway's API does not answer: {error}") from None
        return answer.content


@asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    """Start everybody; stop everybody when the block ends, however it ends.

    Raises:
        ConfigError: the example configuration is broken.
        DemoError, SoftphoneError: a process does not start; the message has its log.
    """
    configuration = lay_out(folder)
    settings = configuration.settings
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{settings.api.address}:{settings.api.port}")
        )
        bot_log = folder / "bot.log"
        port = httpx.URL(settings.bots["demo"].url).port
        await stack.enter_async_context(
            running(
                "the bot",
                (sys.executable, bot.__file__, "--port", str(port)),
                bot_log,
                lambda: asyncio.to_thread(_says, bot_log, "listening"),
                START_LIMIT,
            )
        )
        await stack.enter_async_context(
            running(
                "the gateway",
                switchhook("run", "--log-format", "json", str(configuration.path)),
                folder / "gateway.log",
                lambda: _answers(api),
                START_LIMIT,
            )
        )
        prompts = PromptStore(configuration)
        await prompts.prepare()
        places = sorted({_place(configuration, name)[1] for name in _dialled(configuration)})

        async def phone(address: str, port: int, name: str) -> Softphone:
            started = await Softphone.start(address, port, name=name)
            stack.push_async_callback(started.stop)
            return started

        try:
            async with asyncio.TaskGroup() as starting:
                caller = starting.create_task(phone(CALLER_ADDRESS, 0, "alice"))
                agents = {place: starting.create_task(phone(*place, "agent")) for place in places}
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        yield Stage(
            folder=folder,
            configuration=configuration,
            prompts=prompts,
            api=api,
            caller=caller.result(),
            agents={place: agent.result() for place, agent in agents.items()},
        )


def _dialled(configuration: Configuration) -> list[str]:
    """Targets that somebody dials: not those a call is handed back to."""
    targets = configuration.settings.targets
    return [name for name, target in targets.items() if target.method != "bye"]


def _place(configuration: Configuration, target: str) -> tuple[str, tuple[str, int]]:
    """User, address and port that a target is dialled at."""
    settings = configuration.settings
    uri = parse_uri(destination_uri(settings.targets[target], settings.trunks))
    return uri.user, (uri.host, uri.port or SIP_PORT)


def _says(log: Path, word: str) -> bool:
    return word in log.read_text(encoding="utf-8", errors="replace")


async def _answers(api: httpx.AsyncClient) -> bool:
    try:
        return (await api.get("/readyz")).is_success
    except httpx.TransportError:
        return False
