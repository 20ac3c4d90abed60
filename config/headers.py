"""Which SIP headers may be set from outside: by a flow, a bot or the API (RFC 3261 section 7.3)."""

from __future__ import annotations

import re

from config.errors import InvalidValue

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")

MAX_LINE = 1000
"""Characters of name and value together: peers, and our own gate, refuse lines over 1 KB."""

RESERVED = frozenset(
    {
        # They place a message in its dialog and on its way: the SIP stack writes them.
        "via", "from", "to", "call-id", "cseq", "contact", "route", "record-route", "path",
        "max-forwards", "event", "subscription-state", "allow-events", "expires",
        # They say what the gateway can do, or ask the peer to do something for it.
        "allow", "supported", "require", "proxy-require", "session-expires", "min-se", "rseq",
        "rack", "user-agent", "server",
        # They carry out a transfer.
        "refer-to", "referred-by", "refer-sub", "replaces", "join",
        # They say who calls and how the call came here, which a trunk's `identity` decides.
        "p-asserted-identity", "p-preferred-identity", "privacy", "diversion", "history-info",
        # They carry credentials.
        "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate",
        # Compact forms (RFC 3261 section 7.3.3) of the above and of Content-*.
        "v", "f", "t", "i", "m", "o", "u", "k", "x", "r", "b", "c", "e", "l",
    }
)  # fmt: skip
"""In lower case. Everything that begins with `content-` is reserved too."""


def check_name(name: str) -> str:
    """Return `name` if a header may be called so.

    Raises:
        InvalidValue: it is not a token, or the gateway writes this header itself.
    """
    if _TOKEN.fullmatch(name) is None:
        raise InvalidValue("a header's name has letters, digits and `-` only")
    if name.lower() in RESERVED or name.lower().startswith("content-"):
        raise InvalidValue("the gateway writes this header itself", "Take another, such as `X-…`")
    return name


def check_value(value: str) -> str:
    """Return `value` if it may stand in a header.

    Raises:
        InvalidValue: it carries CR, LF, NUL or another control character, or is too long.
    """
    if any((ord(char) < 0x20 and char != "\t") or ord(char) == 0x7F for char in value):
        raise InvalidValue(
            "a header's value must not carry CR, LF, NUL or another control character"
        )
    if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise InvalidValue("a header's value must be text: half a character stands in it")
    if len(value) > MAX_LINE:
        raise InvalidValue(f"a header's value has at most {MAX_LINE} characters")
    return value


def check_pattern(pattern: str) -> str:
    """Return `pattern` if it selects headers by name: `Diversion`, or `X-*` for any rest.

    Raises:
        InvalidValue: it is neither.
    """
    if _TOKEN.fullmatch(pattern) is None or "*" in pattern[:-1]:
        raise InvalidValue("a header pattern is a header's name, or its beginning and a `*`: `X-*`")
    return pattern
