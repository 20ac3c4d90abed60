"""The limit on open files (RLIMIT_NOFILE): what calls need, and how much of it there is."""

from __future__ import annotations

import resource

FILES_PER_LEG = 3
"""An RTP and an RTCP socket, and the bot's WebSocket."""
FILES_BESIDE = 164
"""The database, transports, and the API with its 100 clients."""


def needed(max_calls: int) -> int:
    """Open files that `max_calls` legs at once take."""
    return max_calls * FILES_PER_LEG + FILES_BESIDE


def allowed() -> int:
    """The most that this process may raise its limit to."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return hard if hard != resource.RLIM_INFINITY else 2**31


def raise_limit(max_calls: int) -> int:
    """Raise the limit as far as `max_calls` legs need and the system allows. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(max(soft, needed(max_calls)), allowed())
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
