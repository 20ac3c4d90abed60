"""When the certificates that SIP shows expire: said in time, for nobody connects after that."""

from __future__ import annotations

import time
from collections.abc import Mapping

from config.certificates import valid_until
from config.settings import Sip

WARN_DAYS = 14
"""Renewals that run by themselves happen a month ahead: what is left by then has failed."""

DAY = 86_400


def expiries(sip: Sip) -> dict[str, float]:
    """Seconds since 1970 at which each listener's certificate expires, by `address:port`."""
    found: dict[str, float] = {}
    for listen in sip.listen:
        if listen.tls is not None:
            until = valid_until(listen.tls.certificate, listen.tls.key)
            if until is not None:
                found[f"{listen.address}:{listen.port}"] = until
    return found


def expiring(certificates: Mapping[str, float], now: float | None = None) -> list[str]:
    """A warning for each certificate that has little time left.

    Args:
        certificates: as `expiries` gave them.
        now: seconds since 1970; default: the present.
    """
    now = time.time() if now is None else now
    days = {where: int((until - now) // DAY) for where, until in certificates.items()}
    return [
        f"the certificate of {where} expires in {left} days"
        if left >= 0
        else f"the certificate of {where} has expired"
        for where, left in days.items()
        if left < WARN_DAYS
    ]
