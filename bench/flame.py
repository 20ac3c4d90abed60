"""A flame graph of the gateway while callers talk to a bot: `python -m bench.flame FILE.svg`.

Two profilers look, one after the other: py-spy at the loop's thread, whose Python functions perf
cannot name, and perf at all others. How wide a thread is says Linux, which counts what each has
used of the processor, the kernel's work for it included.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import talking
from bench.flame_svg import drawn
from bench.gateway import running, world

Stack = tuple[str, ...]
"""Names of functions, the outermost first."""

PERF_HZ, PY_SPY_HZ = 499, 97
"""Samples a second; primes, so that no timer of the gateway keeps step with them."""

PY_SPY = str(Path(sys.executable).with_name("py-spy"))
"""The one of the environment that measures."""

STACK_BYTES = 16384
"""What perf copies of each stack to unwind it later."""

MARGIN = 15.0
"""Seconds that both profilers may take to start and to write."""

LOOP = "asyncio loop"

BELOW = frozenset({"uv_run (core.c)", "thread_main"})
"""The last frame of the way from a thread's start to its work, which is the same in every stack."""

Ticks = Mapping[str, int]
"""What threads have used of the processor, by name."""


async def sampled(folder: Path, calls: int, seconds: float) -> Counter[Stack]:
    """Watch the gateway while so many calls are up."""
    async with (
        running(world(folder, calls + 50)) as gateway,
        talking.to_bot(gateway, folder, calls, 2 * seconds + MARGIN),
    ):
        pid = gateway.pid
        before = used(pid)
        others = await by_perf(folder, pid, seconds)
        after = used(pid)
        loop = await by_py_spy(folder, pid, seconds)
    return weighed(others | loop, {name: after[name] - before.get(name, 0) for name in after})


def used(pid: int) -> Ticks:
    """Clock ticks, user and system (proc_pid_stat(5))."""
    ticks: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        head, _, rest = (task / "stat").read_text().rpartition(")")
        name = LOOP if task.name == str(pid) else head.partition("(")[2]
        ticks[name] += sum(map(int, rest.split()[11:13]))
    return ticks


async def by_perf(folder: Path, pid: int, seconds: float) -> Counter[Stack]:
    """Samples of all threads but the loop's; the first name is the thread's."""
    data = folder / "perf.data"
    record = f"perf record -q -F {PERF_HZ} --call-graph dwarf,{STACK_BYTES} -p {pid} -o {data}"
    await run(*record.split(), "--", "sleep", f"{seconds:g}")
    script = f"perf script -i {data} -F comm,pid,tid,ip,sym --no-inline"
    return perf_stacks(await run(*script.split()))


def perf_stacks(text: str) -> Counter[Stack]:
    """What `perf script` prints: a line with the thread, then the stack, innermost first."""
    stacks: Counter[Stack] = Counter()
    for block in text.split("\n\n"):
        head, *frames = block.strip().splitlines() or [""]
        found = re.match(r"(.+?)\s+(\d+)/(\d+)", head)
        if found is not None and found[2] != found[3]:
            names = [frame.split(None, 1)[1].partition("+")[0] for frame in frames]
            stacks[(found[1], *reversed(names))] += 1
    return stacks


async def by_py_spy(folder: Path, pid: int, seconds: float) -> Counter[Stack]:
    """Samples of the loop's thread."""
    raw = folder / "loop.raw"
    options = f"--native --threads --rate {PY_SPY_HZ} --duration {seconds:.0f} --format raw"
    await run(PY_SPY, "record", *options.split(), "--output", str(raw), "--pid", str(pid))
    return py_spy_stacks(raw.read_text(encoding="utf-8"))


def py_spy_stacks(text: str) -> Counter[Stack]:
    """py-spy's raw format: `thread;function (file:line);… count`."""
    stacks: Counter[Stack] = Counter()
    for line in text.splitlines():
        names, _, count = line.rpartition(" ")
        thread, *frames = names.split(";")
        if "MainThread" in thread:
            stacks[(LOOP, *(re.sub(r":\d+\)$", ")", frame) for frame in frames))] += int(count)
    return stacks


def weighed(stacks: Counter[Stack], ticks: Ticks) -> Counter[Stack]:
    """Each thread as wide as its ticks, in thousandths of one."""
    samples: Counter[str] = Counter()
    for (thread, *_), count in stacks.items():
        samples[thread] += count
    weights: Counter[Stack] = Counter()
    for (thread, *frames), count in stacks.items():
        share = ticks.get(thread, 0) / samples[thread]
        weights[(thread, *_work(frames))] += round(1000 * count * share)
    return weights


def _work(frames: Sequence[str]) -> Sequence[str]:
    """What stands above a thread's own beginning."""
    starts = [index for index, name in enumerate(frames) if name in BELOW]
    return frames[starts[0] + 1 :] if starts else frames


async def run(*command: str) -> str:
    """Run a profiler to its end. Raises RuntimeError with what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {error.decode(errors='replace')[-500:]}")
    return out.decode(errors="replace")


def main() -> None:
    """Measure, and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m bench.flame", description=__doc__)
    parser.add_argument("svg", type=Path)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=15.0, help="for each profiler")
    given = parser.parse_args()
    for tool, where in (("perf", "Debian's linux-perf"), (PY_SPY, "pip install '.[bench]'")):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not there: {where}")
    with tempfile.TemporaryDirectory() as folder:
        stacks = asyncio.run(sampled(Path(folder), given.calls, given.seconds))
    title = f"{given.calls} bot calls, 8 kHz both ways: what the gateway's processor time goes into"
    given.svg.write_text(drawn(stacks, title), encoding="utf-8")


if __name__ == "__main__":
    main()
