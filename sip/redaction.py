"""Credentials out of messages before anybody else sees them."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"^((?:Proxy-)?Authorization\s*:\s*\w+).*$", re.IGNORECASE | re.MULTILINE)


def without_credentials(text: str) -> str:
    """The message with the values of Authorization and Proxy-Authorization removed."""
    if "uthorization" not in text and "UTHORIZATION" not in text:
        return text
    return _CREDENTIALS.sub(r"\1 (removed)\r", text)
