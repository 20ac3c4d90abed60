"""Which destinations may be dialled, whoever asks: a flow, a bot, the API, a 302 or a REFER.

A bot can be tricked by its caller into asking for a premium number: nothing is dialled that is
neither the destination of a named target nor matched by `allow`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from config import allow
from config.errors import InvalidValue, Undialable
from config.settings import Settings, Trunk
from config.targets import Target
from config.uri import check_destination, is_number, parse_proxy, parse_uri


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a destination may be dialled."""

    allowed: bool
    reason: str
    """`target NAME` or `allow PATTERN` for what allows it, else why nothing does."""


def allowed(destination: str, settings: Settings) -> Verdict:
    """Whether a destination, a SIP URI or an E.164 number, may be dialled.

    A SIP URI is matched as it is: a rule for numbers says nothing about `sip:+49…@some.host`.
    """
    try:
        check_destination(destination)
    except InvalidValue as error:
        return Verdict(False, error.message)
    for name, target in settings.targets.items():
        if _same(destination, target.destination):
            return Verdict(True, f"target {name}")
    for pattern in settings.allow:
        if allow.matches(pattern, destination):
            return Verdict(True, f"allow {pattern}")
    return Verdict(False, "is no named target's and matches nothing of `allow`")


def destination_uri(target: Target, trunks: Mapping[str, Trunk]) -> str:
    """The request URI that reaches a target: `sip:+49…@10.0.0.2:5060;transport=tcp`.

    A SIP URI is returned as it is written; a number becomes the user part at the trunk's proxy, or
    at its registrar.

    Raises:
        Undialable: the number's trunk is not there, or has neither proxy nor registrar.
    """
    if not is_number(target.destination):
        return target.destination
    trunk = trunks.get(target.trunk or "")
    if trunk is None:
        raise Undialable(f"the number {target.destination} has no trunk to be dialled over")
    if trunk.next_hop is None:
        raise Undialable(f"trunk {target.trunk} has no proxy to dial {target.destination} over")
    hop = parse_proxy(trunk.next_hop)
    port = f":{hop.port}" if hop.port else ""
    transport = f";transport={hop.transport}" if hop.transport != "udp" else ""
    return f"sip:{target.destination}@{hop.host}{port}{transport}"


def _same(one: str, other: str) -> bool:
    if is_number(one) or is_number(other):
        return one == other
    return parse_uri(one) == parse_uri(other)
