"""Host names to addresses, asked of the system off the loop. PJSIP is only ever given addresses."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import AddressValueError, IPv4Address

from config.uri import SipUri
from sip.errors import UnresolvedHost


async def resolve_host(host: str) -> str:
    """The IPv4 address of a host, as text.

    Raises:
        UnresolvedHost: there is none.
    """
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM
        )
    except OSError as error:
        raise UnresolvedHost(f"{host}: {error.strerror or error}") from error
    if not found:
        raise UnresolvedHost(f"{host} has no IPv4 address")
    return str(found[0][4][0])


async def with_address(uri: SipUri) -> str:
    """The URI with its host as an address; other parameters than `transport` are kept out.

    Raises:
        UnresolvedHost: the host has none.
    """
    address = await resolve_host(uri.host)
    user = f"{uri.user}@" if uri.user else ""
    port = f":{uri.port}" if uri.port else ""
    transport = f";transport={uri.transport}" if uri.transport != "udp" else ""
    return f"sip:{user}{address}{port}{transport}"
