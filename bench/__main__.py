"""Runs the measurements and prints one table."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.beside_asterisk import COMMAND, BesideAsterisk
from bench.bot_media import BotMedia
from bench.fallback_prompt import FallbackPrompt
from bench.flood import Flood
from bench.measurement import Measurement
from bench.refer_audio import ReferAudio
from bench.signalling import Signalling
from bench.soak import Soak
from bench.start import Start
from bench.table import Report, repeated, show
from bench.transfer_command import TransferCommand
from bench.transferred import Transferred

MEASUREMENTS: dict[str, Measurement] = {
    "signalling": Signalling(),
    "bot": BotMedia(),
    "transferred": Transferred(),
    "mixed": Transferred(mixed=True),
    "command": TransferCommand(),
    "fallback": FallbackPrompt(),
    "refer": ReferAudio(),
    "flood": Flood(),
    "start": Start(),
    "asterisk": BesideAsterisk(),
    "soak": Soak(),
}
USUAL = [
    name
    for name in MEASUREMENTS
    if name != "soak" and (name != "asterisk" or COMMAND in os.environ)
]
"""All but what takes many minutes, or needs what is not here."""


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=USUAL, metavar="NAME")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each measurement")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME.FIELD=VALUE",
        dest="sizes",
    )
    parser.add_argument("--json", type=Path, help="write the results to this file")
    given = parser.parse_args()
    try:
        chosen = resized(MEASUREMENTS, given.sizes)
    except ValueError as error:
        parser.error(str(error))
    reports = [
        asyncio.run(measured(name, chosen[name], given.repeat))
        for name in dict.fromkeys(given.only)
    ]
    show(machine(), reports)
    if given.json:
        results = {"machine": machine(), "reports": [report.as_dict() for report in reports]}
        given.json.write_text(json.dumps(results, indent=2) + "\n")


async def measured(name: str, measurement: Measurement, repeat: int) -> Report:
    """Run one measurement several times."""
    console = Console(stderr=True)
    runs = []
    for run in range(1, repeat + 1):
        console.print(f"{name}, run {run} of {repeat} …")
        with tempfile.TemporaryDirectory(prefix="switchhook-bench-") as folder:
            runs.append(await measurement.run(Path(folder)))
    return Report(name, f"{measurement.title}: {measurement.sizes}", repeated(runs))


def resized(measurements: dict[str, Measurement], sizes: list[str]) -> dict[str, Measurement]:
    """The measurements with each `NAME.FIELD=VALUE` in place. Raises ValueError."""
    given: dict[str, dict[str, Any]] = {}
    for size in sizes:
        place, equals, value = size.partition("=")
        name, _, field = place.partition(".")
        if not equals or not hasattr(measurements.get(name), field):
            raise ValueError(f"--set {size}: write NAME.FIELD=VALUE, as in signalling.rate=100")
        kind = type(getattr(measurements[name], field))
        try:
            given.setdefault(name, {})[field] = kind(value)
        except ValueError as error:
            raise ValueError(f"--set {size}: {error}") from error
    made = dict(measurements)
    for name, values in given.items():
        try:
            made[name] = replace(made[name], **values)  # type: ignore[type-var]
        except ValueError as error:
            raise ValueError(f"--set of {name}: {error}") from error
    return made


def machine() -> str:
    """What the figures were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} x {model}, Linux {platform.release()}, "
        f"Python {platform.python_version()} ({Path(sys.executable).resolve()})"
    )


if __name__ == "__main__":
    main()
