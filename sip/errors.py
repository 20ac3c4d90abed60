"""What can go wrong in the SIP layer, as a tree:

    SipError
    ├── EngineError           the installed PJSIP build is missing or unfit
    ├── BindError             an address and port cannot be listened on
    ├── MediaError            the bridge has no place left for a prompt or a bot
    ├── DestinationBlocked    our own rules or limits forbid to dial it; nothing was sent
    ├── UnresolvedHost        a host name has no address; nothing was sent
    └── CallEnded             the leg is gone; whoever waits on it unwinds

A failed transfer is not an error: it is the returned attempt's outcome (sip/outcome.py).
"""

from __future__ import annotations


class SipError(Exception):
    """Base of the SIP layer's errors."""


class EngineError(SipError):
    """The PJSIP build cannot carry the gateway. The message says why and what to do."""


class BindError(SipError):
    """An address cannot be listened on."""

    def __init__(self, transport: str, address: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {transport} {address}:{port}: {reason}")
        self.address = address
        self.port = port


class MediaError(SipError):
    """The bridge has no place left for a prompt or a bot."""


class DestinationBlocked(SipError):
    """Our own rules or limits forbid to dial it. The message says which."""


class UnresolvedHost(SipError):
    """A host name has no IPv4 address."""


class CallEnded(SipError):
    """The leg has ended."""
