"""Where a received REFER points (RFC 3515 section 2.1), and why we may not go there.

Of the URI's headers only Replaces is kept (RFC 3891 section 3): everything else that a Refer-To
carries would stand in our own INVITE under our name.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import ValidationError

from config.errors import InvalidValue
from config.headers import check_value
from config.numbers import Numbers
from config.settings import Settings
from config.targets import Reach, Target
from config.uri import SipUri, is_number, parse_proxy, parse_uri
from sip.message import Message, address
from sip.transfer.replaces import Replaces, parse_replaces

_SIP = re.compile(
    r"(?P<uri>sips?:(?:[^@?>]*@)?[^?@]+)(?:\?(?P<headers>.*))?", re.IGNORECASE | re.DOTALL
)
_INVITE = re.compile(r";method=INVITE(?=;|$)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[-.() ]")


class ReferRefused(Exception):
    """The REFER is answered with this status, and nothing is dialled."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ReferTo:
    """Whom to call."""

    destination: str
    """A SIP URI without headers, or an E.164 number."""
    replaces: Replaces | None = None
    """The dialog there that our INVITE takes the place of."""


def refer_to(request: Message) -> ReferTo:
    """Read the one Refer-To of a REFER.

    Raises:
        ReferRefused: it is missing, doubled or malformed (400), or not a URI to dial.
    """
    values = [value for name, value in request.headers if name.lower() == "refer-to"]
    if len(values) != 1:
        raise ReferRefused(400, "Exactly One Refer-To Is Due")
    text = address(values[0])
    match = _SIP.fullmatch(text)
    return ReferTo(destination(text), _replaces((match and match["headers"]) or ""))


def destination(uri: str) -> str:
    """What a URI that a peer gave us means to our rules: a SIP URI without headers, or a number.

    Raises:
        ReferRefused: it is neither a SIP URI (400) nor one to dial, nor a global number.
    """
    if uri[:4].lower() == "tel:":
        number = _SEPARATORS.sub("", uri[4:].partition(";")[0])
        if not is_number(number):
            raise ReferRefused(603, "Not A Global Number")
        return number
    match = _SIP.fullmatch(uri)
    if match is None:
        raise ReferRefused(400, "Malformed Refer-To")
    bare = _INVITE.sub("", match["uri"])
    try:
        parse_uri(bare)
    except InvalidValue as error:
        raise ReferRefused(603, "Refer-To Is Not Dialled") from error
    return bare


def _replaces(headers: str) -> Replaces | None:
    found = [
        unquote(value)
        for name, _, value in (each.partition("=") for each in headers.split("&"))
        if name.lower() == "replaces"
    ]
    if not found:
        return None
    if len(found) > 1:
        raise ReferRefused(400, "More Than One Replaces")
    try:
        replaces = parse_replaces(check_value(found[0]))
    except InvalidValue as error:
        raise ReferRefused(603, "Refer-To Is Not Dialled") from error
    if replaces is None:
        raise ReferRefused(400, "Malformed Replaces")
    return replaces


def target_of(
    destination: str, trunk: str, settings: Settings, own: Container[tuple[str, int]]
) -> tuple[str, Target]:
    """Whom a Refer-To's destination means: a named target, or one made of it.

    Args:
        destination: a SIP URI without headers, or a number.
        trunk: of the leg that sent the REFER; a number is dialled over it.
        settings: name the targets and trunks.
        own: addresses and ports that we listen on: a telephone that knows nothing but us writes
            `sip:NAME@` or `sip:+49…@` with one of them.

    Raises:
        ReferRefused: it is our own address without a target's name or a number (404), or not
            reached by INVITE (603).
    """
    uri = None if is_number(destination) else parse_uri(destination)
    if uri is not None and (uri.host, uri.port or 5060) in own:
        if uri.user in settings.targets:
            return uri.user, settings.targets[uri.user]
        over_trunk = settings.trunks.get(trunk)
        numbers = Numbers() if over_trunk is None else over_trunk.numbers
        destination, uri = numbers.to_e164(uri.user), None
        if not is_number(destination):
            raise ReferRefused(404, "Neither A Target Nor A Number")
    for name, target in settings.targets.items():
        if _same(destination, uri, target.destination):
            if target.method_refused("invite"):
                raise ReferRefused(603, "Refer-To Is Not Dialled")
            return name, target
    over = trunk if uri is None else _trunk_towards(uri, settings)
    try:
        return destination, Target(
            kind=Reach.EXTERNAL, destination=destination, trunk=over, method="invite"
        )
    except ValidationError as error:
        raise ReferRefused(603, "Refer-To Is Not Dialled") from error


def _same(destination: str, uri: SipUri | None, other: str) -> bool:
    if uri is None or is_number(other):
        return destination == other
    return uri == parse_uri(other)


def _trunk_towards(uri: SipUri, settings: Settings) -> str | None:
    """The trunk whose next hop this URI's host is; None: it is called directly."""
    for name, trunk in settings.trunks.items():
        if trunk.next_hop is not None and parse_proxy(trunk.next_hop).host == uri.host:
            return name
    return None
