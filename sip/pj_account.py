"""pjsua2's account: one per trunk, with its next hop, credentials and RTP addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config.secrets import resolve
from config.settings import Rtp, Trunk
from config.uri import parse_proxy
from sip.pjsip import pj

NO_CALL = -1
"""PJSUA_INVALID_ID: what PjCall takes for a call that is still to be made."""

# After a failed registration: soon enough that a provider's restart is a short outage, seldom
# enough not to be taken for an attack.
REGISTRATION_RETRY = 20

Incoming = Callable[[str, int, str, str], None]
"""(trunk, PJSIP's call id, message, "address:port"), called inside PJSIP's callback."""

RegistrationChanged = Callable[[str, int, str, int], None]
"""(trunk, status, reason, seconds granted; 0: not registered)."""


class PjAccount(pj.Account):  # type: ignore[misc]
    """A trunk inside PJSIP. Reports as values."""

    def __init__(self, trunk: str, on_call: Incoming, on_registration: RegistrationChanged) -> None:
        super().__init__()
        self._trunk = trunk
        self._on_call = on_call
        self._on_registration = on_registration

    def onIncomingCall(self, prm: Any) -> None:
        """An INVITE for this trunk: the call object must exist when this returns."""
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
        self._on_registration(self._trunk, int(prm.code), str(prm.reason), granted)


def account_configuration(
    user: str, host: str, rtp: Rtp, trunk: Trunk | None, next_hop: str | None
) -> Any:
    """AccountConfig for a trunk, or, without one, for URIs that are dialled directly.

    Args:
        user: user part of From and Contact.
        host: `address:port` that SIP is spoken on.
        rtp: where audio is received.
        trunk: its registration and credentials are used.
        next_hop: the trunk's proxy or registrar with its host as an IP address, so that PJSIP never
            has to look a name up; None: requests go where their URI says.
    """
    config = pj.AccountConfig()
    config.idUri = f"sip:{user}@{host}"
    if next_hop is not None:
        # `hide`: used for sending, not shown to the peer as a Route.
        config.sipConfig.proxies.append(f"{next_hop};lr;hide")
    if trunk is not None and trunk.registration is not None:
        registration = trunk.registration
        config.idUri = f"sip:{registration.username}@{parse_proxy(registration.registrar).host}"
        config.regConfig.registrarUri = registration.registrar
        config.regConfig.timeoutSec = registration.expires
        config.regConfig.retryIntervalSec = REGISTRATION_RETRY
        config.regConfig.firstRetryIntervalSec = REGISTRATION_RETRY
        config.sipConfig.authCreds.append(
            pj.AuthCredInfo(
                "digest",
                registration.realm,
                registration.username,
                0,
                resolve(registration.password),
            )
        )
    media = config.mediaConfig.transportConfig
    media.boundAddress = str(rtp.address)
    media.publicAddress = str(rtp.address)
    media.port = rtp.first_port
    media.portRange = rtp.last_port - rtp.first_port
    config.mediaConfig.streamKaEnabled = False
    config.mediaConfig.lockCodecEnabled = False
    config.natConfig.contactRewriteUse = 0
    config.natConfig.viaRewriteUse = 0
    config.natConfig.sdpNatRewriteUse = 0
    config.natConfig.sipOutboundUse = 0
    config.natConfig.udpKaIntervalSec = 0
    return config
