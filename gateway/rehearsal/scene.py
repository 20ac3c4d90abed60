"""What is rehearsed: a transfer node of a flow, whom it reaches, and which failures it can meet."""

from __future__ import annotations

from dataclasses import dataclass

from config.configuration import Configuration
from config.flows import AgentTransfer
from config.groups import Group
from config.rules import allowed, reachable
from config.targets import Target
from ivr.transfer_request import Directory, TransferRequest, asked_method, method_for
from sip.faulty import cases
from sip.faulty.case import Case
from sip.outcome import Method


class NothingToRehearse(Exception):
    """The flow, node, target or failure that was asked for is not there; says which are."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One transfer node, and what is known before a call reaches it."""

    flow: str
    node: str
    trunk: str
    """The caller's."""
    target: str
    """The name of a target or group, or a destination."""
    method: Method
    """How it is reached first: by REFER where `auto` would begin with it."""


def choose(
    configuration: Configuration, flow: str, node: str, target: str = "", trunk: str = ""
) -> Scene:
    """The scene for a node.

    Args:
        target: whom the bot would ask for, where the node leaves that open.
        trunk: the caller's; empty: the first whose calls reach the flow, else the first of all.

    Raises:
        NothingToRehearse: one of these does not exist, or may not be dialled.
    """
    settings = configuration.settings
    if flow not in configuration.flows:
        raise NothingToRehearse(
            f"there is no flow {flow!r}; there are: {_listed(configuration.flows)}"
        )
    nodes = configuration.flows[flow].nodes
    found = nodes.get(node)
    if not isinstance(found, AgentTransfer):
        transfers = [name for name, each in nodes.items() if isinstance(each, AgentTransfer)]
        what = "is no `agent_transfer` node" if found else "does not exist"
        raise NothingToRehearse(f"the node {node!r} {what}; there are: {_listed(transfers)}")
    if trunk and trunk not in settings.trunks:
        raise NothingToRehearse(
            f"there is no trunk {trunk!r}; there are: {_listed(settings.trunks)}"
        )
    caller = trunk or _usual_trunk(configuration, flow)
    directory = Directory(settings.targets, settings.groups, caller)
    name, reached = directory.reached_by(found, TransferRequest(target))
    if reached is None:
        known = f"there are: {_listed([*settings.targets, *settings.groups])}"
        if not name:
            raise NothingToRehearse(f"{node!r} leaves the target open: name one; {known}")
        raise NothingToRehearse(f"{name!r} is no target, SIP URI or number; {known}")
    if isinstance(reached, Group):
        return Scene(flow, node, caller, name, Method.INVITE)
    for verdict in (
        allowed(reached.destination, settings, reached.trunk),
        reachable(reached, caller),
    ):
        if not verdict.allowed:
            raise NothingToRehearse(f"{reached.destination} {verdict.reason}")
    how = method_for(asked_method(found, TransferRequest(target)), reached)
    if refused := reached.method_refused(how.value):
        raise NothingToRehearse(f"{name}: {refused.message}")
    if how is Method.AUTO:
        how = Method.INVITE if settings.trunks[caller].refer.support == "no" else Method.REFER
    return Scene(flow, node, caller, name, how)


def target_of(configuration: Configuration, scene: Scene) -> Target | Group:
    """Whom a scene that `choose` made reaches."""
    settings = configuration.settings
    directory = Directory(settings.targets, settings.groups, scene.trunk)
    node = configuration.flows[scene.flow].nodes[scene.node]
    if not isinstance(node, AgentTransfer):
        raise TypeError(f"{scene.node} is no transfer node")
    _, reached = directory.reached_by(node, TransferRequest(scene.target))
    if reached is None:
        raise NothingToRehearse(f"{scene.target} cannot be reached")
    return reached


def failures(scene: Scene) -> list[Case]:
    """Every failure that the scene's method can meet."""
    return list(cases.TABLES[scene.method].values())


def failure(scene: Scene, name: str) -> Case:
    """One failure by its name or code.

    Raises:
        NothingToRehearse: there is none; the message lists those there are.
    """
    try:
        return cases.find(scene.method, name)
    except KeyError as error:
        raise NothingToRehearse(str(error.args[0])) from None


def _usual_trunk(configuration: Configuration, flow: str) -> str:
    trunks = configuration.settings.trunks
    leading = [
        name for name, trunk in trunks.items() if any(route.flow == flow for route in trunk.routes)
    ]
    return next(iter([*leading, *trunks]))


def _listed(names: object) -> str:
    return ", ".join(str(name) for name in iter(names)) or "none"  # type: ignore[call-overload]
