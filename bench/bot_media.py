"""Bot calls: audio both ways between callers and a bot, every frame followed by its number.

Four processes beside this one: SIPp signals, one process is every caller's audio, one is the bot
that sends each frame back, and the gateway runs as `switchhook run`. Times are of one monotonic
clock, so the way to the bot and the way back are measured apart.

    python -m bench.bot_media [--calls 300] [--seconds 20] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import httpx

from bench import echo_bot, rtp_load
from bench.echo_bot import Arrivals
from bench.numbered import NUMBERS
from bench.rtp_load import CallAudio
from bench.sampling import Sample, sample, share
from bench.table import Figure, percentile, report
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.world import CARRIER, World
from tests.peers import network
from tests.peers.script import SDP, Caller
from tests.peers.sipp import Sipp

RATE = 30
"""Calls begun in a second, until all are up."""

SETTLE = 5.0
"""Seconds from the last call's first audio to the measurement: jitter buffers find their size."""

TAIL = 1.0
"""Seconds of the measured audio's end that are left out: it is still on its way."""

COUNTERS = (
    "switchhook_clock_ticks_total",
    "switchhook_clock_late_ticks_total",
    "switchhook_pump_rx_frames_total",
    "switchhook_pump_rx_dropped_total",
    "switchhook_pump_tx_underruns_total",
)

UP_LIMIT = 60.0
"""Seconds that the calls may take to be up, beyond what RATE takes."""


@dataclass(frozen=True)
class Run:
    """What was measured."""

    calls: list[CallAudio]
    arrivals: dict[int, Arrivals]
    idle: Sample
    before: Sample
    after: Sample
    bot: tuple[Sample, Sample]
    load: tuple[Sample, Sample]
    skipped: int
    """Frames that the callers' process came too late to send."""
    counted: dict[str, float]
    """What the gateway's own counters gained meanwhile."""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20, help="at most 70")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if SETTLE + given.seconds > NUMBERS * rtp_load.PTIME - TAIL:
        parser.error("--seconds: frames' numbers would repeat")
    with tempfile.TemporaryDirectory(prefix="switchhook-bench-") as folder:
        run = asyncio.run(measure(Path(folder), given.calls, given.seconds))
    title = f"Bot calls: {given.calls} at once for {given.seconds:g} s, 8 kHz both ways"
    report(title, figures(run), given.json)


async def measure(folder: Path, calls: int, seconds: float) -> Run:
    """Bring the calls up, look at the gateway before and after `seconds`, and end them."""
    legs = calls + 50
    world = World(
        folder / "gateway",
        settings={"sip": {"max_calls": legs}},
        rtp=network.free_udp_range("127.0.0.1", 2 * legs + 2),
    )
    world.write()
    first, _ = network.free_udp_range(CARRIER, 2 * calls)
    ports = [first + 2 * call for call in range(calls)]
    spawn = multiprocessing.get_context("spawn")
    bot_pipe, bots_end = spawn.Pipe()
    load_pipe, loads_end = spawn.Pipe()
    bot = spawn.Process(target=echo_bot.serve, args=(world.bot_port, bots_end), daemon=True)
    load = spawn.Process(target=rtp_load.run, args=(CARRIER, ports, loads_end), daemon=True)
    gateway = GatewayProcess(world)
    client = httpx.AsyncClient(base_url=world.api)
    api = Api(client)
    try:
        bot.start()
        load.start()
        await told(bot_pipe, "ready", 20)
        await told(load_pipe, "ready", 20)
        gateway.start()
        idle = sample(gateway.pid)
        sipp = await signal(folder, world, ports, seconds)
        try:
            await told(load_pipe, "up", calls / RATE + UP_LIMIT)
            await asyncio.sleep(SETTLE)
            assert bot.pid is not None
            assert load.pid is not None
            pids = (gateway.pid, bot.pid, load.pid)
            counters = await read(api)
            before, *others = (sample(pid) for pid in pids)
            await asyncio.sleep(seconds)
            after, *later = (sample(pid) for pid in pids)
            counted = {name: now - counters[name] for name, now in (await read(api)).items()}
        finally:
            await sipp.stop()
        load_pipe.send("stop")
        bot_pipe.send("stop")
        (audio, skipped), arrivals = load_pipe.recv(), bot_pipe.recv()
    finally:
        gateway.stop()
        await client.aclose()
        for process in (bot, load):
            process.terminate()
            process.join()
    bots, loads = zip(others, later, strict=True)
    return Run(audio, arrivals, idle, before, after, bots, loads, skipped, counted)


async def read(api: Api) -> dict[str, float]:
    """The gateway's counters of the media."""
    samples = await api.metrics()
    return {name: samples[name] for name in COUNTERS}


async def signal(folder: Path, world: World, ports: list[int], seconds: float) -> Sipp:
    """Start SIPp: every call stays up until the measurement is over."""
    calls = len(ports)
    stay = calls / RATE + UP_LIMIT + SETTLE + seconds + 20
    sdp = SDP.replace("[media_port]", "[field0]")
    script = Caller("stays", caller="[call_number]").dials(sdp=sdp).is_answered().talks(stay)
    return await Sipp.start(
        script.hangs_up(),
        folder,
        address=CARRIER,
        fields=[str(port) for port in ports],
        gateway=world.address,
        number="100",
        calls=calls,
        rate=RATE,
        measure=True,
        run_limit=2 * stay,
    )


async def told(pipe: Connection, word: str, within: float) -> None:
    """Wait until a process says `word`."""
    await network.until(pipe.poll, f"a process is {word}", within)
    said = pipe.recv()
    assert said == word, said


def figures(run: Run) -> list[Figure]:
    """Everything that came of a run."""
    to_bot, back, lost_to_bot, lost_back, sent = follow(run)
    calls = len(run.calls)
    return [
        Figure("CPU per call", share(run.before, run.after) * 100 / calls, "% of a core", 0.12),
        Figure("CPU of the gateway", share(run.before, run.after) * 100, "% of a core"),
        Figure("CPU of the bot", share(*run.bot) * 100, "% of a core"),
        Figure("CPU of the callers", share(*run.load) * 100, "% of a core"),
        Figure("frames sent", sent),
        Figure("frames not sent: the callers were late", run.skipped),
        Figure("frames lost or cut on the way to the bot", lost_to_bot, "", 0),
        Figure("frames lost or cut on the way back", lost_back, "", 0),
        Figure("caller to bot, p50", percentile(to_bot, 50) * 1000, "ms"),
        Figure("caller to bot, p95", percentile(to_bot, 95) * 1000, "ms", 45),
        Figure("bot to caller, p50", percentile(back, 50) * 1000, "ms"),
        Figure("bot to caller, p95", percentile(back, 95) * 1000, "ms", 45),
        Figure("memory per call", (run.after.memory - run.idle.memory) / calls / 1000, "KB", 300),
        Figure("threads", run.after.threads),
        *(Figure(name, count) for name, count in run.counted.items()),
    ]


def follow(run: Run) -> tuple[list[float], list[float], int, int, int]:
    """Each frame that was sent while it was measured: seconds to the bot and back, and how many
    did not come."""
    to_bot: list[float] = []
    back: list[float] = []
    lost_to_bot = lost_back = sent = 0
    for caller, call in enumerate(run.calls, 1):
        arrivals = run.arrivals.get(caller, Arrivals())
        at_bot = first_times(arrivals.numbers, arrivals.times)
        returned = first_times(call.numbers, call.times)
        for number, left in enumerate(call.sent):
            if not run.before.at <= left <= run.after.at - TAIL:
                continue
            sent += 1
            key = number % NUMBERS
            if key not in at_bot:
                lost_to_bot += 1
                continue
            to_bot.append(at_bot[key] - left)
            if key in returned:
                back.append(returned[key] - at_bot[key])
            else:
                lost_back += 1
    return to_bot, back, lost_to_bot, lost_back, sent


def first_times(numbers: Iterable[int], times: Iterable[float]) -> dict[int, float]:
    """When each number came first."""
    found: dict[int, float] = {}
    for number, at in zip(numbers, times, strict=True):
        found.setdefault(number, at)
    return found


if __name__ == "__main__":
    main()
