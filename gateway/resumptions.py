"""Hand-back tokens: what calls left with, in the database, until a trunk brings them back.

A token is 128 random bits. Its digest is stored, not the token itself, so that the database gives
nobody a call. It is taken by one UPDATE that checks everything at once: of two INVITEs with the
same token, over two gateways even, one goes on in the flow.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum

import structlog
from sqlalchemy import Delete, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from config.flows import Flow
from config.trunks import Trunk
from gateway.database import resumptions as table
from ivr.resumption import Resumption

log = structlog.get_logger()

OFFER_LIMIT = 0.5
"""Seconds that a BYE or REFER waits for the disk. Then it leaves, and the row follows."""
REDEEM_LIMIT = 2.0
"""Seconds that a caller hears nothing while the database is asked."""
KEPT_AFTER = 86_400.0
"""Seconds that an expired row stays, so that a late caller's record says `expired`."""
PURGE_EVERY = 3600.0


class Refusal(StrEnum):
    """Why an INVITE with a token does not go on in its flow."""

    UNKNOWN = "unknown"
    """Never given out, withdrawn, or expired long ago."""
    EXPIRED = "expired"
    USED = "used"
    FOREIGN_TRUNK = "foreign_trunk"
    """It came over a trunk that it was not given to."""
    PLACE_GONE = "place_gone"
    """The flow or node is no longer configured."""
    UNAVAILABLE = "unavailable"
    """The database does not answer."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A token that is not taken."""

    reason: Refusal
    call: str = ""
    """Id of the call that left with it, where that is known."""


class ResumptionStore:
    """`ivr.resumption.Resumptions`, kept in the database of the records."""

    def __init__(
        self,
        engine: AsyncEngine,
        trunks: Mapping[str, Trunk],
        flows: Mapping[str, Flow],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._trunks = trunks
        self._flows = flows
        self._now = now
        self._writing: dict[str, asyncio.Task[bool]] = {}
        """Rows on their way, by digest."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._purged = 0.0

    async def offer(self, resumption: Resumption, trunk: str) -> str:
        """Keep it; the token to send along, or nothing where the database refuses."""
        configured = self._trunks.get(trunk)
        if configured is None:
            return ""
        token = secrets.token_urlsafe(16)
        digest = _digest(token)
        policy = configured.hand_back
        row = {
            "digest": digest,
            "trunk": trunk,
            "call_id": resumption.call,
            "flow": resumption.flow,
            "node": resumption.node,
            "target": resumption.target,
            "variables": dict(resumption.variables),
            "uses_left": policy.uses,
            "expires_ms": round((self._now() + policy.expires) * 1000),
        }
        writing = self._writing[digest] = asyncio.create_task(self._insert(row))
        writing.add_done_callback(lambda _: self._writing.pop(digest, None))
        done, _ = await asyncio.wait({writing}, timeout=OFFER_LIMIT)
        return "" if done and not writing.result() else token

    def withdraw(self, token: str) -> None:
        """Forget a token that is not on its way to anybody."""
        self._spawn(self._delete(_digest(token)))

    async def redeem(self, token: str, trunk: str) -> Resumption | Refused:
        """Take a token that came over `trunk`. One that is refused has lost no use."""
        try:
            async with asyncio.timeout(REDEEM_LIMIT):
                return await self._redeem(_digest(token), trunk)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.error("token not looked up", reason=str(error) or type(error).__name__)
            return Refused(Refusal.UNAVAILABLE)

    async def close(self) -> None:
        """Let every row that is on its way arrive."""
        waiting = {*self._writing.values(), *self._tasks}
        if waiting:
            await asyncio.wait(waiting, timeout=REDEEM_LIMIT)

    async def _redeem(self, digest: str, trunk: str) -> Resumption | Refused:
        if writing := self._writing.get(digest):
            await asyncio.wait({writing})
        givers = [
            name
            for name, giver in self._trunks.items()
            if name == trunk or trunk in giver.hand_back.trunks
        ]
        now_ms = round(self._now() * 1000)
        take = (
            update(table)
            .where(
                table.c.digest == digest,
                table.c.uses_left > 0,
                table.c.expires_ms > now_ms,
                table.c.trunk.in_(givers),
            )
            .values(uses_left=table.c.uses_left - 1)
        )
        async with self._engine.begin() as connection:
            # Written first: SQLite does not let a transaction that has read go on to write.
            taken = (await connection.execute(take)).rowcount
            row = (
                await connection.execute(select(table).where(table.c.digest == digest))
            ).one_or_none()
        if row is None:
            return Refused(Refusal.UNKNOWN)
        if taken:
            flow = self._flows.get(row.flow)
            if flow is None or row.node not in flow.nodes:
                return Refused(Refusal.PLACE_GONE, row.call_id)
            return Resumption(row.call_id, row.flow, row.node, row.target, row.variables)
        if row.trunk not in givers:
            return Refused(Refusal.FOREIGN_TRUNK, row.call_id)
        reason = Refusal.EXPIRED if row.expires_ms <= now_ms else Refusal.USED
        return Refused(reason, row.call_id)

    async def _insert(self, row: dict[str, object]) -> bool:
        try:
            async with self._engine.begin() as connection:
                await connection.execute(insert(table).values(row))
        except (SQLAlchemyError, OSError) as error:
            log.error("token not kept", call_id=row["call_id"], reason=str(error))
            return False
        if self._now() - self._purged > PURGE_EVERY:
            self._purged = self._now()
            self._spawn(self._purge())
        return True

    async def _delete(self, digest: str) -> None:
        if writing := self._writing.get(digest):
            await asyncio.wait({writing})
        await self._execute(delete(table).where(table.c.digest == digest))

    async def _purge(self) -> None:
        oldest = round((self._now() - KEPT_AFTER) * 1000)
        await self._execute(delete(table).where(table.c.expires_ms < oldest))

    async def _execute(self, statement: Delete) -> None:
        try:
            async with self._engine.begin() as connection:
                await connection.execute(statement)
        except (SQLAlchemyError, OSError) as error:
            log.warning("token not deleted", reason=str(error))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
