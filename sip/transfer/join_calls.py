"""Joins two calls of one peer, both of which run through here (RFC 5589 section 7, RFC 3891).

A desk telephone talks to a caller in one call, and asks a colleague in another. Then it refers the
first one to the second: Refer-To with a Replaces that names a dialog of ours. An INVITE would come
back to us; so the party at the other end of the second call is taken over into the referrer's place
in the first, and the referrer is left out of both.

    caller ── place A1 ═ place B1 ── referrer        before: A1 and B1 are joined,
    referrer ── place B2 ═ place C2 ── colleague             B2 and C2 are joined
    caller ── place A1 ═ place B1 ── colleague       after: B2 and C2 are empty, and end

Where the referrer is connected with nobody in the second call, because a bot talks or somebody is
still being rung, it is the other way round: the caller takes the referrer's place there.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from sip.events import Event, LegEnded
from sip.leg import Leg
from sip.leg_info import AGENT, CALLER
from sip.legs import Legs
from sip.transfer.replaces import ReplacesRefused


def join_calls(first: Leg, second: Leg, legs: Legs) -> Leg:
    """Join whom the referrer talks to in its first call with whom it is connected to in the second.

    The dialog that the Replaces names is released.

    Args:
        first: the referrer's leg that sent the REFER.
        second: its leg whose dialog the Replaces names.
        legs: moves dialogs between them.

    Returns:
        The leg that has the dialog of the REFER now. Nothing else is left for it to do but to end.

    Raises:
        ReplacesRefused: they are no two calls, or there are no two parties to join. Nothing has
            changed.
    """
    if first.caller is second.caller:
        raise ReplacesRefused(603, "Both Are One Call")
    if second.partner is not None:
        place, left, mover = first, second, second.partner
    elif first.partner is not None:
        place, left, mover = second, first, first.partner
    else:
        raise ReplacesRefused(603, "Nobody To Be Joined With")
    if mover.in_transfer or mover.gone:
        raise ReplacesRefused(491, "Request Pending")
    partner = place.partner
    mover.part()
    place.part()
    _keep(mover, left)
    newcomer = legs.bring(mover, place.caller, CALLER if place is place.caller else AGENT)
    legs.exchange(place, newcomer)
    if partner is not None and not partner.gone:
        place.join(partner)
    replaced, referring = (left, newcomer) if place is first else (newcomer, left)
    replaced.release()
    return referring


def _keep(place: Leg, left: Leg) -> None:
    """Let a place outlive its dialog until the referrer, who is left there with nobody, has left:
    the flow shall not go on with either of them."""
    kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    watch = ExitStack()

    def give_up(_: object) -> None:
        watch.close()
        if place.succession is kept:
            place.give_up(None)

    def observe(event: Event) -> None:
        if isinstance(event, LegEnded) and event.leg == left.label:
            give_up(event)

    place.succession = kept
    kept.add_done_callback(give_up)
    watch.enter_context(left.listening(observe))


async def see_off(leg: Leg, seconds: float) -> None:
    """Release a leg, unless its peer hangs up by itself before."""
    try:
        async with asyncio.timeout(seconds):
            await leg.wait_ended()
    except TimeoutError:
        leg.release()
