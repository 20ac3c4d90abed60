"""Cross-checks of what keeps calls private: certificates, keys, and who is who."""

from __future__ import annotations

from collections.abc import Iterator

from config.addresses import Transport
from config.certificates import why_no_authorities, why_not_shown
from config.finding import Finding
from config.settings import Settings
from config.trunks import Trunk
from config.uri import parse_proxy


def check_security(settings: Settings) -> Iterator[Finding]:
    """What is wrong with certificates and with the trunks' SRTP."""
    for index, listen in enumerate(settings.sip.listen):
        here = ("sip", "listen", index, "tls")
        if listen.tls is None:
            continue
        if reason := why_not_shown(listen.tls.certificate, listen.tls.key):
            yield Finding((*here, "certificate"), reason)
        if listen.tls.client_ca and (reason := why_no_authorities(listen.tls.client_ca)):
            yield Finding((*here, "client_ca"), reason)
    yield from _usernames(settings)
    hosts: dict[str, str] = {}
    for name, trunk in settings.trunks.items():
        if trunk.tls.ca and (reason := why_no_authorities(trunk.tls.ca)):
            yield Finding(("trunks", name, "tls", "ca"), reason)
        if trunk.tls.server_name and trunk.next_hop:
            host = parse_proxy(trunk.next_hop).host
            if hosts.setdefault(trunk.tls.server_name, host) != host:
                yield Finding(
                    ("trunks", name, "tls", "server_name"),
                    "is that of another trunk too, whose proxy is another host",
                    "Leave it out, and write the name as the host of `proxy`",
                )
        if trunk.srtp.use != "off" and not trunk.srtp.keys_in_clear:
            yield from _keys(name, trunk, settings)


def _usernames(settings: Settings) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for name, trunk in settings.trunks.items():
        if trunk.digest is not None and not trunk.sources:
            owner = owners.setdefault(trunk.digest.username, name)
            if owner != name:
                yield Finding(
                    ("trunks", name, "digest", "username"),
                    f"is that of trunk `{owner}` too",
                    "A call belongs to one trunk: take another name, or add `sources`",
                )


def _keys(name: str, trunk: Trunk, settings: Settings) -> Iterator[Finding]:
    here = ("trunks", name, "srtp")
    hint = "Use TLS, or write `keys_in_clear: true` where the network is yours"
    if trunk.next_hop is not None and parse_proxy(trunk.next_hop).transport != "tls":
        yield Finding(here, "the keys would go to the peer without TLS", hint)
    elif all(listen.transport is not Transport.TLS for listen in settings.sip.listen):
        yield Finding(here, "the gateway does not listen on TLS, where the keys could come", hint)
