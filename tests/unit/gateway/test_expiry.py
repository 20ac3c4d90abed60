"""Certificates that are about to expire are a warning."""

from __future__ import annotations

import time
from pathlib import Path

from config.settings import Sip
from gateway.expiry import DAY, expiries, expiring
from tests.peers.authority import Authority


def test_one_that_expires_soon_is_named_and_one_that_does_not_is_not(tmp_path: Path) -> None:
    own = Authority(tmp_path / "authority").signs("sip.example.test")
    files = {"certificate": str(own.certificate), "key": str(own.key)}
    listen = [{"address": "127.0.0.1"}]
    listen.append({"address": "127.0.0.1", "port": 5061, "transport": "tls", "tls": files})  # type: ignore[dict-item]
    sip = Sip.model_validate({"listen": listen, "rtp": {"address": "127.0.0.1"}})
    certificates = expiries(sip)
    assert list(certificates) == ["127.0.0.1:5061"]
    until = certificates["127.0.0.1:5061"]
    assert until > time.time()
    assert expiring(certificates, until - 20 * DAY) == []
    soon = expiring(certificates, until - 9.5 * DAY)
    assert soon == ["the certificate of 127.0.0.1:5061 expires in 9 days"]
    late = expiring(certificates, until + 1)
    assert late == ["the certificate of 127.0.0.1:5061 has expired"]
