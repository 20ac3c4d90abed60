"""Which destinations may be dialled, whoever asks: a flow, a bot, the API, a 302 or a REFER.

A bot can be tricked by its caller into asking for a premium number: nothing is dialled that is
neither the destination of a named target nor matched by `allow`, nothing that `deny` names, and
over a trunk only what its own `allow` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from config import allow
from config.errors import InvalidValue, Undialable
from config.settings import Settings
from config.targets import Target
from config.trunks import Trunk
from config.uri import check_destination, is_number, parse_proxy, parse_uri


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a destination may be dialled."""

    allowed: bool
    reason: str
    """`target NAME` or `allow PATTERN` for what allows it, else why nothing does."""


def allowed(destination: str, settings: Settings, trunk: str | None = None) -> Verdict:
    """Whether a destination, a SIP URI or an E.164 number, may be dialled.

    A SIP URI is matched as it is: a rule for numbers says nothing about `sip:+49…@some.host`.

    Args:
        destination: what is to be dialled.
        settings: with targets, trunks, `allow` and `deny`.
        trunk: the name of the one that it would be dialled over; None: none.
    """
    try:
        check_destination(destination)
    except InvalidValue as error:
        return Verdict(False, error.message)
    over = settings.trunks.get(trunk or "")
    for reading in _readings(destination, over):
        if denied := _first(settings.deny, reading):
            return Verdict(False, f"is denied by `{denied}`")
    if over is not None and over.allow is not None and not _first(over.allow, destination):
        return Verdict(False, f"matches nothing of `trunks.{trunk}.allow`")
    for name, target in settings.targets.items():
        if _same(destination, target.destination):
            return Verdict(True, f"target {name}")
    if pattern := _first(settings.allow, destination):
        return Verdict(True, f"allow {pattern}")
    return Verdict(False, "is no named target's and matches nothing of `allow`")


def reachable(target: Target, caller_trunk: str) -> Verdict:
    """Whether a call that came in over this trunk may be transferred to this target."""
    if target.from_trunks is None or caller_trunk in target.from_trunks:
        return Verdict(True, "from any trunk" if target.from_trunks is None else "from its trunks")
    return Verdict(False, f"is not for calls of trunk {caller_trunk}")


def _readings(destination: str, trunk: Trunk | None) -> list[str]:
    """The destination, and the number in its user part: `deny` is not walked around by a URI."""
    if is_number(destination):
        return [destination]
    user = parse_uri(destination).user
    number = user if trunk is None else trunk.numbers.to_e164(user)
    return [destination, number] if is_number(number) else [destination]


def _first(patterns: Iterable[str], destination: str) -> str | None:
    return next((each for each in patterns if allow.matches(each, destination)), None)


def destination_uri(target: Target, trunks: Mapping[str, Trunk], hop: int = 0) -> str:
    """The request URI that reaches a target: `sip:+49…@10.0.0.2:5060;transport=tcp`.

    A SIP URI is returned as it is written; a number becomes, as the trunk writes numbers, the user
    part at the trunk's proxy, or at its registrar; `hop` counts the proxies it falls back to.

    Raises:
        Undialable: the number's trunk is not there, or has neither proxy nor registrar.
    """
    if not is_number(target.destination):
        return target.destination
    trunk = trunks.get(target.trunk or "")
    if trunk is None:
        raise Undialable(f"the number {target.destination} has no trunk to be dialled over")
    if not trunk.hops:
        raise Undialable(f"trunk {target.trunk} has no proxy to dial {target.destination} over")
    to = parse_proxy(trunk.hops[hop])
    port = f":{to.port}" if to.port else ""
    transport = f";transport={to.transport}" if to.transport != "udp" else ""
    user = trunk.numbers.from_e164(target.destination)
    return f"sip:{user}@{to.host}{port}{transport}"


def _same(one: str, other: str) -> bool:
    if is_number(one) or is_number(other):
        return one == other
    return parse_uri(one) == parse_uri(other)
