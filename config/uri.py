"""SIP URIs (RFC 3261 section 19.1) and E.164 numbers, as far as a voice gateway dials them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Literal
from urllib.parse import unquote

from config.errors import InvalidValue

_URI = re.compile(
    r"(?P<scheme>sips?):"
    r"(?:(?P<user>(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+)@)?"
    r"(?P<host>[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<params>(?:;[^;?]+)*)",
    re.IGNORECASE,
)
_PARAM = re.compile(
    r"(?P<name>(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|%[0-9A-Fa-f]{2})+)"
    r"(?:=(?P<value>(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|%[0-9A-Fa-f]{2})+))?"
)
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")

# Both make a request go elsewhere, or be something else, than host and user say; a rule that looks
# at host and user would be walked around.
_REFUSED_PARAMS = frozenset({"maddr", "method"})


@dataclass(frozen=True, slots=True)
class SipUri:
    """A SIP URI in a form that compares: escapes decoded, host and parameters in lower case."""

    scheme: Literal["sip", "sips"]
    user: str
    """Empty when the URI has none."""
    host: str
    port: int | None
    params: tuple[tuple[str, str], ...] = ()
    """Sorted; a parameter without value has an empty one."""

    @property
    def transport(self) -> str:
        """The `transport` parameter, else UDP (RFC 3263 section 4.1); TLS for `sips`."""
        return "tls" if self.scheme == "sips" else dict(self.params).get("transport", "udp")


def parse_uri(text: str) -> SipUri:
    """Take a SIP URI apart.

    Raises:
        InvalidValue: it is none, or one that a gateway must not dial; the message says why.
    """
    if "?" in text.rpartition("@")[2]:
        raise InvalidValue("a SIP URI here has no headers (`?…`)", "Write them under `headers`")
    match = _URI.fullmatch(text)
    if match is None:
        raise InvalidValue(
            "is not a SIP URI", "Write one such as `sip:billing@10.0.0.8`, or `sip:10.0.0.2:5060`"
        )
    user = unquote(match["user"] or "")
    if not user.isprintable():
        raise InvalidValue("the user part of a SIP URI must be printable")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 1 <= port <= 65_535:
        raise InvalidValue("the port of a SIP URI is between 1 and 65535")
    return SipUri(
        scheme="sips" if match["scheme"].lower() == "sips" else "sip",
        user=user,
        host=_host(match["host"].lower()),
        port=port,
        params=_params(match["params"]),
    )


def parse_proxy(text: str) -> SipUri:
    """Take apart the URI of a proxy or registrar: a host, perhaps a port and a transport.

    Raises:
        InvalidValue: as `parse_uri`, or the URI says more than where to send.
    """
    uri = parse_uri(text)
    if uri.user:
        raise InvalidValue("has a user part", "Write host and port alone: `sip:10.0.0.2:5060`")
    if any(name not in ("transport", "lr") for name, _ in uri.params):
        raise InvalidValue("takes no parameter but `;transport=udp`, `tcp` or `tls`")
    return uri


def is_number(text: str) -> bool:
    """Whether this is an E.164 number: `+`, then 2 to 15 digits."""
    return _NUMBER.fullmatch(text) is not None


def check_host(text: str) -> str:
    """Return the host name or IPv4 address in lower case.

    Raises:
        InvalidValue: it is neither.
    """
    try:
        return _host(text.lower())
    except InvalidValue:
        raise InvalidValue("is not a host", "Write a name such as `sip.example.com`") from None


def check_destination(text: str) -> str:
    """Return `text` if it is something to dial.

    Raises:
        InvalidValue: neither a SIP URI nor an E.164 number.
    """
    if is_number(text):
        return text
    if text[:4].lower() in ("sip:", "sips"):
        parse_uri(text)
        return text
    raise InvalidValue(
        "is neither a SIP URI nor an E.164 number",
        "Write one such as `sip:billing@10.0.0.8` or `+493012345`, without spaces",
    )


def _host(host: str) -> str:
    host = host.removesuffix(".")
    labels = host.split(".")
    if labels[-1].isdigit():
        try:
            return str(IPv4Address(host))
        except AddressValueError as error:
            raise InvalidValue("the host of the SIP URI is not an IPv4 address") from error
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidValue("the host of the SIP URI is not a host name")
    return host


def _params(text: str) -> tuple[tuple[str, str], ...]:
    params: dict[str, str] = {}
    for param in text.split(";")[1:]:
        match = _PARAM.fullmatch(param)
        if match is None:
            raise InvalidValue("a parameter of the SIP URI is malformed", "Write `;name=value`")
        name, value = match["name"].lower(), (match["value"] or "").lower()
        if name in params:
            raise InvalidValue(f"the SIP URI has the parameter `{name}` twice")
        if name in _REFUSED_PARAMS:
            raise InvalidValue(f"the SIP URI parameter `{name}` is not allowed", "Leave it out")
        if name == "transport" and value not in ("udp", "tcp", "tls"):
            raise InvalidValue("the transport of a SIP URI is `udp`, `tcp` or `tls`")
        params[name] = value
    return tuple(sorted(params.items()))
