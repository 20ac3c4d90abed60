"""What a rehearsed call came to, read from its record and timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.timeline import CallEvent
from ivr.events import FallbackTaken, FlowEnded, NodeEntered, PromptEnded, PromptStarted
from ivr.result import EndReason
from sip.events import TransferEnded
from sip.faulty.case import Case
from sip.outcome import Attempt, Method, Side


class Judgement(StrEnum):
    """Whether the caller was looked after."""

    FELL_BACK = "fell back"
    """The transfer failed, and a row of the node's `fallback` said what followed."""
    SUCCEEDED = "succeeded"
    """The transfer did not fail: there was nothing to fall back from."""
    RELEASED = "released"
    """Handed back by BYE: the call has ended, whatever the peer answers (RFC 3261 15.1.1)."""
    CALLER_LEFT = "caller left"
    """The caller hung up meanwhile: nobody is left to fall back for."""
    LOST = "lost"
    """The call ended without the fallback."""
    STUCK = "stuck"
    """The call had no end."""
    FAULT = "fault"
    """The gateway made a mistake of its own."""


GOOD = frozenset(
    {Judgement.FELL_BACK, Judgement.SUCCEEDED, Judgement.RELEASED, Judgement.CALLER_LEFT}
)


@dataclass(frozen=True, slots=True)
class Fallback:
    """The row that was taken."""

    key: str
    to: str
    """The node it led to; empty: the end."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One failure, played."""

    case: Case
    judgement: Judgement
    attempts: tuple[Attempt, ...]
    """Of the rehearsed node, at its first visit."""
    fallback: Fallback | None
    path: tuple[str, ...]
    """Nodes in order; the last may be `bot NAME`, where the rehearsal stops."""
    prompts: tuple[str, ...]
    """What the caller was told, in order."""
    unplayable: tuple[str, ...]
    """Prompts that could not be played."""
    end: str
    """Why the call ended: `fallback`, `hangup`, `bot NAME`, or the node it came back to."""
    events: tuple[CallEvent, ...]
    """The whole timeline."""

    @property
    def good(self) -> bool:
        """Whether the caller was looked after, and heard what was meant for him."""
        return self.judgement in GOOD and not self.unplayable

    @property
    def last(self) -> Attempt | None:
        """The attempt that decided; None: there was none."""
        return self.attempts[-1] if self.attempts else None

    @property
    def told(self) -> tuple[str, ...]:
        """What the caller was told once the first attempt had its outcome."""
        after = [stamped.event for stamped in self.events]
        while after and not isinstance(after[0], TransferEnded):
            del after[0]
        return tuple(event.prompt for event in after if isinstance(event, PromptStarted))

    @property
    def silent(self) -> bool:
        """Whether the caller is dropped without a word after the failure."""
        return (
            self.judgement is Judgement.FELL_BACK
            and self.end == EndReason.FALLBACK
            and not self.told
        )


def judge(case: Case, node: str, events: Sequence[CallEvent], *, stopped_at: str) -> Rehearsed:
    """What a call came to.

    Args:
        node: the one that is rehearsed.
        events: its timeline; of a call that had no end, as far as it came.
        stopped_at: where the rehearsal itself ended the call: a bot, or the node come back to;
            empty: nowhere.
    """
    happened = [stamped.event for stamped in events]
    attempts: list[Attempt] = []
    fallback: Fallback | None = None
    path: list[str] = []
    end = ""
    fault = False
    for event in happened:
        match event:
            case NodeEntered(node=entered):
                path.append(entered)
            case TransferEnded(attempt=attempt) if path == [node]:
                attempts.append(attempt)
            case FallbackTaken(key=key, to=to) if fallback is None:
                fallback = Fallback(key, to)
            case FlowEnded(end=reason):
                end = reason.value
                fault = reason is EndReason.FAILED
    if stopped_at:
        end = stopped_at
        if stopped_at != path[-1]:
            path.append(stopped_at)
    return Rehearsed(
        case=case,
        judgement=_judgement(attempts, fallback, end, fault=fault),
        attempts=tuple(attempts),
        fallback=fallback,
        path=tuple(path),
        prompts=tuple(e.prompt for e in happened if isinstance(e, PromptStarted)),
        unplayable=tuple(e.prompt for e in happened if isinstance(e, PromptEnded) and e.message),
        end=end,
        events=tuple(events),
    )


def _judgement(
    attempts: list[Attempt], fallback: Fallback | None, end: str, *, fault: bool
) -> Judgement:
    if attempts and attempts[-1].method is Method.BYE and attempts[-1].bye_by is Side.GATEWAY:
        released = not attempts[-1].outcome.succeeded
        return Judgement.RELEASED if released else Judgement.SUCCEEDED
    if fault:
        return Judgement.FAULT
    if not end:
        return Judgement.STUCK
    if fallback is not None:
        return Judgement.FELL_BACK
    if attempts and attempts[-1].outcome.succeeded:
        return Judgement.SUCCEEDED
    if attempts and attempts[-1].bye_by is Side.CALLER:
        return Judgement.CALLER_LEFT
    return Judgement.LOST
