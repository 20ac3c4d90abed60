"""What the commands share: which configuration is meant, how one fails, how a table is shown.

Exit codes: 0 done; 1 it failed; 2 wrong usage or configuration; 3 no such call.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from config.configuration import Configuration
from config.errors import ConfigError
from config.loader import load

FAILED = 1
USAGE = 2
NOT_FOUND = 3

DEFAULT_CONFIG = Path("switchhook.yaml")
CONFIG_VARIABLE = "SWITCHHOOK_CONFIG"
PIPE_WIDTH = 1000
"""Columns assumed when nobody looks: a pipe or file has no right margin to wrap at."""

ConfigArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CONFIG]",
        help="The settings file; default: ./switchhook.yaml, then $SWITCHHOOK_CONFIG.",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The settings file; default: ./switchhook.yaml, then $SWITCHHOOK_CONFIG.",
        show_default=False,
    ),
]


def settings_file(given: Path | None) -> Path | None:
    """The settings file: the given one, ./switchhook.yaml, or the environment's."""
    if given is not None:
        return given
    if DEFAULT_CONFIG.exists():
        return DEFAULT_CONFIG
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else None


def configuration_of(given: Path | None) -> Configuration:
    """The configuration that a command works on; ends the command where there is none."""
    path = settings_file(given)
    if path is None:
        fail(
            f"no configuration: name one, put {DEFAULT_CONFIG} here, or set ${CONFIG_VARIABLE}",
            USAGE,
        )
    try:
        return load(path)
    except ConfigError as error:
        refuse(error)


def refuse(error: ConfigError) -> NoReturn:
    """End the command: the configuration is wrong, one line a mistake."""
    for problem in error.problems:
        typer.echo(str(problem), err=True)
    fail(f"mistakes in the configuration: {len(error.problems)}", USAGE)


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the command with a message on stderr."""
    typer.echo(f"switchhook: {message}", err=True)
    raise typer.Exit(code)


def show(table: Table) -> None:
    """Print a table as wide as the terminal, or for a pipe."""
    terminal = sys.stdout.isatty()
    Console(width=None if terminal else PIPE_WIDTH).print(table)
