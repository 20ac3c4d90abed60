"""Reading the headers of a SIP message as it came over the wire."""

from __future__ import annotations

from itertools import takewhile


def start_line(message: str) -> str:
    """Request line or status line; empty for an empty message."""
    return message.partition("\r\n")[0].strip()


def headers(message: str) -> dict[str, str]:
    """Every header by its name as received; repeated ones joined (RFC 3261 section 7.3.1)."""
    found: dict[str, str] = {}
    for line in takewhile(bool, message.replace("\r\n ", " ").split("\r\n")[1:]):
        name, _, value = line.partition(":")
        name, value = name.strip(), value.strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def body(message: str) -> str:
    """What follows the empty line."""
    return message.partition("\r\n\r\n")[2]
