"""Host names to addresses, asked of the system off the loop.

PJSIP asks here too (sip/native/resolve.c), so that a slow name server never stops a call, and a
name stays with its request: TLS verifies the peer by it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address

from sip.errors import UnresolvedHost

# How long an answer is used: the system does not say how long it holds. A provider that moves is
# followed within a minute, and a burst of calls asks once.
KEPT_SECONDS = 60.0


MAX_KNOWN = 1000
"""Addresses kept: peers name hosts in Contact and Via, and may name another one each time."""


class Names:
    """Looks hosts up, and remembers the answers for a while."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        """Make it.

        Args:
            aliases: names that stand for another host: that of a certificate for that of a proxy.
        """
        self._aliases = aliases
        self._known: dict[str, tuple[str, float]] = {}

    async def address(self, host: str) -> str:
        """The IPv4 address of a host, as text.

        Raises:
            UnresolvedHost: there is none.
        """
        host = self._aliases.get(host, host)
        try:
            return str(IPv4Address(host))
        except AddressValueError:
            pass
        now = asyncio.get_running_loop().time()
        address, until = self._known.get(host, ("", now))
        if until <= now:
            address = await _ask(host)
            if len(self._known) == MAX_KNOWN:
                self._known.clear()
            self._known[host] = address, now + KEPT_SECONDS
        return address


async def _ask(host: str) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM
        )
    except OSError as error:
        raise UnresolvedHost(f"{host}: {error.strerror or error}") from error
    except UnicodeError as error:  # an empty label, or one over 63 octets (RFC 1035 section 2.3.4)
        raise UnresolvedHost(f"{host!r} is no host name") from error
    if not found:
        raise UnresolvedHost(f"{host} has no IPv4 address")
    return str(found[0][4][0])
