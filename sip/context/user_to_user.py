"""User-to-User (RFC 7433): octets of the applications at both ends, as the value of a header.

resume=q2Xf…;priority=high;order=4711    the octets
04726573756d65…;encoding=hex             the header's value
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from config.context_policy import Encoding, UserToUser

_UNESCAPED = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '%;="\\')
"""Every other octet of a name or value is written as `%3B`; so none needs a second quoting."""

_DATUM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^;,"]*)((?:[^,"]|"(?:[^"\\]|\\.)*")*)(?:,|$)')
_PARAMETER = re.compile(r';\s*([^=;\s]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;]*))?')


_WRITTEN: dict[Encoding, Callable[[bytes], str]] = {
    Encoding.HEX: bytes.hex,
    Encoding.BASE64: lambda octets: f'"{base64.b64encode(octets).decode()}"',
    Encoding.TEXT: lambda octets: f'"{octets.decode("latin-1")}"',
}


@dataclass(frozen=True, slots=True)
class UserToUserData:
    """One value of a received User-to-User header."""

    text: str | None
    """Its octets as UTF-8, without the protocol discriminator; None: they are no text."""
    value: str
    """As it was received, without parameters."""
    encoding: str
    """Empty where none was said."""
    purpose: str
    content: str


def pair(name: str, value: str) -> str:
    """One of the pairs, both sides escaped."""
    return f"{quote(name, safe=_UNESCAPED)}={quote(value, safe=_UNESCAPED)}"


def room(policy: UserToUser) -> int:
    """Octets that the pairs may take."""
    return policy.max_octets - (policy.protocol_discriminator is not None)


def written(pairs: Iterable[str], policy: UserToUser) -> str:
    """The header's value for these pairs, each `name=value` with both escaped."""
    octets = ";".join(pairs).encode("ascii")
    if policy.protocol_discriminator is not None:
        octets = bytes([policy.protocol_discriminator]) + octets
    value = _WRITTEN[policy.encoding](octets)
    if policy.purpose is not None:
        value += f";purpose={policy.purpose}"
    if policy.content is not None:
        value += f";content={policy.content}"
    return f"{value};encoding={policy.encoding}" if policy.parameter else value


def read(header: str, policy: UserToUser) -> tuple[UserToUserData, ...]:
    """What a received header holds; it may have several values, separated by commas.

    Args:
        header: its value. Nothing that a peer writes there raises.
        policy: of the trunk, which says how it is written where the peer does not.
    """
    return tuple(
        _read(match[1], match[2], policy) for match in _DATUM.finditer(header) if match[1].strip()
    )


def pairs(text: str) -> dict[str, str]:
    """The `name=value` pairs in a text; the first of a name counts."""
    found: dict[str, str] = {}
    for pair in text.split(";"):
        name, equals, value = pair.partition("=")
        if equals:
            found.setdefault(unquote(name), unquote(value))
    return found


def _read(datum: str, parameters: str, policy: UserToUser) -> UserToUserData:
    said = {
        name.lower(): _unquoted(value) for name, value in _PARAMETER.findall(parameters)
    }  # fmt: skip
    value = _unquoted(datum)
    encoding = said.get("encoding", "").lower()
    octets = _octets(value, encoding or policy.encoding.value)
    discriminator = policy.protocol_discriminator
    if octets and discriminator is not None and octets[0] == discriminator:
        octets = octets[1:]
    return UserToUserData(
        text=_text(octets),
        value=value,
        encoding=encoding,
        purpose=said.get("purpose", ""),
        content=said.get("content", ""),
    )


def _octets(value: str, encoding: str) -> bytes | None:
    try:
        match encoding:
            case "hex":
                return bytes.fromhex(value)
            case "base64":
                return base64.b64decode(value, validate=True)
            case _:
                return value.encode()
    except (ValueError, binascii.Error):
        return None


def _text(octets: bytes | None) -> str | None:
    try:
        text = None if octets is None else octets.decode()
    except UnicodeDecodeError:
        return None
    return text if text is not None and (text.isprintable() or not text) else None


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
