"""Where a 3xx leads (RFC 3261 section 8.1.3.4): its Contacts, the most wanted first, each once."""

from __future__ import annotations

import re
from heapq import heappop, heappush
from itertools import count

from sip.message import Message, address

# Contacts followed for one target. Two proxies that redirect to each other end here.
MAX_REDIRECTIONS = 5

_SEPARATE = re.compile(r",(?=(?:[^\"<>]*(?:\"[^\"]*\"|<[^>]*>))*[^\"<>]*$)")
"""A comma that stands neither in quotes nor in angle brackets."""

_PREFERENCE = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", re.IGNORECASE)


class Redirections:
    """The places still to be tried for one target."""

    def __init__(self, target: str) -> None:
        self._seen = {target}
        self._ahead: list[tuple[float, int, str]] = []
        self._order = count()
        self.followed = 0

    def add(self, response: Message) -> None:
        """Take in the Contacts of a 3xx."""
        for name, value in response.headers:
            if name.lower() != "contact":
                continue
            for contact in _SEPARATE.split(value):
                uri, parameters = address(contact), contact.rpartition(">")[2]
                if uri and uri != "*" and uri not in self._seen:
                    self._seen.add(uri)
                    preference = _PREFERENCE.search(parameters)
                    q = float(preference[1]) if preference else 1.0
                    heappush(self._ahead, (-q, next(self._order), uri))

    def next(self) -> str:
        """The URI to try now; empty: there is none, or enough were tried."""
        if not self._ahead or self.followed == MAX_REDIRECTIONS:
            return ""
        self.followed += 1
        return heappop(self._ahead)[2]
