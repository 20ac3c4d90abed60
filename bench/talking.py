"""Callers who talk, to a bot or to agents, all at once and for as long as the measurement takes.

SIPp signals. One process is every caller's audio, another one the bot or every agent's audio. Audio
is of numbered frames, so that each one can be followed, or leaves a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import rtp_load
from bench.exchange import Exchange
from bench.load import Load, beside
from bench.numbered import NUMBERS
from bench.rtp_load import PTIME, free_ports
from bench.sampling import Sample
from tests.e2e.world import CARRIER, PBX
from tests.peers.agent import Agent
from tests.peers.caller import Caller
from tests.peers.script import audio_at
from tests.peers.sipp import Sipp

BOT_NUMBER = "100"
"""Leads to the bot."""

AGENT_NUMBER = "200"
"""Leads straight to an agent; each failure has a prompt of its own."""

RATE = 30
"""Calls begun in a second, until all are up."""

UP_LIMIT = 60.0
"""Seconds that the calls may take to be up, beyond what RATE takes."""

SETTLE = 5.0
"""Seconds from the last call's first audio to the measurement: jitter buffers find their size."""

TAIL = 1.0
"""Seconds of the measured audio's end that are left out: it is still on its way."""

SPARE = 20.0
"""Seconds that a call stays up beyond all these."""

_AUDIO = audio_at("[field0]")
"""At a port of the list that SIPp is given."""


@dataclass(frozen=True)
class Talking:
    """Calls that are up, and have settled."""

    idle: Sample
    """Of the exchange, before them."""
    callers: Load
    """`bench.rtp_load.run`."""
    called: Load
    """The bot; or the agents, `bench.rtp_load.run` as well."""


@asynccontextmanager
async def to_bot(
    exchange: Exchange, folder: Path, calls: int, seconds: float
) -> AsyncIterator[Talking]:
    """So many calls to the bot, up for at least `seconds` from here."""
    ports = free_ports(CARRIER, calls)
    async with (
        beside(exchange.bot, exchange.bot_port) as bot,
        beside(rtp_load.run, CARRIER, ports) as callers,
    ):
        idle = exchange.sample()
        async with _stopped(await _callers(exchange, folder, BOT_NUMBER, ports, seconds)):
            await _settled(calls, callers)
            yield Talking(idle, callers, bot)


@asynccontextmanager
async def to_agents(
    exchange: Exchange, folder: Path, calls: int, seconds: float
) -> AsyncIterator[Talking]:
    """So many calls to as many agents, up for at least `seconds` from here."""
    ports, desks = (free_ports(address, calls) for address in (CARRIER, PBX))
    async with (
        beside(rtp_load.run, CARRIER, ports) as callers,
        beside(rtp_load.run, PBX, desks) as agents,
    ):
        idle = exchange.sample()
        async with (
            _stopped(await _agents(exchange, folder, desks, seconds)),
            _stopped(await _callers(exchange, folder, AGENT_NUMBER, ports, seconds)),
        ):
            await _settled(calls, callers, agents)
            yield Talking(idle, callers, agents)


def check_length(calls: int, seconds: float) -> None:
    """Whether the frames of such a measurement can be told apart. Raises ValueError."""
    longest = NUMBERS * PTIME - calls / RATE - SETTLE - TAIL
    if seconds > longest:
        raise ValueError(f"{seconds:g} s: more than {longest:.0f} s, and frames' numbers repeat")


async def _settled(calls: int, *audio: Load) -> None:
    """Wait until these processes hear every call, and then for SETTLE."""
    for each in audio:
        await each.says("up", calls / RATE + UP_LIMIT)
    await asyncio.sleep(SETTLE)


async def _callers(
    exchange: Exchange, folder: Path, number: str, ports: list[int], seconds: float
) -> Sipp:
    """Start SIPp: a caller for each of these ports, to which its audio comes."""
    stay = _stay(len(ports), seconds)
    script = Caller("stays", caller="[call_number]").dials(sdp=_AUDIO).is_answered().talks(stay)
    return await Sipp.start(
        script.hangs_up(),
        folder,
        address=CARRIER,
        fields=[str(port) for port in ports],
        gateway=exchange.address,
        number=number,
        calls=len(ports),
        rate=RATE,
        measure=True,
        run_limit=2 * stay,
    )


async def _agents(exchange: Exchange, folder: Path, ports: list[int], seconds: float) -> Sipp:
    """Start SIPp: an agent for each of these ports, to which its audio comes."""
    stay = _stay(len(ports), seconds)
    return await Sipp.start(
        Agent("stays").is_called().answers(sdp=_AUDIO).talks(stay).is_hung_up_on(),
        folder,
        address=PBX,
        port=exchange.pbx_port,
        fields=[str(port) for port in ports],
        calls=len(ports),
        measure=True,
        run_limit=2 * stay,
    )


def _stay(calls: int, seconds: float) -> float:
    """Seconds from a call's answer to its end: until the measurement is over."""
    return calls / RATE + UP_LIMIT + SETTLE + seconds + SPARE


@asynccontextmanager
async def _stopped(sipp: Sipp) -> AsyncIterator[None]:
    """Ends it when left, whatever its calls do."""
    try:
        yield
    finally:
        await sipp.stop()
