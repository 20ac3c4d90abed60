"""What a NOTIFY says about a REFER: the status line in its `message/sipfrag` body (RFC 3420).

Read with tolerance, because so much hangs on it: peers leave the line end out, add headers, write
`sip/2.0`, or wrap the fragment into a multipart body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sip.message import Message

_STATUS_LINE = re.compile(r"^SIP/[0-9.]+[ \t]+([1-6][0-9]{2})(?![0-9])[ \t]*(.*)$", re.IGNORECASE)
"""RFC 3261 section 7.2; one response class beyond 6xx does not exist."""

_MULTIPART = "multipart/"


@dataclass(frozen=True, slots=True)
class Sipfrag:
    """The status that was reported."""

    code: int
    reason: str
    retry_after: int | None = None
    """Seconds, where the fragment carries that header of the response."""


def sipfrag(notify: Message) -> Sipfrag | None:
    """The status in a NOTIFY's body; None where it holds none."""
    body = notify.body
    if notify.header("Content-Type").strip().lower().startswith(_MULTIPART):
        body = _part(body)
    fragment = Message(body.lstrip())
    found = _STATUS_LINE.match(fragment.start_line.strip())
    if found is None:
        return None
    return Sipfrag(int(found[1]), found[2].strip(), fragment.retry_after)


def _part(body: str) -> str:
    """A multipart body from its first status line on (RFC 2046 section 5.1)."""
    lines = body.splitlines()
    for index, line in enumerate(lines):
        if _STATUS_LINE.match(line.strip()):
            return "\n".join(lines[index:])
    return ""
