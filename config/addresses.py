"""Addresses, networks and URIs as an operator writes them, and what is wrong with others."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from config.errors import InvalidValue
from config.uri import parse_proxy


class Transport(StrEnum):
    """A transport that SIP runs over."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


Port = Annotated[int, Field(ge=0, le=65_535)]
"""0: any free port."""


def _address(text: object) -> object:
    if isinstance(text, str):
        try:
            IPv4Address(text)
        except ValueError:
            raise InvalidValue(
                "is not an IPv4 address", "Write four numbers, such as `10.0.0.2`"
            ) from None
    return text


def _network(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        IPv4Network(text)
    except ValueError:
        pass
    else:
        return text
    try:
        network = IPv4Network(text, strict=False)
    except ValueError:
        raise InvalidValue(
            "is not an IPv4 network", "Write one such as `10.0.0.0/24`, or `10.0.0.2`"
        ) from None
    address = text.partition("/")[0]
    hint = f"Write `{network}` for all of it, or `{address}/32` for this address"
    raise InvalidValue(f"is an address inside the network {network}", hint)


def _bound(address: IPv4Address) -> IPv4Address:
    # Bound to every address, PJSIP looks up the host's own name to learn what to write into SDP and
    # Contact: seconds in which no call moves.
    if address.is_unspecified or address.is_multicast:
        raise InvalidValue(
            "must be one address of this machine", "Write the one that peers reach you at"
        )
    return address


def _source(network: IPv4Network) -> IPv4Network:
    if network.prefixlen == 0:
        raise InvalidValue("would let everybody in", "Write the peer's own networks")
    return network


def _proxy(text: str) -> str:
    parse_proxy(text)
    return text


def check_service(url: str, schemes: tuple[str, str], kind: str, example: str) -> str:
    """Return the URL of a service that the gateway connects to.

    Args:
        url: as it was written.
        schemes: what it may begin with, in clear and over TLS.
        kind: what it should have been: `a WebSocket URL`.
        example: one that is right.

    Raises:
        InvalidValue: it is none, or carries credentials or a fragment.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in schemes and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # as it is looked up
    except ValueError:  # no port, an unfinished IPv6 address, a label that is empty or too long
        valid = False
    else:
        if parts.username is not None or parts.fragment:
            raise InvalidValue("carries credentials or a fragment", "Write secrets under `token`")
    if not valid or not url.isprintable() or " " in url:
        raise InvalidValue(f"is not {kind}", f"Write one such as `{example}`")
    return url


Address = Annotated[IPv4Address, BeforeValidator(_address)]

BoundAddress = Annotated[Address, AfterValidator(_bound)]
"""An address of this machine, never the wildcard 0.0.0.0."""

ProxyUri = Annotated[str, AfterValidator(_proxy)]
"""`sip:10.0.0.2:5060`, with `;transport=tcp` for TCP and `;transport=tls` or `sips:` for TLS."""

Network = Annotated[IPv4Network, BeforeValidator(_network), AfterValidator(_source)]

UserPart = Annotated[str, Field(pattern=r"^[A-Za-z0-9+_.!~*'()&=$,;?/#-]+$")]
"""The part of a SIP URI before the `@`."""
