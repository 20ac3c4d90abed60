"""A caller whom the peer put on hold for a transfer that then failed hears us again.

Many PBXs hold the party that they refer (a re-INVITE with `sendonly`), and most take the hold back
by themselves when the transfer fails. The others answer an offer of ours.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

from sip.dialog import Dialog
from sip.errors import CallEnded
from sip.events import Direction
from sip.leg import Leg
from sip.transfer.verdict import GLARE_STATUS, retry_bounds

PATIENCE = 0.04
"""Seconds that the peer is given to resume by itself: its re-INVITE comes right behind the failing
NOTIFY. Ours at that moment would meet it, and both would wait as RFC 3261 section 14.1 says."""

LIMIT = 4.0
"""Seconds after which the flow goes on in any case. Two waits of the side that does not own the
Call-ID; a peer that still holds means it, and its caller hears the peer's music."""


async def take_off_hold(caller: Leg) -> None:
    """Return when the caller hears us again, or is not going to; at once where nobody holds."""
    with suppress(TimeoutError, CallEnded):
        async with asyncio.timeout(LIMIT):
            await _resumed(caller, within=PATIENCE)
            while caller.held and await _offer(caller) == GLARE_STATUS:
                await _resumed(caller, within=retry_delay(caller.dialog))


async def _offer(caller: Leg) -> int:
    """The final status of a re-INVITE; 491 also where it could not leave."""
    status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def answered(code: int) -> None:
        if not status.done():
            status.set_result(code)

    dialog = caller.dialog
    dialog.wire.on_invite_final = answered
    ended = asyncio.ensure_future(caller.wait_ended())
    try:
        dialog.reinvite()
        waiting: set[asyncio.Future[Any]] = {status, ended}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    except OSError:
        return GLARE_STATUS
    finally:
        dialog.wire.on_invite_final = None
        ended.cancel()
    if not status.done():
        raise CallEnded("the caller hung up on hold")
    return status.result()


def retry_delay(dialog: Dialog) -> float:
    """Seconds until what was refused with 491 is asked again, in steps of 10 ms (RFC 3261 14.1)."""
    shortest, longest = retry_bounds(owns_call_id=dialog.direction is Direction.SENT)
    return random.randint(round(shortest * 100), round(longest * 100)) / 100


async def _resumed(caller: Leg, within: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(caller.dialog.wait_off_hold(), within)
