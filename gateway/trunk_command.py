"""`switchhook trunk`: what the peers behind the trunks have shown of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from config.configuration import Configuration
from config.errors import SecretError
from gateway.api import client
from gateway.api.trunk_state import TrunkHop, TrunkRegistration
from gateway.command_line import NOT_FOUND, ConfigOption, configuration_of, fail, show
from gateway.database import default_url
from gateway.errors import GatewayError
from gateway.memory import Capability, Memory
from gateway.store import CallStore

trunk_app = typer.Typer(help="Look at the trunks.", no_args_is_help=True)


@trunk_app.callback()
def trunk() -> None:
    """Look at the trunks."""


@trunk_app.command()
def capabilities(
    config: ConfigOption = None,
    reset: Annotated[
        str | None,
        typer.Option(metavar="TRUNK", help="Forget what was learned of this trunk."),
    ] = None,
) -> None:
    """Show whether each trunk's peer takes REFER, as configured or learned."""
    configuration = configuration_of(config)
    if reset is not None:
        _forget(configuration, reset)
        return
    known = asyncio.run(_known(configuration))
    table = Table(box=None, pad_edge=False)
    for title in ("trunk", "takes REFER"):
        table.add_column(title, no_wrap=True)
    for name, configured in configuration.settings.trunks.items():
        support = configured.refer.support
        learned = known.get(name) if support == "learn" else None
        answer = f"{support} (configured)" if support != "learn" else "not known yet"
        table.add_row(name, answer if learned is None else _words(learned))
    show(table)


@trunk_app.command()
def status(config: ConfigOption = None) -> None:
    """Show how the trunks of the running gateway stand: registration, and which proxies answer."""
    try:
        states = client.trunk_states(configuration_of(config).settings.api)
    except (client.ApiRefused, SecretError) as error:
        fail(str(error))
    if states is None:
        fail("no gateway runs: what it would know cannot be told")
    table = Table(box=None, pad_edge=False)
    for title in ("trunk", "registered", "proxy", "in service"):
        table.add_column(title, no_wrap=True)
    for each in states:
        rows = [(hop.uri, _in_service(hop)) for hop in each.hops] or [("", "")]
        for at, (uri, answers) in enumerate(rows):
            names = ("", "") if at else (each.trunk, _registered(each.registration))
            table.add_row(*names, uri, answers)
    show(table)


def _registered(state: TrunkRegistration | None) -> str:
    if state is None:
        return ""
    answer = f"{state.code} {state.reason}" if state.code else "no answer yet"
    return "yes" if state.registered else f"no: {answer}"


def _in_service(hop: TrunkHop) -> str:
    if hop.up is None:
        return "not asked"
    return f"yes ({hop.code})" if hop.up else f"no: {hop.reason}"


def _words(learned: Capability) -> str:
    when = datetime.fromtimestamp(learned.learned_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    code = f"{learned.code}, " if learned.code else ""
    return f"{'yes' if learned.supported else 'no'} (learned: {code}{when})"


def _forget(configuration: Configuration, name: str) -> None:
    settings = configuration.settings
    if name not in settings.trunks:
        known = ", ".join(settings.trunks)
        fail(f"there is no trunk {name}; there are: {known}", NOT_FOUND)
    try:
        asked = client.forget_capabilities(settings.api, name)
    except (client.ApiRefused, SecretError) as error:
        fail(f"the running gateway keeps what it learned: {error}")
    if not asked:  # no gateway runs: its database is ours
        asyncio.run(_forget_stored(configuration, name))
    typer.echo(f"{name}: forgotten; the next `auto` transfer tries REFER")


async def _known(configuration: Configuration) -> dict[str, Capability]:
    async with _memory(configuration) as memory:
        found = {name: memory.capability(name) for name in configuration.settings.trunks}
    return {name: known for name, known in found.items() if known is not None}


async def _forget_stored(configuration: Configuration, name: str) -> None:
    async with _memory(configuration) as memory:
        memory.forget(name)


@asynccontextmanager
async def _memory(configuration: Configuration) -> AsyncIterator[Memory]:
    settings = configuration.settings
    try:
        store = CallStore(settings.database or default_url(settings.data))
        await store.open()
    except GatewayError as error:
        fail(str(error))
    memory = Memory(store.engine)
    await memory.open()
    try:
        yield memory
    finally:
        await memory.close()
        await store.close()
