"""`switchhook trunk probe NAME`: what a trunk's peer takes."""

from __future__ import annotations

import asyncio
import ssl
from typing import Annotated

import typer

from config.configuration import Configuration
from config.rules import allowed
from config.settings import Settings
from config.trunks import Trunk
from config.uri import SipUri, is_number, parse_proxy
from gateway.command_line import USAGE, ConfigOption, configuration_of, fail
from sip.errors import UnresolvedHost
from sip.faulty import wording
from sip.names import Names
from sip.probe.answer import Answer, Told, codecs, read
from sip.probe.line import Line, NoConnection, Peer, connected
from sip.probe.question import Asker, Heard, NoAnswer

PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
ANSWER_LIMIT = 5.0
"""Seconds for OPTIONS: four repetitions."""
RING_LIMIT = 15.0
"""Seconds until a called number rings."""
DISCARD = 9
"""The port where the test INVITE wants its audio: nobody sends any before the answer."""


def probe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The trunk.")],
    *,
    number: Annotated[
        str,
        typer.Option(
            "--call",
            metavar="NUMBER",
            help="Also call this number, and take the call back as soon as it rings.",
        ),
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Ask a trunk's peer what it takes: methods, extensions, codecs, TLS. Exits 1 if it is silent.

    The questions come from a port of their own: nothing of a running gateway is touched.
    """
    configuration = configuration_of(config)
    settings = configuration.settings
    if name not in settings.trunks:
        fail(f"there is no trunk {name!r}; there are: {', '.join(settings.trunks)}", USAGE)
    trunk = settings.trunks[name]
    if trunk.next_hop is None:
        fail(f"{name} has no `proxy` and registers nowhere: nobody to ask", USAGE)
    if number and (refusal := _refused(number, name, settings)):
        fail(refusal, USAGE)
    try:
        asyncio.run(_probe(configuration, name, trunk, parse_proxy(trunk.next_hop), number))
    except (NoConnection, UnresolvedHost) as error:
        fail(f"{trunk.next_hop}: {error}")
    except NoAnswer as error:
        fail(f"{trunk.next_hop}: {error}. {_CHECK}")


_CHECK = (
    "Check `proxy`, the firewall, and that the peer knows this machine's address; "
    "some peers answer no OPTIONS at all: try --call"
)


def _refused(number: str, trunk: str, settings: Settings) -> str | None:
    """Why a number may not be called: the rules are those of every call over this trunk."""
    if not is_number(number):
        return f"--call {number}: is not an E.164 number. Write one such as `+493012345`"
    verdict = allowed(number, settings, trunk)
    return None if verdict.allowed else f"{number} {verdict.reason}"


async def _probe(
    configuration: Configuration, name: str, trunk: Trunk, hop: SipUri, number: str
) -> None:
    settings = configuration.settings
    transport = "tls" if hop.scheme == "sips" else hop.transport
    port = hop.port or PORTS[transport]
    address = await Names({}).address(hop.host)
    peer = Peer(
        transport,
        hop.host,
        address,
        port,
        _tls_context(settings, trunk) if transport == "tls" else None,
        (trunk.tls.server_name or hop.host) if transport == "tls" else "",
    )
    typer.echo(f"trunk {name}: {hop.host}:{port} over {transport.upper()}" + _at(hop.host, address))
    local = str(settings.sip.listen[0].address)
    async with connected(peer, local) as line:
        _tell_tls(line, verified=trunk.tls.verify)
        user = trunk.caller_id or (trunk.registration.username if trunk.registration else "probe")
        where = f"{hop.host}:{port}"
        asker = Asker(line, f"sip:{where}", user)
        try:
            _tell("OPTIONS", await asker.options(ANSWER_LIMIT))
        except NoAnswer as error:
            if not number:
                raise
            typer.echo(f"OPTIONS      {error}")
        if number:
            host, _ = line.local
            called = Asker(line, f"sip:{trunk.numbers.from_e164(number)}@{where}", user)
            heard = await called.invite(wording.sdp(host, DISCARD), RING_LIMIT)
            _tell(f"INVITE to {number}, taken back", heard)


def _tls_context(settings: Settings, trunk: Trunk) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=trunk.tls.ca)
    if not trunk.tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    own = next((listen.tls for listen in settings.sip.listen if listen.tls is not None), None)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


def _at(host: str, address: str) -> str:
    return "" if host == address else f" ({address})"


def _tell_tls(line: Line, *, verified: bool) -> None:
    if line.tls is None:
        return
    typer.echo(f"TLS          {line.tls.version}, {line.tls.cipher}")
    if verified:
        names = ", ".join(line.tls.names) or "nobody by name"
        typer.echo(f"certificate  for {names}; by {line.tls.issuer}; until {line.tls.expires}")
    else:
        typer.echo("certificate  NOT VERIFIED: `tls.verify` of the trunk is false")


def _tell(what: str, heard: Heard) -> None:
    answer = read(heard.response)
    typer.echo(f"{what}: {answer.code} {answer.reason} after {heard.milliseconds:.0f} ms")
    if answer.agent:
        typer.echo(f"  agent      {answer.agent}")
    if answer.realm:
        typer.echo(f"  challenge  it asks for credentials of the realm {answer.realm!r}")
    if answer.allow or answer.supported:
        typer.echo(f"  Allow      {', '.join(answer.allow) or 'not told'}")
        typer.echo(f"  Supported  {', '.join(answer.supported) or 'not told'}")
        for each in answer.capabilities():
            typer.echo(f"  {each.name:<10} {each.told.value:<9} {each.why}")
    _tell_codecs(answer, heard.sdp or heard.response.body)
    if answer.allow and answer.capabilities()[0].told is Told.NO:
        typer.echo("  So: reach targets over this trunk by `invite`; a REFER would be refused.")


def _tell_codecs(answer: Answer, sdp: str) -> None:
    found = answer.codecs or codecs(sdp)
    if found:
        typer.echo(f"  codecs     {', '.join(found)}")
    if answer.profile.endswith("SAVP"):
        typer.echo("  audio      SRTP (RTP/SAVP)")
