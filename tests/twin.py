"""The world of a flow, in memory: twins of the caller's call, of the bot and of the prompts.

Nothing here waits for time. Every operation takes a few counted steps, and a test can act at any of
them: hang up, decide, cancel. What happened is written to one journal, in order.

    stage = Stage()
    call = TwinCall(stage, [Verdict(Outcome.BUSY, 486)])
    stage.at(3, call.hang_up)
    stage.on("play Welcome", call.hang_up)
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.call_recordings import Party, RecordAction
from config.flows import FilePrompt, Prompt, Waiting
from config.groups import Group
from config.targets import Target
from ivr.flow_run import prompt_label
from ivr.ports import (
    Accepts,
    BotExit,
    BotGoto,
    BotStart,
    BotTransfer,
    CallEnded,
    Dismissal,
    RecordOrder,
)
from ivr.prompts.errors import PromptError
from ivr.reaching import Progress
from ivr.resumption import Resumption
from sip.audio import Pcm
from sip.context.received import Received
from sip.events import (
    Event,
    LegEnded,
    MediaQuality,
    TransferEnded,
    TransferJoined,
    TransferStarted,
)
from sip.order import TransferOrder
from sip.outcome import Attempt, Handover, Method, Outcome, Side


class Stage:
    """The journal of all twins of a call, and the count of their steps."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.steps = 0
        self._at: defaultdict[int, list[Callable[[], object]]] = defaultdict(list)
        self._on: defaultdict[str, list[Callable[[], object]]] = defaultdict(list)

    def at(self, step: int, action: Callable[[], object]) -> None:
        """Do something when the step of this number, counted from 1, is taken."""
        self._at[step].append(action)

    def on(self, entry: str, action: Callable[[], object]) -> None:
        """Do something at the step after this entry is first written to the journal."""
        self._on[entry].append(action)

    async def take(self, entry: str = "") -> None:
        """One step: others run, and may cancel the one who waits here."""
        self.steps += 1
        if entry:
            self.journal.append(entry)
        for action in self._at.pop(self.steps, []) + self._on.pop(entry, []):
            action()
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one transfer attempt."""

    outcome: Outcome = Outcome.CONNECTED
    code: int | None = None
    rings: bool = False
    """The target rings until the attempt is cancelled or the caller hangs up."""
    talks: bool = False
    """Caller and target talk until `TwinCall.agent_leaves` or the caller hangs up."""
    retry_after: int | None = None
    bye_first: bool = False
    """REFER: the peer ends the leg before the verdict is in, not after it."""


@dataclass(frozen=True, slots=True)
class TwinFacts:
    """`ivr.ports.CallFacts` of a call to 1000."""

    trunk: str = "carrier"
    caller: str = "+4930123"
    number: str = "1000"
    received: Received = field(default_factory=Received)


class TwinCall:
    """`ivr.ports.CallerCall` without SIP. An attempt beyond the script is connected at once."""

    info: Any = TwinFacts()
    id = "0123456789abcdef"
    label = "caller"

    def __init__(self, stage: Stage, verdicts: Iterable[Verdict] = ()) -> None:
        self.stage = stage
        self.endless: set[str] = set()
        """Prompts that play until they are stopped."""
        self.orders: list[TransferOrder] = []
        self.looped: Pcm | None = None
        """The sound that the caller waits by."""
        self.sounds: list[str] = []
        """Those that were looped."""
        self.ended: Side | None = None
        """Who ended the leg."""
        self.answered = False
        self.refused_with = 0
        """What a caller that was never answered is refused with."""
        self._verdicts = iter(verdicts)
        self._listeners: list[Callable[[Event], None]] = []
        self._leg_ended = asyncio.Event()
        self._agent_left = asyncio.Event()

    # What a test does

    def hang_up(self, by: Side = Side.CALLER) -> None:
        """The leg ends."""
        if self.ended is None:
            self.ended = by
            self._leg_ended.set()
            self.stage.journal.append(f"ended by {by}")
            self._publish(LegEnded(self.label, 200, "", by, MediaQuality()))

    def tells(self, event: Event) -> None:
        """Something happens on the call."""
        self._publish(event)

    def agent_leaves(self) -> None:
        """The agent hangs up."""
        self._agent_left.set()

    # What a flow does

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self._listeners.append(listener)

    async def answer(self) -> None:
        await self._step("answer")
        self.answered = True
        await self._step()

    async def play(self, audio: Pcm) -> None:
        label = audio.samples.decode()
        try:
            await self._step(f"play {label}")
            if label in self.endless:
                await self._leg_ended.wait()
            await self._step()
            self.stage.journal.append(f"played {label}")
        except asyncio.CancelledError:
            self.stage.journal.append(f"stopped {label}")
            raise

    def loop(self, audio: Pcm) -> None:
        self.looped = audio
        self.sounds.append(audio.samples.decode())

    def alert(self, audio: Pcm) -> None:
        self.loop(audio)

    def stop_loop(self) -> None:
        self.looped = None

    async def transfer(self, order: TransferOrder) -> Attempt:
        if self.ended:
            raise CallEnded
        self.orders.append(order)
        verdict = next(self._verdicts, Verdict())
        cancelled = asyncio.Event()
        order.withdrawal.add_done_callback(lambda _: cancelled.set())
        self._agent_left.clear()
        outcome, code = Outcome.CANCELLED, verdict.code
        bye_by: Side | None = None
        self._publish(
            TransferStarted(order.attempt, order.method, order.name, order.target.destination)
        )
        try:
            await self.stage.take(f"{order.method} {order.name} as {order.attempt}")
            if verdict.rings:
                await _first(cancelled, self._leg_ended)
            if verdict.bye_first:
                self.hang_up()
            elif self.ended:
                outcome, code = Outcome.ABANDONED, 487
                return self._end(order, outcome, code)
            elif cancelled.is_set():
                outcome, code = Outcome.CANCELLED, 487
                return self._end(order, outcome, code)
            outcome = verdict.outcome
            if outcome.succeeded and order.method is Method.INVITE and not order.claim():
                return self._end(order, Outcome.CANCELLED, 200)
            if order.method is Method.BYE and outcome is not Outcome.BLOCKED:
                self.hang_up(Side.GATEWAY)  # the BYE is sent, whatever is answered
            if outcome.succeeded:
                bye_by = await self._connected(order, verdict)
            return self._end(order, outcome, code, bye_by, verdict.retry_after)
        except asyncio.CancelledError:
            self._end(order, outcome, code, Side.GATEWAY)
            raise

    async def hangup(self, headers: Mapping[str, str], code: int = 603) -> None:
        self.refused_with = 0 if self.answered else code
        sent = "".join(f" {name}: {value}" for name, value in headers.items())
        await self._step("bye" + sent)
        self.hang_up(Side.GATEWAY)
        await self.stage.take()

    async def _connected(self, order: TransferOrder, verdict: Verdict) -> Side:
        match order.method:
            case Method.INVITE | Method.ATTENDED:
                self._publish(TransferJoined(order.attempt, "agent-1"))
                await self.stage.take(f"joined {order.name}")
                if verdict.talks:
                    await _first(self._agent_left, self._leg_ended)
                return Side.CALLER if self.ended else Side.TARGET
            case Method.REFER:
                await self.stage.take(f"referred to {order.name}")
                self.hang_up()
                return Side.CALLER
            case Method.BYE:
                await self.stage.take()
                return Side.GATEWAY
            case Method.AUTO:
                raise AssertionError("an attempt has a method of its own")

    def _end(
        self,
        order: TransferOrder,
        outcome: Outcome,
        code: int | None,
        bye_by: Side | None = None,
        retry_after: int | None = None,
    ) -> Attempt:
        attempt = Attempt(
            id=order.attempt,
            method=order.method,
            target=order.name,
            uri=order.target.destination,
            outcome=outcome,
            code=code,
            bye_by=bye_by,
            retry_after=retry_after,
        )
        self.stage.journal.append(f"{order.attempt} {outcome}")
        self._publish(TransferEnded(attempt))
        return attempt

    async def _step(self, entry: str = "") -> None:
        if self.ended:
            raise CallEnded
        await self.stage.take(entry)
        if self.ended:
            raise CallEnded

    def _publish(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


class TwinResumptions:
    """Hand-back tokens in memory: `token-1`, `token-2` …"""

    def __init__(self) -> None:
        self.offered: dict[str, tuple[Resumption, str]] = {}
        """What was offered and not withdrawn, and to which trunk, by token."""
        self.given = 0
        self.full = False
        """Nothing can be kept."""

    async def offer(self, resumption: Resumption, trunk: str) -> str:
        await asyncio.sleep(0)
        if self.full:
            return ""
        self.given += 1
        token = f"token-{self.given}"
        self.offered[token] = (resumption, trunk)
        return token

    def withdraw(self, token: str) -> None:
        del self.offered[token]


class TwinBot:
    """`ivr.ports.BotPort` without a socket: leaves a conversation by the next exit of its script.

    A refused exit is followed by the next one in the same conversation. After the script the bot
    listens until it is stopped.
    """

    def __init__(self, stage: Stage, exits: Iterable[BotExit] = ()) -> None:
        self.stage = stage
        self.starts: list[BotStart] = []
        self.refusals: list[str] = []
        self.told: list[Progress | Handover] = []
        """What a bot that stays would be told."""
        self.dismissals: list[Dismissal] = []
        self.asks = True
        """False: a session that breaks its contract and does not ask what the flow accepts."""
        self.goodbye = False
        """True: releasing the bot takes a step, as a WebSocket's closing handshake does."""
        self._exits = iter(exits)

    async def converse(self, start: BotStart, accepts: Accepts) -> BotExit:
        self.starts.append(start)
        try:
            await self.stage.take(f"bot {start.bot}")
            for chosen in self._exits:
                await self.stage.take()
                refusal = self._refused(chosen, accepts)
                if refusal is None:
                    return chosen
                self.refusals.append(refusal)
            await self.stage.take("bot listens")
            await asyncio.Event().wait()
            raise AssertionError("a bot that listens can only be stopped")
        finally:
            if self.goodbye:
                await self.stage.take(f"goodbye to {start.bot}")
            self.stage.journal.append(f"bot {start.bot} released")

    def tell(self, news: Progress | Handover) -> None:
        self.told.append(news)

    def dismiss(self, why: Dismissal) -> None:
        self.dismissals.append(why)

    def _refused(self, chosen: BotExit, accepts: Accepts) -> str | None:
        if self.asks and isinstance(chosen, BotTransfer | BotGoto):
            return accepts(chosen)
        return None


class TwinAvailability:
    """`ivr.ports.Availability` from a list of those who are not there."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.closed: dict[str, str] = {}
        """Why not, by name."""
        self.asked: list[str] = []

    async def unavailable(self, name: str, whom: Target | Group) -> str | None:
        self.asked.append(name)
        await self.stage.take(f"is {name} there" if name in self.closed else "")
        return self.closed.get(name)


class TwinCapabilities:
    """`ivr.ports.TrunkCapabilities` that remembers for one call."""

    def __init__(self) -> None:
        self.known: dict[str, bool] = {}
        self.shown: list[tuple[str, bool, int | None]] = []

    def takes_refer(self, trunk: str) -> bool | None:
        return self.known.get(trunk)

    def showed_refer(self, trunk: str, *, takes: bool, code: int | None) -> None:
        self.known[trunk] = takes
        self.shown.append((trunk, takes, code))


class TwinRecording:
    """`ivr.ports.Recording` without files."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.recorded: set[str] = set()
        self.refusal: str | None = None
        """Why nothing can be done."""

    def active(self, party: Party) -> bool:
        return party in self.recorded

    def act(self, order: RecordOrder) -> str | None:
        if self.refusal is None:
            self.stage.journal.append(f"recording {order.action} {order.leg}".rstrip())
            if order.action is RecordAction.START:
                self.recorded.add(order.leg or Party.CALLER)
        return self.refusal


class TwinPrompts:
    """`ivr.ports.PromptSource` without speech: the audio of a prompt is its words."""

    def __init__(self, stage: Stage, broken: Iterable[str] = ()) -> None:
        self.stage = stage
        self.broken = set(broken)
        """Prompts that cannot be played."""

    def prepared(self, prompt: Prompt) -> Pcm:
        label = prompt_label(prompt)
        if label in self.broken:
            raise PromptError(f"{label} is broken")
        return Pcm(label.encode(), 8000)

    async def render(self, flow: str, prompt: Prompt) -> Pcm:
        await self.stage.take(f"render {prompt_label(prompt)}")
        return self.prepared(prompt)

    def refusal(self, flow: str, prompt: Prompt) -> str | None:
        if isinstance(prompt, FilePrompt) and prompt.file.is_absolute():
            return "outside the flow's folder"
        return None

    def waiting(self, kind: Waiting) -> Pcm:
        return Pcm(kind.encode(), 8000)


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
