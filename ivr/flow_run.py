"""One call's run through its flows: where it is, what came before, and what nodes act on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Protocol

import structlog

from config.call_recordings import CONSENT_VARIABLE, Consent, RecordAction
from config.flows import FilePrompt, Flow, Prompt, Prompts, TextPrompt, Waiting
from ivr.context import Filling, facts
from ivr.events import Playback, PromptEnded, PromptStarted
from ivr.hunt.lines import Lines
from ivr.ports import (
    Availability,
    BotPort,
    CallerCall,
    Dismissal,
    PromptSource,
    Recording,
    RecordOrder,
    TrunkCapabilities,
)
from ivr.prompts.errors import PromptError
from ivr.reaching import Reaching, result
from ivr.result import EndReason
from ivr.resumption import Resumption, Resumptions, handover_told
from ivr.tasks import cut, stop
from ivr.transfer_request import Directory, TransferRequest
from sip.audio import Pcm
from sip.errors import MediaError
from sip.events import Event, TransferEnded
from sip.order import Withdrawal
from sip.outcome import Attempt, Handover, HandoverStatus, Method, Outcome, Side

log = structlog.get_logger()

DECLINE = 603
"""RFC 3261 section 21.6.2."""

IN_PROGRESS = frozenset({HandoverStatus.QUEUED, HandoverStatus.RINGING, HandoverStatus.ACTIVE})


@dataclass(frozen=True, slots=True)
class Place:
    """A node of a flow, by name."""

    flow: str
    node: str


@dataclass(frozen=True, slots=True)
class End:
    """The flow is over, and the caller's leg with it."""

    reason: EndReason
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent on the BYE."""
    message: str = ""
    code: int = DECLINE
    """What the INVITE of a caller that was never answered is refused with, 300 to 699."""


Step = Place | End
"""What a node returns: where the call goes."""


class Chase(Protocol):
    """A hunt for somebody who takes the caller (ivr/hunt/chase.py)."""

    def stop(self, why: Withdrawal) -> None:
        """Call off whoever is rung. Without effect once somebody has the caller."""

    @property
    def beyond_recall(self) -> bool:
        """Whether the caller has been handed over by REFER or BYE: no message takes that back."""

    def line_free(self) -> None:
        """A leg is gone."""


class FlowRun:
    """The state of one call, shared by the interpreter and the node it is in."""

    def __init__(
        self,
        *,
        flows: Mapping[str, Flow],
        start: str,
        call: CallerCall,
        bot: BotPort,
        prompts: PromptSource,
        directory: Directory,
        availability: Availability,
        capabilities: TrunkCapabilities,
        emit: Callable[[Event], None],
        rng: Random,
        recording: Recording,
        resumptions: Resumptions,
        resumed: Resumption | None,
    ) -> None:
        self.flows = flows
        self.call = call
        self.bot = bot
        self.prompts = prompts
        self.directory = directory
        self.availability = availability
        self.capabilities = capabilities
        self.emit = emit
        self.rng = rng
        self.start = start
        self.recording = recording
        self.resumptions = resumptions
        self.place = Place(start, resumed.node if resumed else flows[start].start)
        self.path: list[str] = []
        self.variables = {
            **(resumed.variables if resumed else {}),
            **call.info.received.variables,
        }
        self.request = TransferRequest()
        """The last transfer that a bot or an operator asked for."""
        self.brought: Handover | None = (
            handover_told(call.info.received.status, resumed.target) if resumed else None
        )
        """What became of the caller before this call, if it goes on where another one left."""
        self.handover: Handover | None = self.brought
        self.attempts: dict[str, Attempt] = {}
        """Those with a verdict, by id."""
        self.tags: list[str] = []
        """What the call was filed under by those who ended it without a person."""
        self.attempts_made = 0
        self.caller_left: Side | None = None
        """Who ended the caller's leg; None while it lives."""
        self.withdrawn: Withdrawal | None = None
        """Why the transfer was taken back before anything was dialled."""
        self.cancel_digit: str | None = None
        """The digit by which the caller takes back the transfer that is under way."""
        self.lines = Lines()
        self.reaching = Reaching()
        self.chase: Chase | None = None
        """The hunt for somebody who takes the caller, while it goes on."""
        self.reminder: asyncio.Task[None] | None = None
        """Repeats the accepted message while targets are rung."""
        self.announcement: asyncio.Task[None] | None = None
        """The accepted message of a transfer, while it is played."""
        self.continue_at: Place | None = None
        """Where the call goes on once the agent has left; None: below the transfer."""
        self.answered = asyncio.Event()
        """The caller's INVITE has its 200."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def flow(self) -> Flow:
        """The flow the call is in."""
        return self.flows[self.place.flow]

    def to(self, node: str) -> Place:
        """A node of the flow the call is in."""
        return Place(self.place.flow, node)

    def label(self, place: Place) -> str:
        """A node as the call's path names it: `node`, or `flow/node` outside its first flow."""
        return place.node if place.flow == self.start else f"{place.flow}/{place.node}"

    def filling(self) -> Filling:
        """What fills in the templates of a node, with what is known of the call now."""
        *_, last = (self.brought, *map(Handover.of, self.attempts.values()))
        return Filling(facts(self.call.id, self.call.info, self.variables, last))

    def wait_by(self, kind: Waiting) -> None:
        """Let the caller hear that somebody is being reached, until `stop_loop` of the call.

        Music comes from us. Ringing of a caller that is not answered is its own telephone's.
        """
        sound = self.prompts.waiting(kind)
        if kind is Waiting.MUSIC:
            self.call.loop(sound)
        else:
            self.call.alert(sound)

    async def answer(self) -> None:
        """Answer the caller, if that has not happened yet."""
        if not self.answered.is_set():
            await self.call.answer()
            self.answered.set()

    # Recording

    @property
    def consent(self) -> Consent:
        """Whether the caller agrees to be recorded, as far as somebody has said so."""
        said = self.variables.get(CONSENT_VARIABLE, "")
        return Consent(said) if said in tuple(Consent) else Consent.UNKNOWN

    def record_call(self, order: RecordOrder | None, consent: Consent | None = None) -> str:
        """Note the caller's consent, and do something with the recordings.

        Returns:
            Why that cannot be done; empty: it is done.
        """
        if consent is not None:
            self.variables[CONSENT_VARIABLE] = consent.value
        if order is None:
            return ""
        if order.action is RecordAction.START and self.consent is Consent.DECLINED:
            return "the caller has declined to be recorded"
        return self.recording.act(order) or ""

    # Prompts

    async def play(self, prompts: Prompts) -> None:
        """Play a prompt of the flow to its end, one of several chosen at random.

        One that cannot be played is reported and passed over: silence is better than a lost call.
        """
        prompt, audio = self._chosen(prompts)
        if audio is not None:
            await self.sound(prompt, audio)

    def audio(self, prompts: Prompts | None) -> Pcm | None:
        """A prompt that somebody else than the caller hears too; None: there is nothing to play."""
        return None if prompts is None else self._chosen(prompts)[1]

    def one_of(self, prompts: Prompts) -> Prompt:
        """One of several, at random."""
        return self.rng.choice(prompts) if isinstance(prompts, list) else prompts

    def _chosen(self, prompts: Prompts) -> tuple[Prompt, Pcm | None]:
        prompt = self.one_of(prompts)
        try:
            return prompt, self.prompts.prepared(prompt)
        except PromptError as error:
            self.report_unplayable(prompt, error)
            return prompt, None

    async def sound(self, prompt: Prompt, audio: Pcm) -> None:
        """Play audio to its end, with its events."""
        words = prompt_label(prompt)
        self.emit(PromptStarted(words, round(audio.seconds * 1000)))
        try:
            await self.call.play(audio)
        except MediaError as error:
            self.report_unplayable(prompt, error)
        except BaseException:
            self.emit(PromptEnded(words, Playback.STOPPED))
            raise
        else:
            self.emit(PromptEnded(words, Playback.PLAYED))

    def report_unplayable(self, prompt: Prompt, error: PromptError | MediaError) -> None:
        """Say in the timeline and the log that a prompt was left out."""
        words = prompt_label(prompt)
        self.emit(PromptEnded(words, Playback.FAILED, str(error)))
        log.error("prompt not played", call_id=self.call.id, prompt=words, error=str(error))

    # Handover

    @property
    def caller_hung_up(self) -> bool:
        """Whether the caller's leg is gone, and it was not we who ended it."""
        return self.caller_left not in (None, Side.GATEWAY)

    @property
    def handing_over(self) -> bool:
        """Whether a transfer has been ordered and has not ended."""
        return self.handover is not None and self.handover.status in IN_PROGRESS

    @property
    def connected(self) -> bool:
        """Whether caller and target hear each other."""
        return self.handover is not None and self.handover.status is HandoverStatus.ACTIVE

    @property
    def beyond_recall(self) -> str | None:
        """Why the transfer that is under way cannot be taken back any more; None: it can."""
        if self.connected:
            return "caller and target are already talking"
        if self.chase is not None and self.chase.beyond_recall:
            return "the caller has been handed over already"
        return None

    def next_attempt(self) -> str:
        """An id for the next attempt: `t1`, `t2` …"""
        self.attempts_made += 1
        return f"t{self.attempts_made}"

    def record(self, attempt: Attempt) -> None:
        """Take an attempt's verdict."""
        self.attempts[attempt.id] = attempt

    def file_under(self, tags: Iterable[str]) -> None:
        """Keep tags for the call's record."""
        self.tags += tags

    def undialled(self, method: Method, target: str, outcome: Outcome, reason: str) -> Attempt:
        """An attempt that `sip` never sees: its verdict, recorded and told the timeline."""
        attempt = Attempt(self.next_attempt(), method, target, "", outcome, reason=reason)
        self.record(attempt)
        self.emit(TransferEnded(attempt))
        self.bot.tell(result(attempt))
        return attempt

    def joined(self) -> None:
        """Caller and target hear each other."""
        if self.handing_over and self.handover is not None:
            self.handover = replace(self.handover, status=HandoverStatus.ACTIVE)
            self.bot.tell(replace(self.handover, outcome=Outcome.CONNECTED))
            self.bot.dismiss(Dismissal.TRANSFERRED)
        if self.reminder is not None:
            cut(self.reminder)

    def take_back(self, why: Withdrawal) -> None:
        """Cancel the transfer that is under way; `beyond_recall` says whether it still can be."""
        if self.chase is not None:
            self.chase.stop(why)
        elif self.handing_over:
            self.withdrawn = why
            if self.announcement is not None:
                cut(self.announcement)

    def pressed(self, digit: str) -> None:
        """The caller pressed a digit."""
        if digit == self.cancel_digit and self.beyond_recall is None:
            self.take_back(Withdrawal.BY_CALLER)

    def drop_handover(self) -> None:
        """A transfer that was ordered will not be dialled: the caller left, or a decision came."""
        self.withdrawn = None
        if self.handover is not None and self.handover.status is HandoverStatus.QUEUED:
            left = self.caller_hung_up
            self.handover = Handover(
                HandoverStatus.CANCELLED,
                outcome=Outcome.ABANDONED if left else Outcome.CANCELLED,
                message="before anything was dialled",
                target=self.handover.target,
            )

    # Tasks beside the node

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run something that must not outlive the flow."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop_tasks(self) -> None:
        """Stop whatever `spawn` started."""
        for task in list(self._tasks):
            await stop(task)


def prompt_label(prompt: Prompt) -> str:
    """What a prompt is called in the timeline: its words, or its file."""
    match prompt:
        case TextPrompt():
            return prompt.text
        case FilePrompt():
            return prompt.file.name
        case _:
            return prompt
