"""SRTP by hand (RFC 3711), with the suite AES_CM_128_HMAC_SHA1_80 and keys in SDP (RFC 4568)."""

from __future__ import annotations

import hmac
import os
from base64 import b64encode

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.peers.rtp import RtpSocket

SUITE = "AES_CM_128_HMAC_SHA1_80"

_KEY, _SALT, _TAG = 16, 14, 10
"""Bytes (RFC 3711 section 8.2)."""

_HEADER = 12
"""Bytes of an RTP header without CSRCs and extension."""


class SrtpKey:
    """A master key, and what follows from it for RTP."""

    def __init__(self) -> None:
        self._master = os.urandom(_KEY + _SALT)
        self._cipher, self._auth, self._salt = (
            self._derived(label, size) for label, size in enumerate((_KEY, 20, _SALT))
        )

    @property
    def line(self) -> str:
        """As SDP says it."""
        return f"a=crypto:1 {SUITE} inline:{b64encode(self._master).decode()}"

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet encrypted and authenticated, in the first cycle of sequence numbers."""
        sequence, ssrc = int.from_bytes(packet[2:4]), int.from_bytes(packet[8:12])
        counter = int.from_bytes(self._salt) << 16 ^ ssrc << 64 ^ sequence << 16
        body = _encrypted(self._cipher, counter, packet[_HEADER:])
        encrypted = packet[:_HEADER] + body
        return encrypted + hmac.digest(self._auth, encrypted + bytes(4), "sha1")[:_TAG]

    def _derived(self, label: int, size: int) -> bytes:
        """Section 4.3.1, with a key derivation rate of zero."""
        salt = int.from_bytes(self._master[_KEY:]) ^ label << 48
        return _encrypted(self._master[:_KEY], salt << 16, bytes(size))


def _encrypted(key: bytes, counter: int, text: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(16))).encryptor().update(text)


class SrtpSocket(RtpSocket):
    """One end of an SRTP session, as far as it sends."""

    def __init__(self, address: str, key: SrtpKey) -> None:
        super().__init__(address)
        self._key = key
        self.last = b""
        """What it has sent last, as it was on the wire."""

    def send_raw(self, packet: bytes, to: tuple[str, int]) -> None:
        """Encrypt an RTP packet, and send it."""
        self.last = self._key.protect(packet)
        super().send_raw(self.last, to)

    def send_as_it_is(self, packet: bytes, to: tuple[str, int]) -> None:
        """Anything at all."""
        super().send_raw(packet, to)
