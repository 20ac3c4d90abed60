"""`switchhook`: the command line.

Exit codes: 0 done; 1 it failed; 2 wrong usage or configuration; 3 no such call.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import uvloop
from rich.table import Table
from rich.text import Text

from config.configuration import Configuration
from config.errors import ConfigError, SecretError, SwitchhookConfigError
from config.settings import Api
from gateway import report
from gateway.api import client
from gateway.api.models import CallDetail, EndedCall, LiveCall, ended_call, timeline_events
from gateway.command_line import (
    NOT_FOUND,
    USAGE,
    ConfigArgument,
    ConfigOption,
    configuration_of,
    fail,
    refuse,
    settings_file,
    show,
)
from gateway.database import default_url
from gateway.doctor import Verdict, examine
from gateway.errors import GatewayError
from gateway.log import Format, configure
from gateway.probe import probe
from gateway.records import CallRecord
from gateway.rehearsal.command import transfer_app
from gateway.store import AmbiguousId, CallStore, Filter
from gateway.trunk_command import trunk_app
from gateway.why import why
from ivr.disposition import Disposition
from sip.errors import SipError

TITLES = ("id", "started (UTC)", "from", "to", "trunk", "duration", "state", "transfers", "path")

COLLECT_AFTER = (700, 2, 4000)
"""Python's are (700, 10, 10). A collection of everything walks all calls that are up and stops the
loop meanwhile, 50 ms and more for 500 bot calls. It would find little: a call that is over is no
cycle (tests/e2e/test_sip_agent.py), so that it goes when its last reference does. One of what is
young walks what was made since the last of its kind: with 10, up to 18 ms under load."""

SWITCH_AFTER = 0.0005
"""Seconds after which a thread beside the loop (records, the database) gives Python's lock back to
it; Python's are 0.005. A bot's command reaches the wire in 3.7 ms instead of 4.4 (p95 at 100
calls/s), and a signalled call costs no more."""

_AGES = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

app = typer.Typer(
    name="switchhook",
    help="A voice gateway: SIP trunks in, voice bots on the line, transfers to people.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no such call.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(transfer_app, name="transfer")
app.add_typer(trunk_app, name="trunk")
trunk_app.command()(probe)


class LogLevel(StrEnum):
    """How much the log tells (docs/logging.md)."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.command()
def run(
    config: ConfigArgument = None,
    log_format: Annotated[
        Format, typer.Option(envvar="SWITCHHOOK_LOG_FORMAT", help="How a log line is written.")
    ] = Format.AUTO,
    log_level: Annotated[
        LogLevel, typer.Option(envvar="SWITCHHOOK_LOG_LEVEL", help="How much is logged.")
    ] = LogLevel.INFO,
) -> None:
    """Run the gateway until SIGTERM, SIGHUP or Ctrl-C; a second one stops it without draining."""
    configuration = configuration_of(config)
    level = logging.getLevelNamesMapping()[log_level.upper()]
    configure(level, log_format)
    try:
        uvloop.run(_gateway(configuration, level))
    except ConfigError as error:  # prompts that cannot be spoken or read
        refuse(error)
    except (GatewayError, SipError, SwitchhookConfigError) as error:
        fail(str(error))


@config_app.command("check")
def check(config: ConfigArgument = None) -> None:
    """Check the settings, every flow and every recording, and say what is wrong where."""
    configuration = configuration_of(config)
    # The audio libraries load here alone.
    from ivr.prompts.check import check_recordings  # noqa: PLC0415

    if problems := check_recordings(configuration):
        refuse(ConfigError(problems))
    typer.echo(f"{configuration.path}: ok; flows: {', '.join(sorted(configuration.flows))}")


@app.command()
def calls(
    *,
    config: ConfigOption = None,
    disposition: Annotated[
        Disposition | None, typer.Option(help="Finished calls with this disposition only.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="A date or time in ISO 8601, or an age: 30m, 2h, 7d.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option(help="Finished calls that were handed over with this tag only.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many finished calls.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False,
) -> None:
    """List calls: those in progress where the gateway runs, then finished ones, newest first."""
    configuration = configuration_of(config)
    began = _since(since)
    live = [] if disposition or tag else _ask_gateway(configuration, client.live_calls) or []
    found = asyncio.run(_list(configuration, Filter(disposition, None, began, tag, limit)))
    listed: list[LiveCall | EndedCall] = [*live, *map(ended_call, found)]
    if as_json:
        typer.echo(json.dumps([call.model_dump(mode="json") for call in listed], indent=2))
    else:
        show(_table(listed))


@app.command()
def call(
    call_id: Annotated[str, typer.Argument(metavar="ID", help="A call's id, or its beginning.")],
    *,
    config: ConfigOption = None,
    timeline: Annotated[bool, typer.Option("--timeline", help="Only the timeline.")] = False,
    ladder: Annotated[bool, typer.Option("--ladder", help="Only the SIP ladder.")] = False,
    reasons: Annotated[
        bool, typer.Option("--why", help="Why its transfers ended as they did, and what helps.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option("--svg", metavar="FILE", help="Write the SIP ladder as SVG to FILE."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show a call: its facts, its transfers with evidence, its timeline and its SIP ladder."""
    configuration = configuration_of(config)
    found = asyncio.run(_fetch(configuration, call_id)) or _ask_gateway(
        configuration, lambda api: client.live_call(api, call_id)
    )
    if found is None:
        fail(f"no call begins with {call_id}", NOT_FOUND)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    elif timeline or ladder or reasons or picture is not None:
        if reasons:
            typer.echo(why(found).text(), nl=False)
        if picture is not None:
            _write(picture, report.svg_ladder(found))
        if timeline:
            typer.echo(report.timeline(found.timeline), nl=False)
        if ladder:
            typer.echo(report.sip_ladder(found.timeline), nl=False)
    else:
        typer.echo(report.everything(found), nl=False)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")


@app.command()
def doctor(config: ConfigArgument = None) -> None:
    """Examine this machine: engine, speech, database, limits, clock. Exits 1 where it is unfit."""
    findings = examine(configuration_of(config).settings if settings_file(config) else None)
    for finding in findings:
        typer.echo(f"{finding.verdict.value:<8} {finding.subject:<14} {finding.detail}")
    unfit = [finding for finding in findings if finding.verdict is Verdict.UNFIT]
    if unfit:
        fail("unfit: " + ", ".join(dict.fromkeys(finding.subject for finding in unfit)))


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for recordings, logs and records.")
    ] = Path("demo-output"),
) -> None:
    """Carry real calls through a whole gateway on this machine, and prove what was heard."""
    from gateway import demo  # noqa: PLC0415

    raise typer.Exit(demo.run(output))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"switchhook {installed_version('switchhook')}")


async def _gateway(configuration: Configuration, log_level: int) -> None:
    gc.disable()
    # The engine and the audio libraries load here alone: the other commands do without.
    from gateway.service import Gateway  # noqa: PLC0415
    from ivr.prompts.store import PromptStore  # noqa: PLC0415
    from sip.agent import SipAgent  # noqa: PLC0415

    agent, prompts = SipAgent(configuration.settings), PromptStore(configuration)
    gateway = Gateway(configuration, agent, prompts, log_level)
    # What is loaded now stays: the collector never walks it again while calls are up.
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()
    sys.setswitchinterval(SWITCH_AFTER)
    await gateway.run()


def _since(text: str | None) -> float | None:
    """POSIX seconds of an ISO 8601 time (local, where it has no offset), or of an age."""
    if text is None:
        return None
    try:
        if age := re.fullmatch(r"(\d+)([smhd])", text):
            return (datetime.now(UTC) - timedelta(**{_AGES[age[2]]: int(age[1])})).timestamp()
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        fail(f"--since {text}: write 2026-08-01, 2026-08-01T14:30 or an age such as 2h", USAGE)


Answer = TypeVar("Answer")


def _ask_gateway(configuration: Configuration, ask: Callable[[Api], Answer]) -> Answer | None:
    """What the running gateway knows; None where it cannot be asked, and why on stderr."""
    try:
        return ask(configuration.settings.api)
    except (client.ApiRefused, SecretError) as error:
        typer.echo(f"switchhook: calls in progress are not shown: {error}", err=True)
        return None


async def _list(configuration: Configuration, wanted: Filter) -> list[CallRecord]:
    async with _records(configuration) as store:
        return await store.list(wanted) if store else []


async def _fetch(configuration: Configuration, prefix: str) -> CallDetail | None:
    async with _records(configuration) as store:
        found = await store.fetch(prefix) if store else None
        if store is None or found is None:
            return None
        later = (await store.resumed_by([found.record.id])).get(found.record.id, ())
    facts = ended_call(found.record, later)
    return CallDetail(call=facts, timeline=timeline_events(found.timeline()))


@asynccontextmanager
async def _records(configuration: Configuration) -> AsyncIterator[CallStore | None]:
    """The database to read; None where no call has been recorded yet."""
    settings = configuration.settings
    try:
        store = CallStore(settings.database or default_url(settings.data))
    except GatewayError as error:
        fail(str(error))
    if store.file is not None and not store.file.exists():
        yield None
        return
    try:
        await store.open()
        yield store
    except (GatewayError, AmbiguousId) as error:
        fail(str(error))
    finally:
        await store.close()


def _table(listed: Sequence[LiveCall | EndedCall]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in TITLES:
        right, long = title == "duration", title in ("transfers", "path")
        table.add_column(title, no_wrap=not long, justify="right" if right else "left")
    for one in listed:
        table.add_row(*map(Text, _cells(one)))
    return table


def _cells(one: LiveCall | EndedCall) -> tuple[str, ...]:
    if isinstance(one, LiveCall):
        seconds, state, path = one.duration_ms / 1000, one.state.value, one.node or ""
        transfers = one.handover.status.value if one.handover else ""
    else:
        seconds = (one.ended_at - one.started_at).total_seconds()
        state, path = " ".join((one.disposition.value, *one.tags)), " > ".join(one.path)
        transfers = " ".join(f"{a.method.value}:{a.outcome.value}" for a in one.attempts)
    started = one.started_at.strftime("%Y-%m-%d %H:%M:%S")
    called = (one.caller, one.number, one.trunk)
    return (one.id, started, *called, f"{seconds:.1f} s", state, transfers, path)
