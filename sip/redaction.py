"""Credentials and keys out of messages before anybody else sees them."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"^((?:Proxy-)?Authorization\s*:\s*\w+).*$", re.IGNORECASE | re.MULTILINE)
_KEYS = re.compile(r"^(a=crypto:.*?inline:).*$", re.MULTILINE)


def without_credentials(text: str) -> str:
    """The message without the values of Authorization and Proxy-Authorization, and SRTP keys."""
    if "uthorization" in text or "UTHORIZATION" in text:
        text = _CREDENTIALS.sub(r"\1 (removed)\r", text)
    if "a=crypto:" in text:
        text = _KEYS.sub(r"\1(removed)\r", text)
    return text
