"""Certificates, looked at before anybody connects.

A certificate is tried out: a TLS handshake in memory between a server that shows it and a client
that trusts it. So what is found here is what a peer would find.
"""

from __future__ import annotations

import ssl
from pathlib import Path

_ROUND_TRIPS = 8
"""A handshake takes three; more means that it does not end."""


def why_not_shown(certificate: Path, key: Path) -> str | None:
    """Why a server cannot show this certificate (PEM files); None: it can."""
    try:
        server, client = _contexts(certificate, key)
    except _EncryptedKeyError:
        return f"{key} is encrypted"
    except (ssl.SSLError, OSError) as error:
        return _why(error, f"{certificate} and {key}")
    try:
        _shake_hands(server, client)
    except ssl.SSLCertVerificationError as error:
        return f"{certificate}: {error.verify_message}"
    except ssl.SSLError as error:
        return f"{certificate}: {error.reason}"
    return None


def valid_until(certificate: Path, key: Path) -> float | None:
    """When a certificate expires, as seconds since 1970; None: it cannot be shown at all."""
    if why_not_shown(certificate, key) is not None:
        return None
    server, client = _contexts(certificate, key)
    shown = _shake_hands(server, client).getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(shown["notAfter"])))


def why_no_authorities(file: Path) -> str | None:
    """Why no certificates of authorities are in this PEM file; None: there are."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except (ssl.SSLError, OSError) as error:
        return _why(error, str(file))
    return None


class _EncryptedKeyError(Exception):
    pass


def _contexts(certificate: Path, key: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # The certificate itself is trusted, not who signed it: that is the peers' to judge.
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    server.load_cert_chain(certificate, key, password=_no_password)
    client.load_verify_locations(certificate)
    return server, client


def _no_password() -> str:
    raise _EncryptedKeyError


def _why(error: OSError, what: str) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "NOT_PEM").lower().replace("_", " ")
        return f"{what}: {reason}"
    return f"{what} cannot be read: {error.strerror}"


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """The client's side, connected."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    connected = client.wrap_bio(down, up)
    sides = [server.wrap_bio(up, down, server_side=True), connected]
    for _ in range(_ROUND_TRIPS):
        for side in list(sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            sides.remove(side)
    if sides:
        raise ssl.SSLError(0, "the handshake does not end")
    return connected
