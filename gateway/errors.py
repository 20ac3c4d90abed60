"""What can go wrong in the service, as a tree:

    GatewayError
    ├── StoreError        the database of finished calls cannot be used
    ├── ApiBindError      the API's address and port cannot be listened on
    └── PartEnded         a part of the running gateway ended by itself

A call that fails is none of these: it ends in its record, and the gateway goes on.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of the service's errors. The message says why and what to do."""


class StoreError(GatewayError):
    """The database of finished calls cannot be used."""


class ApiBindError(GatewayError):
    """The API's address and port cannot be listened on."""


class PartEnded(GatewayError):
    """A part of the running gateway ended by itself; the log has the reason."""
