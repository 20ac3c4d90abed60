"""TLS for SIP: the gateway's own certificate, and what a peer's must show."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from config.errors import InvalidValue
from config.strict import FilePath, Strict
from config.uri import check_host


class OwnCertificate(Strict):
    """The certificate that the gateway shows, as server and as client (PEM files)."""

    certificate: FilePath
    """The certificate, followed by those of the intermediate authorities."""
    key: FilePath
    """Its private key, not encrypted; readable to the gateway's user alone."""
    clients: Literal["any", "certified"] = "any"
    """Who may connect: any peer, or those whose certificate `client_ca` has signed."""
    client_ca: FilePath | None = None
    """Certificates of the authorities that sign peers' certificates."""

    @model_validator(mode="after")
    def _who_signs(self) -> Self:
        if self.clients == "certified" and self.client_ca is None:
            raise InvalidValue(
                "`certified` needs to know who certifies",
                "Add `client_ca: FILE`",
                at="clients",
            )
        if self.clients == "any" and self.client_ca is not None:
            raise InvalidValue(
                "is not looked at", "Write `clients: certified`, or leave it out", at="client_ca"
            )
        return self


class PeerCertificate(Strict):
    """What the certificate of a trunk's peer must show when the gateway connects over TLS."""

    verify: bool = True
    """`false` lets whoever answers at the peer's address hear and change everything."""
    ca: FilePath | None = None
    """Certificates of the authorities that may have signed it (PEM); default: the system's."""
    server_name: Annotated[str, AfterValidator(check_host)] | None = None
    """The name it must carry, also sent as SNI; default: the host of `proxy` or `registrar`."""


class Srtp(Strict):
    """Whether a trunk's audio is encrypted (SRTP, RFC 3711; keys in SDP, RFC 4568)."""

    use: Literal["off", "optional", "required"] = "off"
    """`optional`: where the peer can; `required`: a call without it gets 488."""
    keys_in_clear: bool = False
    """Allows the keys to be sent over UDP or TCP, where everybody on the way can read them."""
