"""The rehearsal's stage: one SIP agent, a faulty peer for each trunk, and a call for each failure.

Calls run beside each other. A peer knows whose call an INVITE belongs to by the user part of From,
which is the rehearsed caller's number on both legs, as the trunk writes it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from config.configuration import Configuration
from config.flows import Prompt, Waiting
from gateway.call import CallSession
from gateway.rehearsal.loopback import Pace, on_loopback, trunk_names
from gateway.rehearsal.result import Rehearsed, judge
from gateway.rehearsal.scene import Scene
from gateway.rehearsal.surroundings import AsConfigured, EverybodyThere
from gateway.resumptions import Refusal, Refused
from gateway.timeline import CallEvent
from ivr.events import NodeEntered
from ivr.ports import Accepts, BotExit, BotHangup, BotStart, Dismissal
from ivr.prompts.store import PromptStore
from ivr.reaching import Progress
from ivr.resumption import Resumption
from sip.agent import SipAgent
from sip.audio import Pcm
from sip.faulty import cases
from sip.faulty.case import Case
from sip.faulty.invite_cases import INVITE
from sip.faulty.peer import FaultyCall, FaultyPeer
from sip.faulty.steps import ANSWERS, Acknowledged, Behaviour, Bye, Info, Wait
from sip.leg import Leg
from sip.message import Message, user_part
from sip.outcome import Handover

BESIDE = 8
"""Calls at once: enough that the timers of some run while others talk."""

WELL_BEHAVED = Behaviour(invite=(*ANSWERS, Acknowledged(), Wait(0.2), Info("1"), Wait(0.3), Bye()))
"""Whom the flow turns to after the failure: answers, accepts the call by the usual key where it is
asked to, talks for a moment, and hangs up."""


TOLD_APART_BY = 7
"""Last digits of a caller's number: of those before them a trunk may write a prefix instead."""


@asynccontextmanager
async def open_stage(
    configuration: Configuration, scene: Scene, pace: Pace
) -> AsyncIterator[Stage]:
    """Start everybody; stop everybody when the block ends.

    Raises:
        ConfigError: a prompt cannot be spoken or read.
        SipError: PJSIP or a peer does not start.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rehearsal-")))
        stage = Stage(scene, pace)
        peers: dict[str, FaultyPeer] = {}
        for number, name in enumerate(trunk_names(configuration), start=1):
            host = f"127.77.{1 + number // 250}.{number % 250}"
            peers[name] = await stack.enter_async_context(
                FaultyPeer(host, behaviour=stage.behaviour_of)
            )
        rehearsed = on_loopback(
            configuration,
            scene,
            {name: (peer.host, peer.port) for name, peer in peers.items()},
            pace=pace,
            folder=folder,
        )
        prompts = PromptStore(rehearsed)
        await prompts.prepare()
        agent = SipAgent(rehearsed.settings)
        await agent.start()
        stack.push_async_callback(agent.stop)
        if pace.response is not None:
            agent.give_up_after(pace.response)
        arrivals = asyncio.create_task(
            stage.take_calls(agent, rehearsed, _Curtailed(prompts, pace))
        )
        stack.push_async_callback(_stopped, arrivals)
        stage.opened(peers[scene.trunk], agent.listening)
        yield stage


class Stage:
    """Plays failures; made by `open_stage`."""

    def __init__(self, scene: Scene, pace: Pace) -> None:
        self._scene = scene
        self._pace = pace
        self._plays: dict[str, _Play] = {}
        """By the last digits of the caller's number."""
        self._turn = asyncio.Semaphore(BESIDE)
        self._carrier: FaultyPeer | None = None
        self._gateway = ""

    def opened(self, carrier: FaultyPeer, gateway: str) -> None:
        """Where the caller calls from, and where the gateway listens."""
        self._carrier, self._gateway = carrier, gateway

    async def play_all(self, failures: Sequence[Case]) -> list[Rehearsed]:
        """One call for each failure, in this order."""
        return await asyncio.gather(*(self.play(case) for case in failures))

    async def play(self, case: Case) -> Rehearsed:
        """One call, from its INVITE to its end."""
        if self._carrier is None:
            raise RuntimeError("the stage is not open")
        async with self._turn:
            caller = f"+99900{len(self._plays):05}"
            play = self._plays[caller[-TOLD_APART_BY:]] = _Play(self._scene, case)
            number = f"sip:{self._scene.flow}@{self._gateway}"
            play.call = await self._carrier.call(number, play.behaviour, caller=caller)
            with suppress(TimeoutError):
                await asyncio.wait_for(play.over.wait(), self._pace.call)
            if not play.over.is_set():
                play.call.hang_up()
            return judge(case, self._scene.node, play.events, stopped_at=play.stopped_at)

    def behaviour_of(self, invite: Message) -> Behaviour:
        """How the gateway's INVITE is treated: asked by the peers."""
        play = self._plays.get(user_part(invite.header("From"))[-TOLD_APART_BY:])
        return play.behaviour if play is not None else WELL_BEHAVED

    async def take_calls(
        self, agent: SipAgent, configuration: Configuration, prompts: _Curtailed
    ) -> None:
        """Run the flow of every call that arrives."""
        async with asyncio.TaskGroup() as running:
            async for leg in agent.inbound():
                running.create_task(self._follow(leg, configuration, prompts))

    async def _follow(self, leg: Leg, configuration: Configuration, prompts: _Curtailed) -> None:
        play = self._plays[leg.info.caller[-TOLD_APART_BY:]]
        session = CallSession(
            leg,
            configuration,
            prompts,
            play.happened,
            _SpentTokens(),
            availability=EverybodyThere(),
            capabilities=AsConfigured(configuration.settings.trunks),
            bots=_NoBots(play),
        )
        try:
            await session.run()
        finally:
            play.over.set()


class _Play:
    """One failure being played."""

    def __init__(self, scene: Scene, case: Case) -> None:
        self.events: list[CallEvent] = []
        self.over = asyncio.Event()
        self.stopped_at = ""
        self.call: FaultyCall | None = None
        self._node = scene.node
        fails = case.behaviour
        if cases.TABLES[scene.method] is not INVITE:  # `auto` dials when the REFER was refused
            fails = replace(fails, invite=WELL_BEHAVED.invite)
        self._fails = fails
        self._visits = 0

    @property
    def behaviour(self) -> Behaviour:
        """What everybody does now: the failure at the node's first visit, later all goes well."""
        return self._fails if self._visits <= 1 else WELL_BEHAVED

    def happened(self, stamped: CallEvent) -> None:
        """Follow the call through its nodes."""
        if self.stopped_at:
            return
        self.events.append(stamped)
        if not isinstance(stamped.event, NodeEntered):
            return
        node = stamped.event.node
        if node == self._node and self._visits:
            self.stop(node)
            return
        self._visits += 1
        if self.call is not None:
            self.call.behaviour = self.behaviour

    def stop(self, at: str) -> None:
        """End the rehearsal here: what comes now has been seen, or is not ours to play."""
        self.stopped_at = at
        if self.call is not None:
            self.call.hang_up()


class _NoBots:
    """`ivr.ports.BotPort`: where a bot would talk, the rehearsal has seen what it wanted to."""

    def __init__(self, play: _Play) -> None:
        self._play = play

    async def converse(self, start: BotStart, accepts: Accepts) -> BotExit:
        """Stop here."""
        self._play.stop(f"bot {start.bot}")
        return BotHangup()

    def tell(self, news: Progress | Handover) -> None:
        """Nobody has stayed."""

    def dismiss(self, why: Dismissal) -> None:
        """Nobody has stayed."""


class _SpentTokens:
    """`gateway.call.Tokens`: calls leave with a token as ever, which nobody can bring back."""

    async def offer(self, resumption: Resumption, trunk: str) -> str:
        """One as long as a real one."""
        return "-" * 22

    def withdraw(self, token: str) -> None:
        """There is nothing to forget."""

    async def redeem(self, token: str, trunk: str) -> Resumption | Refused:
        """None is known."""
        return Refused(Refusal.UNKNOWN)


class _Curtailed:
    """`ivr.ports.PromptSource`: the flow's own prompts, of each only the beginning."""

    def __init__(self, prompts: PromptStore, pace: Pace) -> None:
        self._prompts = prompts
        self._seconds = pace.prompt
        self._cut: dict[int, Pcm] = {}

    def prepared(self, prompt: Prompt) -> Pcm:
        """A prompt of a flow."""
        return self._curtailed(self._prompts.prepared(prompt))

    async def render(self, flow: str, prompt: Prompt) -> Pcm:
        """Any prompt."""
        return self._curtailed(await self._prompts.render(flow, prompt))

    def refusal(self, flow: str, prompt: Prompt) -> str | None:
        """Why a prompt may not be played."""
        return self._prompts.refusal(flow, prompt)

    def waiting(self, kind: Waiting) -> Pcm:
        """A waiting sound."""
        return self._prompts.waiting(kind)

    def _curtailed(self, audio: Pcm) -> Pcm:
        if self._seconds is None or audio.seconds <= self._seconds:
            return audio
        if id(audio) not in self._cut:
            kept = 2 * round(self._seconds * audio.rate)
            self._cut[id(audio)] = Pcm(audio.samples[:kept], audio.rate)
        return self._cut[id(audio)]


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
