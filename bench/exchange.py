"""What carries the calls that are measured: the gateway, or another in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.sampling import Sample, sample


@dataclass(frozen=True)
class Exchange:
    """Running, and ready for calls."""

    pid: int
    address: tuple[str, int]
    """Where callers send their INVITEs: host and port, UDP."""
    pbx_port: int
    """At which it expects the agents."""
    bot_port: int
    """At which it expects the bot."""
    bot: Callable[..., None]
    """The bot that it can talk to, as `bench.load.beside` runs it: `bot(bot_port, pipe)`."""

    def sample(self) -> Sample:
        """What it uses now."""
        return sample(self.pid)
