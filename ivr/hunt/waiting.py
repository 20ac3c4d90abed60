"""What the caller hears while somebody is reached: one sound over all tries, and a few words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from config.flows import AgentTransfer
from ivr.flow_run import FlowRun
from ivr.tasks import stop

PAUSE = 0.2
"""Seconds of silence that a caller takes for a pause in speech, and not for a call that is lost."""


class Waiting:
    """What the caller hears from the first try to the end of the last."""

    def __init__(self, node: AgentTransfer, run: FlowRun) -> None:
        self._node = node
        self._run = run
        self._began = False

    def begin(self) -> None:
        """Let the sound loop, which goes on over tries that fail."""
        if self._began:
            return
        self._began = True
        self._run.wait_by(self._node.waiting)
        if self._node.repeat_message is not None:
            self._run.reminder = self._run.spawn(self._remind(self._node.repeat_message))

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """Let the sound be heard before the first try too, where that waits for longer than a pause
        in speech: an availability service may take seconds for its answer."""
        if self._began:
            yield
            return
        loop = asyncio.get_running_loop()
        silence_ends = loop.call_later(PAUSE, self._run.wait_by, self._node.waiting)
        try:
            yield
        finally:
            silence_ends.cancel()
            self._run.call.stop_loop()

    async def end(self) -> None:
        """Silence, until somebody speaks."""
        reminder, self._run.reminder = self._run.reminder, None
        if reminder is not None:
            await stop(reminder)
        self._run.call.stop_loop()

    async def _remind(self, seconds: float) -> None:
        while self._node.accepted_message is not None:
            await asyncio.sleep(seconds)
            self._run.call.stop_loop()
            await self._run.play(self._node.accepted_message)
            self._run.wait_by(self._node.waiting)
