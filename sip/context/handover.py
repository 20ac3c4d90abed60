"""What a transfer tells the one it goes to: the packet, and who calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from config.context_policy import ContextPolicy
from config.identity import Identity
from config.trunks import Trunk
from sip.context.identity import Told, told
from sip.context.rendering import rendered
from sip.leg_info import LegInfo
from sip.order import TransferOrder
from sip.outcome import Method


def with_context(
    order: TransferOrder, caller: LegInfo, trunks: Mapping[str, Trunk]
) -> TransferOrder:
    """The order with the headers that its context becomes on the trunk that the message goes to:
    the caller's for REFER and BYE, else the target's, whom we dial."""
    name = caller.trunk if order.method in (Method.REFER, Method.BYE) else order.target.trunk
    trunk = trunks.get(name or "")
    made = rendered(
        order.context,
        trunk.context if trunk else ContextPolicy(),
        given=order.headers,
        token=order.token if trunk else "",
        token_header=trunk.hand_back.header if trunk else "",
    )
    headers = dict(made.headers)
    if order.method is Method.REFER and trunk and "refer" in trunk.identity.referred_by:
        headers["Referred-By"] = f"<{caller.to_uri}>"
    return replace(order, headers=headers, dropped=(*order.dropped, *made.dropped))


def named(caller: LegInfo, target: str, trunk: Trunk | None, host: str) -> Told:
    """What an INVITE says of the caller.

    Args:
        caller: the caller's leg.
        target: request URI of the INVITE.
        trunk: the one that it goes over; None: none.
        host: `address:port` of this gateway.
    """
    return told(
        caller.received.identity,
        trunk.identity if trunk else Identity(),
        caller=caller.caller,
        dialled=f"sip:{caller.number}@{host}",
        target=target,
    )
