"""pjsua2's account: one per trunk, with its next hop, credentials and RTP addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from config.secrets import resolve
from config.settings import Rtp
from config.tls import Srtp
from config.trunks import Credentials, Registration, Trunk
from config.uri import parse_proxy
from sip.message import Message
from sip.pjsip import native, pj

log = structlog.get_logger(__name__)

NO_CALL = -1
"""PJSUA_INVALID_ID: what PjCall takes for a call that is still to be made."""

DIRECT = ""
"""Name of the account for URIs that are dialled without a trunk."""

Incoming = Callable[[str, int, str, str], None]
"""(trunk, PJSIP's call id, message, "address:port"), called inside PJSIP's callback."""

RegistrationChanged = Callable[[str, int, str, int, int | None], None]
"""(trunk, status, reason, seconds granted; 0: not registered, seconds of Retry-After)."""


# `hide`: used for sending, not shown to the peer as a Route.
AS_ROUTE = ";lr;hide"

SRTP_USE = {
    "off": pj.PJMEDIA_SRTP_DISABLED,
    "optional": pj.PJMEDIA_SRTP_OPTIONAL,
    "required": pj.PJMEDIA_SRTP_MANDATORY,
}


class PjAccount(pj.Account):  # type: ignore[misc]
    """A trunk inside PJSIP. Reports as values."""

    def __init__(self, trunk: str, on_call: Incoming, on_registration: RegistrationChanged) -> None:
        super().__init__()
        self._trunk = trunk
        self._on_call = on_call
        self._on_registration = on_registration

    def onIncomingCall(self, prm: Any) -> None:
        """An INVITE for this trunk: the call object must exist when this returns."""
        try:
            self._take(prm)
        except Exception:
            # PJSIP's caller would drop the error, and keep the call for ever.
            log.exception("an INVITE could not be taken", trunk=self._trunk)
            native.call_hangup(int(prm.callId), 500, "", [])

    def _take(self, prm: Any) -> None:
        rdata = prm.rdata
        text = str(rdata.wholeMsg)
        if (
            not text.isascii()
        ):  # bytes that are no UTF-8 come as lone surrogates, which JSON refuses
            text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        self._on_call(self._trunk, int(prm.callId), text, str(rdata.srcAddress))

    def onRegState(self, prm: Any) -> None:
        """A REGISTER was answered, or was not."""
        granted = int(prm.expiration) if prm.code // 100 == 2 else 0
        answer = Message(str(prm.rdata.wholeMsg))
        self._on_registration(
            self._trunk, int(prm.code), str(prm.reason), granted, answer.retry_after
        )


def account_configuration(user: str, host: str, rtp: Rtp, trunk: Trunk | None) -> Any:
    """AccountConfig for a trunk, or, without one, for URIs that are dialled directly.

    Args:
        user: user part of From and Contact.
        host: `address:port` that SIP is spoken on.
        rtp: where audio is received.
        trunk: its next hop, registration, credentials and media security are used; a trunk without
            a next hop sends requests where their URI says.
    """
    config = pj.AccountConfig()
    config.idUri = f"sip:{user}@{host}"
    if trunk is not None and trunk.next_hop is not None:
        config.sipConfig.proxies.append(_hop(trunk, trunk.next_hop) + AS_ROUTE)
    if trunk is not None and trunk.registration is not None:
        registration = trunk.registration
        config.idUri = f"sip:{registration.username}@{parse_proxy(registration.registrar).host}"
        config.regConfig.registrarUri = _hop(trunk, registration.registrar)
        config.regConfig.timeoutSec = registration.expires
        config.regConfig.retryIntervalSec = 0  # after a failure sip/hops.py decides what follows
    for known in _credentials(trunk):
        config.sipConfig.authCreds.append(
            pj.AuthCredInfo("digest", known.realm, known.username, 0, resolve(known.password))
        )
    media = config.mediaConfig.transportConfig
    media.boundAddress = str(rtp.address)
    media.publicAddress = str(rtp.address)
    media.port = rtp.first_port
    media.portRange = rtp.last_port - rtp.first_port
    srtp = Srtp() if trunk is None else trunk.srtp
    config.mediaConfig.srtpUse = SRTP_USE[srtp.use]
    config.mediaConfig.srtpSecureSignaling = 0 if srtp.keys_in_clear else 1
    config.mediaConfig.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
    config.mediaConfig.streamKaEnabled = False
    config.mediaConfig.lockCodecEnabled = False
    config.natConfig.contactRewriteUse = 0
    config.natConfig.viaRewriteUse = 0
    config.natConfig.sdpNatRewriteUse = 0
    config.natConfig.sipOutboundUse = 0
    config.natConfig.udpKaIntervalSec = 0
    return config


def _credentials(trunk: Trunk | None) -> list[Credentials | Registration]:
    """What may be answered with when the trunk's peer asks, the most particular first."""
    if trunk is None:
        return []
    return [each for each in (trunk.credentials, trunk.registration) if each is not None]


def hop_uris(trunk: Trunk) -> list[str]:
    """The trunk's next hops as PJSIP is given them."""
    return [_hop(trunk, hop) for hop in trunk.hops]


def routes(trunk: Trunk) -> list[str]:
    """The trunk's next hops as `native.route_set_hops` takes them."""
    return [f"<{hop}{AS_ROUTE}>" for hop in hop_uris(trunk)]


def tls_peers(
    trunks: Mapping[str, Trunk], addresses: Mapping[str, str]
) -> list[tuple[str, str, str, str, bool]]:
    """What `native.tls_replace` takes: each proxy that is reached over TLS, then everybody else.

    Args:
        trunks: the trunks, by name.
        addresses: where hosts are; one that is not known now is verified by its name alone.
    """
    peers = []
    for trunk in trunks.values():
        authorities = "" if trunk.tls.ca is None else str(trunk.tls.ca)
        for uri in trunk.hops:
            hop = parse_proxy(uri)
            if hop.transport == "tls":
                host = parse_proxy(_hop(trunk, uri)).host
                expected = trunk.tls.server_name or host
                address = addresses.get(hop.host, "")
                peers.append((host, address, expected, authorities, trunk.tls.verify))
    return [*peers, ("", "", "", "", True)]


def _hop(trunk: Trunk, uri: str) -> str:
    """A proxy or registrar as PJSIP is given it: over TLS, by the name in its certificate."""
    hop = parse_proxy(uri)
    host = trunk.tls.server_name or hop.host if hop.transport == "tls" else hop.host
    port = f":{hop.port}" if hop.port else ""
    transport = f";transport={hop.transport}" if hop.transport != "udp" else ""
    return f"sip:{host}{port}{transport}"
