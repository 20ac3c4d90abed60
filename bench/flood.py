"""A flood of INVITEs from nobody's trunk, while a trunk goes on calling.

The same calls are placed twice, without the flood and during it: what it may do to a good trunk
is a ratio of the two. Then callers talk to a bot through a flood, and each of their frames is
followed.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

from bench.bot_media import follow, talk
from bench.gateway import running, world
from bench.load import beside
from bench.measurement import Figure, percentile
from bench.sampling import share
from bench.short_calls import place
from tests.e2e.world import STRANGER

BURST = 0.002
"""Seconds between two bursts: two milliseconds of a flood come at once."""

INVITE = """INVITE sip:00900123456@{host}:{port} SIP/2.0
Via: SIP/2.0/UDP {source};branch=z9hG4bK{unique}
Max-Forwards: 70
From: <sip:100@{source}>;tag={unique}
To: <sip:00900123456@{host}>
Call-ID: {unique}
CSeq: 1 INVITE
Contact: <sip:100@{source}>
Content-Length: 0

""".replace("\n", "\r\n")

LONGEST = 60.0
"""Seconds after which the flood ends by itself."""

REFUSED = tuple(f'switchhook_gate_refused_total{{reason="{why}"}}' for why in ("source", "rate"))


@dataclass(frozen=True)
class Flood:
    """INVITEs of a stranger."""

    title: ClassVar[str] = "Flood"
    invites: int = 5000
    """A second."""
    seconds: int = 15
    rate: int = 20
    """Good calls begun in a second."""
    talking: int = 50
    """Good calls at once whose audio is followed."""

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return (
            f"{self.invites} INVITEs/s of a stranger beside {self.rate} calls/s, {self.seconds} s"
        )

    async def run(self, folder: Path) -> Sequence[Figure]:
        """The good calls alone, then with the flood."""
        calls = self.rate * self.seconds
        async with running(world(folder, self.rate * 4 + 100)) as gateway:
            address = gateway.address
            await place(calls, self.rate, address, folder)  # everything is loaded, once
            quiet = (await place(calls, self.rate, address, folder)).response_times()
            async with beside(pour, *address, self.invites) as flood:
                before = gateway.sample()
                sipp = await place(calls, self.rate, address, folder)
                after = gateway.sample()
                poured = flood.results()
            metrics = await gateway.api.metrics()
        async with (
            running(world(folder / "talking", self.talking + 50)) as gateway,
            beside(pour, *gateway.address, self.invites),
        ):
            heard = await talk(gateway, folder / "talking", self.talking, self.seconds)
        frames = follow(heard)
        tormented = sipp.response_times()
        refused = sum(metrics.get(name, 0) for name in REFUSED)
        return [
            Figure("INVITEs sent", poured["rate"], "/s"),
            Figure("of them refused or dropped by the gate", refused / poured["sent"] * 100, "%"),
            Figure("good calls failed", sipp.failed_calls(), "", 0),
            Figure("answer of a good call when quiet, p99", percentile(quiet, 99), "ms"),
            Figure("answer of a good call in the flood, p99", percentile(tormented, 99), "ms"),
            Figure("times the quiet p99", percentile(tormented, 99) / percentile(quiet, 99), "", 2),
            Figure("memory grown during the flood", (after.memory - before.memory) / 1024, "KB"),
            Figure("of one core", share(before, after) * 100, "%"),
            Figure("frames of callers and bots in a flood", 2 * frames.sent),
            Figure("of them lost or cut", frames.lost_to_bot + frames.lost_back, "", 0),
            Figure("caller to bot in a flood, p95", percentile(frames.to_bot, 95) * 1000, "ms", 45),
            Figure("bot to caller in a flood, p95", percentile(frames.back, 95) * 1000, "ms", 45),
        ]


def pour(host: str, port: int, rate: int, pipe: Connection) -> None:
    """The stranger's process: `ready`, then INVITEs at this rate until told to stop; then how many
    it sent, and how many a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((STRANGER, 0))
        stranger.setblocking(False)
        source = f"{STRANGER}:{stranger.getsockname()[1]}"
        began, sent = time.monotonic(), 0
        pipe.send("ready")
        while not pipe.poll(BURST) and (passed := time.monotonic() - began) < LONGEST:
            while sent < passed * rate:
                message = INVITE.format(
                    host=host, port=port, source=source, unique=secrets.token_hex(8)
                )
                with suppress(BlockingIOError):
                    stranger.sendto(message.encode(), (host, port))
                sent += 1
            with suppress(BlockingIOError):
                while True:
                    stranger.recv(2048)
        pipe.send({"sent": sent, "rate": sent / (time.monotonic() - began)})
