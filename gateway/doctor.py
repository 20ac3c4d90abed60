"""Whether this machine can run the gateway: one line with a verdict for each thing it needs."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version

from config.settings import Settings, Sip
from gateway import open_files, priority
from sip.errors import EngineError

OLDEST_SQLITE = (3, 35, 0)
"""What SQLAlchemy's SQLite dialect expects at full function."""
COARSE_CLOCK = 0.001
"""Seconds: timers of 20 ms frames need a finer clock than this."""
BUILT = datetime(2026, 8, 1, tzinfo=UTC)
"""A wall clock before this release was written is wrong."""


class Verdict(StrEnum):
    """What a check says."""

    OK = "ok"
    WARNING = "warning"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    subject: str
    verdict: Verdict
    detail: str
    """What was found; where it is not ok, also what to do."""


def examine(settings: Settings | None) -> list[Finding]:
    """Everything the gateway needs of this machine, for this configuration if there is one."""
    max_calls = settings.sip.max_calls if settings else int(Sip.model_fields["max_calls"].default)
    return [
        Finding("Python", Verdict.OK, platform.python_version()),
        *_engine(max_calls),
        _speech(),
        _sqlite(),
        Finding("uvloop", Verdict.OK, version("uvloop")),
        _files(max_calls),
        _priority(),
        _clock(),
    ]


def _engine(max_calls: int) -> Iterator[Finding]:
    try:
        from sip.engine_facts import describe  # noqa: PLC0415 — fails where no engine is installed

        facts = describe()
    except EngineError as error:
        yield Finding("SIP engine", Verdict.UNFIT, str(error))
        return
    yield Finding("SIP engine", Verdict.OK, f"PJSIP {facts.version}, {facts.path}")
    for problem in facts.problems:
        yield Finding("SIP engine", Verdict.UNFIT, problem)
    enough = facts.max_calls >= max_calls
    yield Finding(
        "engine limits",
        Verdict.OK if enough else Verdict.UNFIT,
        f"{facts.max_calls} calls, {facts.max_sockets} sockets"
        + ("" if enough else f"; `sip.max_calls` asks for {max_calls}: lower it"),
    )
    yield Finding("TLS", Verdict.OK, f"{facts.tls}, {facts.openssl}")
    yield Finding("codecs", Verdict.OK, ", ".join(dict.fromkeys(facts.codecs)))


def _speech() -> Finding:
    path = shutil.which("espeak-ng")
    if path is None:
        detail = "espeak-ng is not installed: text prompts need it (`apt install espeak-ng`)"
        return Finding("speech", Verdict.UNFIT, detail)
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 — found by which()
    first = said.stdout.partition("\n")[0].partition("  Data at")[0].strip()
    if said.returncode != 0:
        return Finding("speech", Verdict.UNFIT, f"{path} does not run: {said.stderr.strip()}")
    return Finding("speech", Verdict.OK, f"{first}, {path}")


def _sqlite() -> Finding:
    found = tuple(int(part) for part in sqlite3.sqlite_version.split("."))
    if found < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        detail = f"{sqlite3.sqlite_version}: {wanted} or newer is needed"
        return Finding("SQLite", Verdict.UNFIT, detail)
    return Finding("SQLite", Verdict.OK, sqlite3.sqlite_version)


def _files(max_calls: int) -> Finding:
    limit, needed = open_files.allowed(), open_files.needed(max_calls)
    found = f"{limit} allowed, {max_calls} calls need {needed}"
    if limit < needed:
        detail = f"{found}: raise `ulimit -Hn`, or lower `sip.max_calls`"
        return Finding("open files", Verdict.UNFIT, detail)
    return Finding("open files", Verdict.OK, found)


def _priority() -> Finding:
    if priority.allowed():
        return Finding("priority", Verdict.OK, f"nice {priority.NICE}, real-time audio")
    detail = "ordinary: callers hear what else this machine does; docs/operations.md, Priority"
    return Finding("priority", Verdict.WARNING, detail)


def _clock() -> Finding:
    resolution = time.get_clock_info("monotonic").resolution
    now = datetime.now(UTC)
    if resolution > COARSE_CLOCK:
        detail = f"the monotonic clock ticks every {resolution * 1000:g} ms: audio needs under 1 ms"
        return Finding("clock", Verdict.UNFIT, detail)
    if now < BUILT:
        detail = f"the wall clock says {now:%Y-%m-%d}: set it, or every record is dated wrong"
        return Finding("clock", Verdict.WARNING, detail)
    return Finding("clock", Verdict.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC")
