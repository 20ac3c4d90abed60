"""Reading SIP messages as text (RFC 3261 section 7): start line, headers, body.

For evidence and allow-lists only: PJSIP has parsed the message before, so it is well-formed enough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

_COMPACT = {
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "r": "refer-to",
    "b": "referred-by",
    "o": "event",
    "l": "content-length",
    "c": "content-type",
    "v": "via",
    "s": "subject",
    "k": "supported",
}
"""Compact header names that matter here (RFC 3261 section 7.3.3, RFC 3515, RFC 3892, RFC 6665)."""


_STATUS = re.compile(r"SIP/2\.0 ([1-6]\d\d)\b", re.ASCII)

_VALUE = re.compile(r'(?:[^,"]|"[^"]*"?)+')
"""One value of a header that may have several: commas separate them, but not within quotes."""


@dataclass(frozen=True)
class Message:
    """A SIP message. Header names keep their case; look-ups ignore it."""

    text: str

    @cached_property
    def start_line(self) -> str:
        """The request line or status line."""
        return self.text.partition("\n")[0].rstrip("\r")

    @cached_property
    def status(self) -> int | None:
        """Status code of a response; None for a request, and for a status line without one."""
        found = _STATUS.match(self.start_line)
        return None if found is None else int(found[1])

    @cached_property
    def reason(self) -> str:
        """Reason phrase of a response."""
        return self.start_line[12:] if self.status is not None else ""

    @cached_property
    def method(self) -> str:
        """Method of a request, or of the request a response belongs to."""
        if self.status is None:
            return self.start_line.partition(" ")[0]
        return self.header("CSeq").rpartition(" ")[2]

    @cached_property
    def request_uri(self) -> str:
        """Request URI of a request; empty for a response, and where the line has none."""
        return (
            "" if self.status is not None else self.start_line.partition(" ")[2].partition(" ")[0]
        )

    @cached_property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """(name, value) in order; folded lines are joined, compact names written out."""
        found: list[tuple[str, str]] = []
        for line in self._head.split("\n")[1:]:
            if line[:1] in " \t" and found and line.strip():
                name, value = found[-1]
                found[-1] = (name, f"{value} {line.strip()}")
                continue
            name, colon, value = line.partition(":")
            if colon:
                name = name.strip()
                found.append((_COMPACT.get(name.lower(), name), value.strip()))
        return tuple(found)

    def header(self, name: str) -> str:
        """The first value of a header; empty where it is absent."""
        lines = self._lines.get(name.lower())
        return lines[0] if lines else ""

    def lines(self, name: str) -> Sequence[str]:
        """The values of a header, line by line."""
        return self._lines.get(name.lower(), ())

    @cached_property
    def body(self) -> str:
        """What follows the empty line."""
        return self.text[len(self._head) :].lstrip("\r\n")

    @cached_property
    def retry_after(self) -> int | None:
        """Seconds of Retry-After (RFC 3261 section 20.33)."""
        digits = self.header("Retry-After").partition(";")[0].partition("(")[0].strip()
        return int(digits) if digits.isascii() and digits.isdigit() else None

    @cached_property
    def causes(self) -> tuple[str, ...]:
        """Why, in the peer's words: Reason (RFC 3326) and Warning (RFC 3261 section 20.43)."""
        found = []
        for name, value in self.headers:
            if name.lower() == "reason":
                found += [cause(each) for each in _VALUE.findall(value)]
            elif name.lower() == "warning":
                found.append(f"Warning {value}")
        return tuple(each for each in found if each)

    @cached_property
    def _lines(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            found.setdefault(name.lower(), []).append(value)
        return found

    @cached_property
    def _head(self) -> str:
        head, found, _ = self.text.partition("\r\n\r\n")
        return head if found else self.text.partition("\n\n")[0]


def cause(value: str) -> str:
    """One value of Reason, `Q.850;cause=17;text="User busy"`, as `Q.850 17 User busy`."""
    protocol, *parameters = (part.strip() for part in value.split(";"))
    known = dict(part.partition("=")[::2] for part in parameters)
    words = (protocol, known.get("cause", ""), known.get("text", "").strip('"'))
    return " ".join(word for word in words if word)


def user_part(name_addr: str) -> str:
    """User part of a From, To or request URI value, without its parameters; empty where none."""
    uri = name_addr.partition("<")[2].partition(">")[0] or name_addr.partition(";")[0]
    _, _, rest = uri.partition(":")
    user, at, _ = rest.rpartition("@")
    return user.partition(";")[0].partition(":")[0] if at else ""


def address(name_addr: str) -> str:
    """The URI of a From, To or Contact value."""
    return name_addr.partition("<")[2].partition(">")[0] or name_addr.partition(";")[0].strip()
