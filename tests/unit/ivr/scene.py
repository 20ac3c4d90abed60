"""A call that runs its flow between twins, and what a test reads afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

from config.flows import Flow
from config.groups import Group
from config.targets import Reach, Target
from ivr.interpreter import Interpreter
from ivr.ports import BotExit
from ivr.result import FlowResult
from ivr.resumption import Resumption
from ivr.transfer_request import Directory
from sip.events import Event
from tests.twin import (
    Stage,
    TwinAvailability,
    TwinBot,
    TwinCall,
    TwinCapabilities,
    TwinFacts,
    TwinPrompts,
    TwinRecording,
    TwinResumptions,
    Verdict,
)

TARGETS = {
    "billing": Target(kind=Reach.INTERNAL, destination="sip:billing@10.0.0.8"),
    "sales": Target(kind=Reach.INTERNAL, destination="sip:sales@10.0.0.8", timeout=12),
    "mobile": Target(kind=Reach.EXTERNAL, destination="+493012345", trunk="carrier"),
}


class Scene:
    """One call through a flow."""

    def __init__(
        self,
        nodes: dict[str, Any],
        *,
        exits: Iterable[BotExit] = (),
        verdicts: Iterable[Verdict] = (),
        broken: Iterable[str] = (),
        others: Sequence[Flow] = (),
        rng: Random | None = None,
        resumed: Resumption | None = None,
        info: TwinFacts | None = None,
        groups: Mapping[str, Group] | None = None,
        **keys: Any,
    ) -> None:
        flow = flow_of(nodes, **keys)
        self.stage = Stage()
        self.call = TwinCall(self.stage, verdicts)
        self.bot = TwinBot(self.stage, exits)
        self.availability = TwinAvailability(self.stage)
        self.capabilities = TwinCapabilities()
        self.events: list[Event] = []
        self.recording = TwinRecording(self.stage)
        self.resumptions = TwinResumptions()
        if info is not None:
            self.call.info = info
        self.interpreter = Interpreter(
            flows={each.flow: each for each in (flow, *others)},
            start=flow.flow,
            call=self.call,
            bot=self.bot,
            prompts=TwinPrompts(self.stage, broken),
            directory=Directory(TARGETS, groups or {}, "carrier"),
            availability=self.availability,
            capabilities=self.capabilities,
            emit=self.events.append,
            rng=rng or Random(1),
            recording=self.recording,
            resumptions=self.resumptions,
            resumed=resumed,
        )

    @property
    def journal(self) -> list[str]:
        """What happened between the flow and its world, in order."""
        return self.stage.journal

    async def run(self) -> FlowResult:
        """Run the flow to its end."""
        return await self.interpreter.run()

    def start(self) -> asyncio.Task[FlowResult]:
        """Run the flow beside the test."""
        return asyncio.create_task(self.interpreter.run())

    def of(self, kind: type[Event]) -> list[Any]:
        """The flow's events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def flow_of(nodes: dict[str, Any], *, name: str = "main", **keys: Any) -> Flow:
    """A flow of these nodes that begins at the first."""
    start = next(iter(nodes))
    return Flow.model_validate({"flow": name, "start": start, "nodes": nodes, **keys})
