"""`switchhook transfer rehearse`."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Annotated

import typer

from config.configuration import Configuration
from config.errors import ConfigError
from gateway.command_line import FAILED, USAGE, ConfigOption, configuration_of, fail, refuse, show
from gateway.log import Format, configure
from gateway.rehearsal import report, scene
from gateway.rehearsal.loopback import QUICK, REAL_TIME, Pace
from gateway.rehearsal.printing import printing_to
from gateway.rehearsal.scene import NothingToRehearse, Scene
from sip.errors import SipError
from sip.faulty.case import Case

if TYPE_CHECKING:
    from gateway.rehearsal.result import Rehearsed

transfer_app = typer.Typer(help="Try transfers before callers do.", no_args_is_help=True)


@transfer_app.callback()
def _group() -> None:
    """A group, though it has one command."""


@transfer_app.command()
def rehearse(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow.")],
    *,
    node: Annotated[str, typer.Option("--node", "-n", help="Its `agent_transfer` node.")],
    simulate: Annotated[
        list[str] | None,
        typer.Option(
            "--simulate",
            "-s",
            metavar="FAILURE",
            help="A failure by name (`no-notify`), or a code (`486`); may be given several times.",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every failure there is.")] = False,
    target: Annotated[
        str, typer.Option(help="Whom the bot asks for, where the node leaves it open.")
    ] = "",
    trunk: Annotated[str, typer.Option(help="Over which the caller comes.")] = "",
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False,
    real_time: Annotated[
        bool, typer.Option("--real-time", help="Every timer and prompt at its full length.")
    ] = False,
) -> None:
    """Play failures of a transfer against a flow, and show which fallback the caller meets.

    A real call, on loopback alone: nothing leaves this machine. Timers are shortened and prompts
    cut unless `--real-time`. Exits 1 where a failure reaches no fallback.
    """
    configuration = configuration_of(config)
    configure(logging.ERROR, Format.AUTO)
    try:
        chosen = scene.choose(configuration, flow, node, target, trunk)
        if every == bool(simulate):
            known = ", ".join(case.name for case in scene.failures(chosen))
            what = "name one with --simulate, or --all" if not every else "--simulate or --all?"
            fail(f"{what}; failures of a transfer by {chosen.method.value}: {known}", USAGE)
        cases = (
            scene.failures(chosen)
            if every
            else [scene.failure(chosen, name) for name in simulate or ()]
        )
    except NothingToRehearse as error:
        fail(str(error), USAGE)
    try:
        with printing_to(2):
            played = asyncio.run(
                _play(configuration, chosen, cases, REAL_TIME if real_time else QUICK)
            )
    except ConfigError as error:  # prompts that cannot be spoken or read
        refuse(error)
    except SipError as error:
        fail(str(error))
    _tell(played, chosen, as_json=as_json)
    if not all(one.good for one in played):
        raise typer.Exit(FAILED)


async def _play(
    configuration: Configuration, chosen: Scene, cases: list[Case], pace: Pace
) -> list[Rehearsed]:
    # The engine and the audio libraries load here alone: the other commands do without.
    from gateway.rehearsal.stage import open_stage  # noqa: PLC0415

    async with open_stage(configuration, chosen, pace) as stage:
        return await stage.play_all(cases)


def _tell(played: list[Rehearsed], chosen: Scene, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([report.as_json(one) for one in played], indent=2))
    elif len(played) == 1:
        typer.echo(report.single(played[0], chosen), nl=False)
    else:
        typer.echo(report.title(chosen))
        show(report.table(played))
        typer.echo(report.summary(played))
