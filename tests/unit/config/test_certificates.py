"""A certificate is tried out before a peer sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from config.certificates import why_no_authorities, why_not_shown
from tests.peers.authority import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def test_a_certificate_with_its_key_is_fit(authority: Authority) -> None:
    own = authority.signs("sip.example.test")
    assert why_not_shown(own.certificate, own.key) is None
    assert why_no_authorities(authority.file) is None


def test_an_expired_one_is_not(authority: Authority) -> None:
    own = authority.signs("sip.example.test", expired=True)
    assert why_not_shown(own.certificate, own.key) == f"{own.certificate}: certificate has expired"


def test_another_ones_key_is_not(authority: Authority) -> None:
    own, other = authority.signs("sip.example.test"), authority.signs("other.example.test")
    reason = why_not_shown(own.certificate, other.key)
    assert reason == f"{own.certificate} and {other.key}: key values mismatch"


def test_a_file_that_holds_no_certificate_is_not(authority: Authority, tmp_path: Path) -> None:
    own = authority.signs("sip.example.test")
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate\n")
    assert why_not_shown(wrong, own.key) is not None
    assert why_no_authorities(wrong) is not None


def test_a_missing_file_is_not(authority: Authority, tmp_path: Path) -> None:
    own = authority.signs("sip.example.test")
    missing = tmp_path / "missing.pem"
    assert why_not_shown(missing, own.key) is not None
    assert why_no_authorities(missing) == f"{missing} cannot be read: No such file or directory"


def test_an_encrypted_key_is_named_as_such(authority: Authority) -> None:
    own = authority.signs("sip.example.test")
    key = serialization.load_pem_private_key(own.key.read_bytes(), None)
    own.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    assert why_not_shown(own.certificate, own.key) == f"{own.key} is encrypted"
