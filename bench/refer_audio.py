"""A REFER that fails: how soon the caller hears the words for it, after the NOTIFY that says so.

The trunk is `sip.faulty`, in this process; it reads the RTP that it is sent. Once it leaves the
gateway alone, and once it puts it on hold for the transfer and never resumes, as some PBXs do.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import soundfile

from bench.gateway import running, world
from bench.measurement import Figure, percentile
from bench.rtp_load import HEADER
from sip.faulty.peer import Address, FaultyPeer
from sip.faulty.steps import Behaviour, Notify, Offer, Reply, Step, Wait
from tests.e2e.world import CARRIER, PROMPTS, World

NUMBER = "300"
"""Leads to a transfer by REFER; each failure has a prompt of its own."""

BUDGET_MS = 100
"""Until the caller's audio is back."""

ENDED = "terminated;reason=noresource"
FAILS = Notify("SIP/2.0 486 Busy Here", ENDED)
ACCEPTS = (Reply(202), Wait(0.3))
"""The caller hears the waiting sound for so many seconds."""

SAMPLE_RATE = 8000
SHARE = 0.5
"""Part of a packet's energy that its tone must have."""


class ListeningTrunk(FaultyPeer):
    """Notes when it reports the failure, and every RTP packet with its time of arrival."""

    def __init__(self) -> None:
        super().__init__(CARRIER)
        self.failed_at = 0.0
        self.heard: list[tuple[float, bytes]] = []

    def listen(self) -> None:
        """From now on."""
        assert self._media is not None
        self._media.setblocking(False)
        asyncio.get_running_loop().add_reader(self._media, self._take)

    def deaf(self) -> None:
        """No more."""
        assert self._media is not None
        asyncio.get_running_loop().remove_reader(self._media)

    def _take(self) -> None:
        assert self._media is not None
        self.heard.append((time.perf_counter(), self._media.recv(2048)))

    def _send(self, text: str, to: Address) -> None:
        if text.startswith("NOTIFY "):
            self.failed_at = time.perf_counter()
        super()._send(text, to)


@dataclass(frozen=True)
class ReferAudio:
    """The caller is ours again, and hears it."""

    title: ClassVar[str] = "Failing NOTIFY to error prompt"
    calls: int = 20
    """Of each kind, one after the other."""

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"{self.calls} calls of each kind"

    async def run(self, folder: Path) -> Sequence[Figure]:
        """Let the transfers fail, without and with hold."""
        async with running(world(folder, 50)) as gateway:
            plain = await measure(gateway.world, self.calls, *ACCEPTS, FAILS)
            held = await measure(gateway.world, self.calls, *ACCEPTS, Offer(), FAILS)
        return [
            Figure("p50", percentile(plain, 50), "ms"),
            Figure("p95", percentile(plain, 95), "ms", BUDGET_MS),
            Figure("p50 where the peer holds", percentile(held, 50), "ms"),
            Figure("p95 where the peer holds", percentile(held, 95), "ms", BUDGET_MS),
            Figure("prompts not heard", 2 * self.calls - len(plain) - len(held), "", 0),
        ]


async def measure(place: World, calls: int, *refer: Step) -> list[float]:
    """Milliseconds from each NOTIFY to the first packet with the words for it."""
    times = []
    async with ListeningTrunk() as trunk:
        trunk.listen()
        for _ in range(calls):
            trunk.heard.clear()
            call = await trunk.call(place.number(NUMBER), Behaviour(refer=refer))
            await call.finished(within=10)
            after = (heard for heard in trunk.heard if heard[0] > trunk.failed_at)
            first = next((at for at, packet in after if words(packet)), None)
            if first is not None:
                times.append((first - trunk.failed_at) * 1000)
        trunk.deaf()
    return times


def words(packet: bytes) -> bool:
    """Whether an RTP packet carries the prompt for 486."""
    payload = io.BytesIO(packet[HEADER.size :])
    samples, _ = soundfile.read(
        payload, format="RAW", subtype="ULAW", samplerate=SAMPLE_RATE, channels=1
    )
    energy = float(np.mean(samples**2))
    if energy < 1e-5:
        return False
    phase = np.exp(-2j * np.pi * PROMPTS["code-486"] * np.arange(samples.size) / SAMPLE_RATE)
    return float(2 * abs(samples @ phase / samples.size) ** 2 / energy) > SHARE
