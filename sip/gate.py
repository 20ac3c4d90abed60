"""The admission gate's tables (sip/native/gate_tables.c), made from the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from config.limits import Rate
from config.secrets import resolve
from config.settings import Settings
from config.trunks import Trunk
from sip.engine import KINDS
from sip.pjsip import native

NO_LIMIT = (0.0, 0.0)

Network = tuple[int, int, int]
"""Network, mask, account."""


@dataclass
class Gate:
    """Who may send us what. `replace` takes effect at once and whole."""

    settings: Settings
    accounts: Mapping[str, int] = field(default_factory=dict)
    """PJSIP's account of each trunk."""
    addresses: Mapping[str, list[str]] = field(default_factory=dict)
    """Where each trunk's next hops are: the calls of a registration come from there."""

    def replace(self, *, draining: bool) -> None:
        """Let the gate go by these settings from now on.

        Raises:
            SecretError: a trunk's password cannot be had.
        """
        sip, trunks = self.settings.sip, self.settings.trunks
        native.digest_replace(
            sip.digest_realm,
            [self._credential(name, trunk) for name, trunk in trunks.items() if trunk.digest],
        )
        policy = (
            draining,
            sip.unknown_source == "drop",
            any(trunk.digest and not trunk.sources for trunk in trunks.values()),
            sip.max_calls,
            _rate(sip.per_source),
        )
        native.gate_replace(self.sources, [self._row(*each) for each in trunks.items()], policy)

    @property
    def sources(self) -> list[Network]:
        """Which network is which trunk's, the most specific first: the gate takes the first."""
        found: list[tuple[int, Network]] = []
        for name, account in self.accounts.items():
            trunk = self.settings.trunks[name]
            networks = list(trunk.sources)
            if trunk.registration is not None:
                networks += [IPv4Network(each) for each in self.addresses.get(name, [])]
            found += [(each.prefixlen, network_row(each, account)) for each in networks]
        return [row for _, row in sorted(found, reverse=True)]

    def _row(self, name: str, trunk: Trunk) -> tuple[int, int, float, float, bool, bool, int]:
        return (
            self.accounts[name],
            trunk.limits.calls or 0,
            *_rate(trunk.limits.rate),
            trunk.digest is not None,
            trunk.srtp.use == "required",
            sum(1 << KINDS[transport] for transport in trunk.accepted_transports),
        )

    def _credential(self, name: str, trunk: Trunk) -> tuple[str, str, str, int, bool]:
        """Username, and the hashes that stand for the password in this realm (RFC 7616 3.4.2)."""
        if trunk.digest is None:
            raise ValueError(f"trunk {name} has no digest")
        user = trunk.digest.username
        text = f"{user}:{self.settings.sip.digest_realm}:{resolve(trunk.digest.password)}".encode()
        md5 = hashlib.md5(text, usedforsecurity=False).hexdigest()
        sha256 = hashlib.sha256(text).hexdigest()
        return user, md5, sha256, self.accounts[name], not trunk.sources


def network_row(network: IPv4Network, account: int) -> Network:
    """A network as the native tables take it."""
    return int(network.network_address), int(network.netmask), account


def _rate(rate: Rate | None) -> tuple[float, float]:
    return NO_LIMIT if rate is None else (rate.calls_per_second, float(rate.burst))
