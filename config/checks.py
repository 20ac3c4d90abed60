"""Cross-checks: what no single value shows, looked at before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations

from config import rules, secrets
from config.addresses import Transport
from config.configuration import Configuration
from config.document import Location
from config.errors import Problem, SecretError
from config.finding import Finding
from config.flow_checks import check_flows
from config.flows import AgentTransfer, Bot, Flow
from config.graph import reached_flows
from config.groups import Group, Member, Strategy
from config.recordings import why_no_wave
from config.secrets import Secret
from config.security_checks import check_security
from config.settings import Settings
from config.spelling import nearest
from config.targets import Target
from config.uri import is_number, parse_proxy, parse_uri


def check(configuration: Configuration, environ: Mapping[str, str] | None = None) -> list[Problem]:
    """Every problem of a configuration whose values are each valid.

    Args:
        configuration: what was loaded. Flows that are only in `flow_paths` exist, but have problems
            of their own and are not looked into.
        environ: where secrets are looked up; default: this process's environment.
    """
    settings, flows = configuration.settings, configuration.flows
    known = {*flows, *configuration.flow_paths}
    found = [*_settings(settings, known), *_secrets(settings, environ)]
    problems = [configuration.problem(each.location, each.message, each.hint) for each in found]
    in_flows = [*_flows(settings, flows), *check_flows(flows, known)]
    if len(flows) == len(known):
        in_flows += _reached(settings, flows)
    for name, finding in in_flows:
        problems.append(
            configuration.flow_problem(name, finding.location, finding.message, finding.hint)
        )
    return problems


def _settings(settings: Settings, known: Collection[str]) -> Iterator[Finding]:
    yield from _listeners(settings)
    yield from _sources(settings)
    yield from check_security(settings)
    for name, trunk in settings.trunks.items():
        here = ("trunks", name)
        for index, route in enumerate(trunk.routes):
            if route.flow not in known:
                message = f"there is no flow `{route.flow}`"
                yield Finding((*here, "routes", index, "flow"), message, nearest(route.flow, known))
        for index, other in enumerate(trunk.hand_back.trunks):
            if other not in settings.trunks:
                hint = nearest(other, settings.trunks)
                where = (*here, "hand_back", "trunks", index)
                yield Finding(where, f"there is no trunk `{other}`", hint)
        if trunk.proxy is not None:
            yield from _spoken((*here, "proxy"), parse_proxy(trunk.proxy).transport, settings)
        for index, wanted in enumerate(trunk.transports or ()):
            yield from _listened_on((*here, "transports", index), wanted, settings)
        if trunk.registration is not None:
            transport = parse_proxy(trunk.registration.registrar).transport
            yield from _spoken((*here, "registration", "registrar"), transport, settings)
    yield from _targets(settings)
    if settings.waiting.music and (reason := why_no_wave(settings.waiting.music)):
        yield Finding(("waiting", "music"), reason)


def _targets(settings: Settings) -> Iterator[Finding]:
    for name, target in settings.targets.items():
        if name == "default":
            hint = "Take another name"
            yield Finding(("targets", name), "this name stands for all other targets", hint)
        for finding in _target(target, settings):
            yield finding.below(("targets", name))
        verdict = rules.allowed(target.destination, settings, target.trunk)
        if not verdict.allowed:
            message = f"{target.destination} {verdict.reason}"
            yield Finding(("targets", name, "destination"), message, "Change one of the two")
    for name, group in settings.groups.items():
        for finding in _group(name, group, settings):
            yield finding.below(("groups", name))


def _listeners(settings: Settings) -> Iterator[Finding]:
    sip, api = settings.sip, settings.api
    for (_, first), (index, second) in combinations(enumerate(sip.listen), 2):
        if first == second and first.port:
            message = f"{first.transport} {first.address}:{first.port} is listened on already"
            yield Finding(("sip", "listen", index), message, "Remove one of the two")
    for index, listen in enumerate(sip.listen):
        in_rtp = sip.rtp.first_port <= listen.port <= sip.rtp.last_port
        if listen.transport is Transport.UDP and listen.address == sip.rtp.address and in_rtp:
            message = "lies among the ports of `sip.rtp`"
            yield Finding(("sip", "listen", index, "port"), message, "Move one of the two")
        same_address = api.address.is_unspecified or listen.address == api.address
        is_tcp = listen.transport is not Transport.UDP
        if is_tcp and same_address and listen.port == api.port and api.port:
            message = f"SIP listens on TCP port {api.port} already"
            yield Finding(("api", "port"), message, "Take another port for one of the two")
    if not api.address.is_loopback and not api.keys:
        message = f"{api.address} can be reached from elsewhere, and there are no keys"
        yield Finding(("api", "address"), message, "Add `api.keys`, or listen on 127.0.0.1")
    names = [key.name for key in api.keys]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Finding(("api", "keys", index, "name"), f"another key is called `{name}` too")


def _sources(settings: Settings) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for name, trunk in settings.trunks.items():
        for index, network in enumerate(trunk.sources):
            owner = owners.setdefault(str(network), name)
            if owner != name:
                yield Finding(
                    ("trunks", name, "sources", index),
                    f"{network} is a source of trunk `{owner}` too",
                    "A request can come from one trunk only: narrow one of the networks",
                )


def _target(target: Target, settings: Settings) -> Iterator[Finding]:
    """A target's trunk and transport, wherever the target is written."""
    trunks = settings.trunks
    trunk = None if target.trunk is None else trunks.get(target.trunk)
    if target.trunk is not None and trunk is None:
        message = f"there is no trunk `{target.trunk}`"
        yield Finding(("trunk",), message, nearest(target.trunk, trunks))
    for index, caller_trunk in enumerate(target.from_trunks or ()):
        if caller_trunk not in trunks:
            message = f"there is no trunk `{caller_trunk}`"
            yield Finding(("from_trunks", index), message, nearest(caller_trunk, trunks))
    yield from _hours(target.hours, settings)
    if is_number(target.destination):
        if trunk is not None and trunk.next_hop is None:
            message = f"trunk `{target.trunk}` has no `proxy` to dial a number over"
            yield Finding(("trunk",), message, f"Add `trunks.{target.trunk}.proxy`")
    elif target.usual_method in ("invite", "attended"):
        transport = parse_uri(target.destination).transport
        yield from _spoken(("destination",), transport, settings)


def _group(name: str, group: Group, settings: Settings) -> Iterator[Finding]:
    if name == "default" or name in settings.targets:
        what = "all other targets" if name == "default" else "a target already"
        yield Finding((), f"this name stands for {what}", "Take another name")
    yield from _hours(group.hours, settings)
    for place, member, together in _members(group):
        location = (*place, "target")
        target = settings.targets.get(member.target)
        if target is None:
            message = f"there is no target `{member.target}`"
            yield Finding(location, message, nearest(member.target, settings.targets))
        elif target.usual_method == "bye":
            message = f"`{member.target}` is reached by `bye`, which ends the call"
            yield Finding(location, message, "Leave it out of the group")
        elif together and target.usual_method == "refer":
            message = f"`{member.target}` is reached by REFER, of which a caller takes one at once"
            yield Finding(location, message, "Give it `method: invite`, or a wave of its own")


def _members(group: Group) -> Iterator[tuple[Location, Member, bool]]:
    """The members, where each stands, and whether others are rung at the same time."""
    for index, wave in enumerate(group.waves or []):
        for number, member in enumerate(wave):
            yield ("waves", index, number), member, len(wave) > 1
    members = group.members or []
    for number, member in enumerate(members):
        together = group.strategy is Strategy.PARALLEL and len(members) > 1
        yield ("members", number), member, together


def _hours(name: str | None, settings: Settings) -> Iterator[Finding]:
    if name is not None and name not in settings.hours:
        yield Finding(("hours",), f"there are no hours `{name}`", nearest(name, settings.hours))


def _listened_on(location: Location, transport: Transport, settings: Settings) -> Iterator[Finding]:
    if transport not in {listen.transport for listen in settings.sip.listen}:
        message = f"the gateway does not listen on {transport}"
        hint = f"Add `transport: {transport}` to `sip.listen`, or remove it"
        yield Finding(location, message, hint)


def _spoken(location: Location, transport: str, settings: Settings) -> Iterator[Finding]:
    if transport not in {listen.transport.value for listen in settings.sip.listen}:
        message = f"goes over {transport}, which the gateway does not listen on"
        yield Finding(location, message, f"Add `transport: {transport}` to `sip.listen`")


def _secrets(settings: Settings, environ: Mapping[str, str] | None) -> Iterator[Finding]:
    places: list[tuple[Location, Secret]] = []
    for name, trunk in settings.trunks.items():
        if trunk.registration is not None:
            password = trunk.registration.password
            places.append((("trunks", name, "registration", "password"), password))
        if trunk.credentials is not None:
            places.append((("trunks", name, "credentials", "password"), trunk.credentials.password))
        if trunk.digest is not None:
            places.append((("trunks", name, "digest", "password"), trunk.digest.password))
    if settings.availability is not None and settings.availability.token is not None:
        places.append((("availability", "token"), settings.availability.token))
    for name, bot in settings.bots.items():
        if bot.token is not None:
            places.append((("bots", name, "token"), bot.token))
    for index, key in enumerate(settings.api.keys):
        places.append((("api", "keys", index, "secret"), key.secret))
    for location, secret in places:
        try:
            secrets.resolve(secret, environ)
        except SecretError as error:
            yield Finding(location, str(error))


def _reached(settings: Settings, flows: Mapping[str, Flow]) -> Iterator[tuple[str, Finding]]:
    entered = {route.flow for trunk in settings.trunks.values() for route in trunk.routes}
    reached = reached_flows(entered, flows)
    if not reached <= set(flows):  # a misspelt name, reported where it stands
        return
    for name in flows:
        if name not in reached:
            hint = "Lead a route of a trunk to it, or a `goto` of another flow"
            yield name, Finding(("flow",), "nothing leads to this flow", hint)


def _flows(settings: Settings, flows: Mapping[str, Flow]) -> Iterator[tuple[str, Finding]]:
    for name, flow in flows.items():
        for node_name, node in flow.nodes.items():
            match node:
                case Bot():
                    findings = _bot(node, flow, settings)
                case AgentTransfer():
                    findings = _agent_transfer(node, settings)
                case _:
                    continue
            for finding in findings:
                yield name, finding.below(("nodes", node_name))


def _bot(node: Bot, flow: Flow, settings: Settings) -> Iterator[Finding]:
    if node.bot not in settings.bots:
        message = f"there is no bot `{node.bot}`"
        yield Finding(("bot",), message, nearest(node.bot, settings.bots))
    for target, name in node.transfer.items():
        to = flow.nodes.get(name)
        has_own = isinstance(to, AgentTransfer) and to.target is not None
        known = [*settings.targets, *settings.groups]
        if target not in (*known, "default") and not has_own:
            message = f"there is no target `{target}`, and node `{name}` has none of its own"
            yield Finding(("transfer", target), message, nearest(target, known))


def _agent_transfer(node: AgentTransfer, settings: Settings) -> Iterator[Finding]:
    known = [*settings.targets, *settings.groups]
    for key, row in node.fallback.items():
        if row.retry is not None and (name := row.retry.next_target) and name not in known:
            location = ("fallback", key, "retry", "next_target")
            yield Finding(location, f"there is no target `{name}`", nearest(name, known))
    if isinstance(node.target, Target):
        target = node.target
        for finding in _target(target, settings):
            yield finding.below(("target",))
        verdict = rules.allowed(target.destination, settings, target.trunk)
        if not verdict.allowed:
            yield Finding(
                ("target", "destination"),
                f"{target.destination} {verdict.reason}",
                "Name it under `targets`, or add a pattern to `allow`",
            )
    elif node.target is None:
        return
    elif node.target in settings.groups:
        if node.method is not None:
            message = "the members of a group are reached each by its own method"
            yield Finding(("method",), message, "Leave `method` out")
        return
    elif node.target not in settings.targets:
        message = f"there is no target `{node.target}`"
        yield Finding(("target",), message, nearest(node.target, known))
        return
    else:
        target = settings.targets[node.target]
    if node.method is not None and (refused := target.method_refused(node.method)):
        yield Finding(("method",), refused.message, refused.hint)
