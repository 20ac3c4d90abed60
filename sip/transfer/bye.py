"""Transfer by BYE: we leave, and headers on the BYE tell the trunk or IVR where the caller goes."""

from __future__ import annotations

from sip.leg import Leg
from sip.order import TransferOrder
from sip.outcome import Attempt, Outcome, Side, classify
from sip.transfer.evidence import Evidence

DESTINATION_HEADER = "X-Transfer-To"
"""Carries the destination, unless the order has this header already."""


async def by_bye(caller: Leg, order: TransferOrder, uri: str, evidence: Evidence) -> Attempt:
    """Hand the call back with `order.headers` on the BYE; the caller's leg is gone afterwards."""
    headers = {DESTINATION_HEADER: uri, **order.headers}
    evidence.step("bye_sent")
    caller.release(headers)
    ended = await caller.wait_ended()
    evidence.bye_by = ended.by
    if ended.by is not Side.GATEWAY:
        return evidence.conclude(Outcome.ABANDONED, reason="caller hung up")
    response = caller.dialog.wire.bye_answered
    if response is None or response.status is None:
        return evidence.conclude(Outcome.NETWORK_FAILURE, reason="no response to BYE")
    evidence.step("final", response.status, response.reason)
    evidence.because(response)
    return evidence.conclude(classify(response.status), response.status, response.reason)
