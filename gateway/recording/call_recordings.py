"""The recordings of one call: which of its legs are recorded, ordered by its flow or an operator.

The caller's leg is there from the start. Agents come and go: an order for them holds for those who
are there and for those who answer later, each in a file of its own, until it is taken back.

Whatever happens to a recording, the call goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from config.call_recordings import Party, RecordAction, Sides
from gateway.recording.file import file_name
from gateway.recording.leg_recording import LegRecording, Place, Recorder
from gateway.records import Recording
from ivr.ports import RecordOrder
from sip.errors import CallEnded, MediaError
from sip.events import Event

FINISH_LIMIT = 1.5
"""Seconds that the end of a call waits for its files. A disk that takes longer is told of as a
failure in the record; the file may still be completed later."""

NOTHING = "nothing is being recorded"


class CallRecordings:
    """Records the legs of one call; satisfies `ivr.ports.Recording`.

    Args:
        call_id: names the files.
        record: begins to record the leg of a label. Raises `CallEnded`, `MediaError`.
        place: None: nothing is recorded, whoever asks.
        emit: takes the events.
        now: POSIX seconds on the call's clock.
    """

    def __init__(
        self,
        call_id: str,
        record: Callable[[str], Recorder],
        place: Place | None,
        emit: Callable[[Event], None],
        now: Callable[[], float],
    ) -> None:
        self._call_id = call_id
        self._record = record
        self._place = place
        self._emit = emit
        self._now = now
        self._began = now()
        self._agents: list[str] = []
        """Those who have answered and are there."""
        self._of_agents: Sides | None = None
        """What of the agents is recorded, of those to come as well; None: nothing."""
        self._agents_paused = False
        self._running: dict[str, LegRecording] = {}
        """By the leg's label."""
        self._unfinished: list[LegRecording] = []
        self._made = 0
        self.finished: list[Recording] = []
        """What became of those that are over."""

    def active(self, party: Party) -> bool:
        """Whether the caller's leg is being recorded, or those of the agents are to be."""
        if party is Party.AGENT:
            return self._of_agents is not None
        return Party.CALLER in self._running

    def act(self, order: RecordOrder) -> str | None:
        """Do it at once. Returns why that cannot be, if it cannot; then nothing has changed."""
        if order.action is not RecordAction.START:
            return self._change(order)
        leg = order.leg or Party.CALLER
        if leg == Party.AGENT:
            return self._start_agents(order.sides)
        if leg != Party.CALLER and leg not in self._agents:
            return f"there is no leg {str(leg)!r} that has answered"
        return self._start(leg, order.sides)

    def agent_answered(self, leg: str, *, agreed: bool) -> str | None:
        """An agent is there: record it, if that is ordered.

        Args:
            leg: its label.
            agreed: whether the caller may be recorded.

        Returns:
            Why it is not recorded although that is ordered.
        """
        self._agents.append(leg)
        if self._of_agents is None:
            return None
        if not agreed:
            return "the caller has declined to be recorded"
        return self._start(leg, self._of_agents, paused=self._agents_paused)

    def agent_left(self, leg: str) -> None:
        """An agent's leg is gone, and its recording complete."""
        if leg in self._agents:
            self._agents.remove(leg)
        if leg in self._running:
            self._running.pop(leg).stop()

    async def finish(self) -> None:
        """The call is over: end what runs, and wait for the files, for a while."""
        for recording in self._running.values():
            recording.stop()
        self._running.clear()
        try:
            if self._unfinished:
                ends = [recording.over for recording in self._unfinished]
                await asyncio.wait(ends, timeout=FINISH_LIMIT)
        finally:
            for recording in list(self._unfinished):
                recording.give_up(f"the disk did not take it within {FINISH_LIMIT} s")

    def _start_agents(self, sides: Sides) -> str | None:
        if self._place is None:
            return "recordings are not made here"
        if self._of_agents is not None:
            return "the agents are being recorded"
        fresh = [leg for leg in self._agents if leg not in self._running]
        for leg in fresh:
            if refusal := self._start(leg, sides):
                for begun in fresh[: fresh.index(leg)]:
                    self._running.pop(begun).stop()
                return refusal
        self._of_agents, self._agents_paused = sides, False
        return None

    def _start(self, leg: str, sides: Sides, *, paused: bool = False) -> str | None:
        place = self._place
        if place is None:
            return "recordings are not made here"
        if leg in self._running:
            return f"a recording of the leg {str(leg)!r} is running"
        try:
            recorder = self._record(leg)
        except (CallEnded, MediaError) as error:
            return str(error)
        self._made += 1
        recording = self._running[leg] = LegRecording(
            leg,
            sides,
            recorder,
            place=place,
            file=file_name(self._call_id, self._made, self._now(), place.format),
            emit=self._emit,
            offset_ms=self._offset_ms,
            over=self._over,
        )
        self._unfinished.append(recording)
        if paused:
            recording.pause()
        return None

    def _change(self, order: RecordOrder) -> str | None:
        """Pause, resume or stop those that are meant."""
        agents = order.leg in ("", Party.AGENT) and self._of_agents is not None
        meant = [leg for leg in self._running if _means(order.leg, leg)]
        if not meant and not agents:
            return NOTHING
        for leg in meant:
            match order.action:
                case RecordAction.PAUSE:
                    self._running[leg].pause()
                case RecordAction.RESUME:
                    self._running[leg].resume()
                case RecordAction.STOP:
                    self._running.pop(leg).stop()
        if agents and order.action is RecordAction.STOP:
            self._of_agents = None
        elif agents:
            self._agents_paused = order.action is RecordAction.PAUSE
        return None

    def _over(self, recording: LegRecording) -> None:
        self._unfinished.remove(recording)
        if self._running.get(recording.leg) is recording:  # failed while the call goes on
            del self._running[recording.leg]
        if recording.made is not None:
            self.finished.append(recording.made)

    def _offset_ms(self) -> int:
        return round((self._now() - self._began) * 1000)


def _means(wanted: str, leg: str) -> bool:
    """Whether an order for `wanted` is for this leg."""
    return wanted in ("", leg) or (wanted == Party.AGENT and leg != Party.CALLER)
