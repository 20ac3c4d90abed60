"""Patterns of destinations that may be dialled without being a named target.

`+49*` and `+493012345` match E.164 numbers; `sip:*@example.com`, `sip:+49*@10.0.0.8` and
`sip:*@*.example.com` match SIP URIs. A `*` stands for any rest of a number or user part, or for any
host below a domain. A URI pattern without port or parameters matches whatever the URI has there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from config.errors import InvalidValue
from config.uri import SipUri, is_number, parse_uri

_NUMBER = re.compile(r"\+(?:[1-9][0-9]{0,14})?\*|\+[1-9][0-9]{1,14}")
_URI = re.compile(r"(?P<scheme>sips?):(?P<user>[^@]+)@(?P<any_sub>\*\.)?(?P<host>[^@*]+)")
_FORMS = "Write one such as `+49*`, `sip:*@example.com` or `sip:*@*.example.com`"


@dataclass(frozen=True, slots=True)
class _UriPattern:
    uri: SipUri
    any_rest: bool
    """The user part is a prefix."""
    any_sub: bool
    """Hosts below the domain are meant, not the domain itself."""

    def matches(self, uri: SipUri) -> bool:
        own = self.uri
        return (
            own.scheme in ("sip", uri.scheme)
            and (uri.user.startswith(own.user) if self.any_rest else uri.user == own.user)
            and (uri.host.endswith("." + own.host) if self.any_sub else uri.host == own.host)
            and (own.port is None or uri.port == own.port)
            and set(own.params) <= set(uri.params)
        )


def check_allow(pattern: str) -> str:
    """Return `pattern` if it is one.

    Raises:
        InvalidValue: it is none, or it would allow everything.
    """
    if _NUMBER.fullmatch(pattern) is None:
        _uri_pattern(pattern)
    return pattern


def matches(pattern: str, destination: str) -> bool:
    """Whether a valid destination is matched by a valid pattern."""
    if is_number(destination):
        prefix = pattern.removesuffix("*")
        return destination == pattern or (pattern.endswith("*") and destination.startswith(prefix))
    if pattern.startswith("+"):
        return False
    return _uri_pattern(pattern).matches(parse_uri(destination))


def _uri_pattern(pattern: str) -> _UriPattern:
    match = _URI.fullmatch(pattern)
    if match is None:
        raise InvalidValue("is no pattern of destinations", _FORMS)
    prefix = match["user"].removesuffix("*")
    uri = parse_uri(f"{match['scheme']}:{prefix + '@' if prefix else ''}{match['host']}")
    return _UriPattern(
        uri=uri,
        any_rest=match["user"].endswith("*"),
        any_sub=match["any_sub"] is not None,
    )
