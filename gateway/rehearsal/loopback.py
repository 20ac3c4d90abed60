"""The user's configuration on loopback: the same flows, targets and rules, but everybody is here.

The gateway is bound to an address of 127.0.0.0/8, from which no datagram can leave the machine, and
every trunk's next hop is a faulty peer. Destinations stay as they are written, so that the rules
apply as in production; a target without a trunk is reached over one more, made for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from config.configuration import Configuration
from config.flows import AgentTransfer, Fallback, Flow, Node
from config.groups import Group, Member
from config.settings import Api, Listen, Rtp, Settings, Sip
from config.strict import Seconds
from config.targets import Target
from config.trunks import Refer, Route, Trunk
from gateway.rehearsal.scene import Scene, target_of

GATEWAY = "127.77.0.1"
"""Off the addresses that a gateway on the same machine may be using."""

MAX_LEGS = 128
"""Rehearsed calls run beside each other; each has two or three legs."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The most that each timer may take, in seconds; None: as it is configured."""

    ring: float | None = 1.0
    first_notify: float | None = 0.8
    final_notify: float | None = 1.6
    bye_grace: float | None = 0.3
    response: float | None = 3.0
    """Without any response to a request (RFC 3261 Timers B and F: 32 s)."""
    prompt: float | None = 0.06
    """Of each prompt this much is played; its words are reported all the same."""
    call: float = 60.0
    """A whole call: one that takes longer is stuck."""


QUICK = Pace()
REAL_TIME = Pace(None, None, None, None, None, None, 600.0)


def trunk_names(configuration: Configuration) -> list[str]:
    """The trunks that a rehearsal needs a peer for; the last one reaches whom no trunk does."""
    names = list(configuration.settings.trunks)
    extra = "rehearsal"
    while extra in names:
        extra += "_"
    return [*names, extra]


def on_loopback(
    configuration: Configuration,
    scene: Scene,
    peers: Mapping[str, tuple[str, int]],
    *,
    pace: Pace,
    folder: Path,
) -> Configuration:
    """The configuration to rehearse with.

    Args:
        peers: address and port of the peer of each trunk of `trunk_names`.
        folder: takes the prompt cache.
    """
    trunks = configuration.settings.trunks
    extra = trunk_names(configuration)[-1]
    settings = configuration.settings
    reached = target_of(configuration, scene)
    alone = {} if isinstance(reached, Group) else {scene.target: reached}
    rehearsed = settings.model_copy(
        update={
            "data": folder,
            "database": None,
            "sip": _sip(),
            "trunks": {
                name: _trunk(trunks.get(name), peer, scene, name, pace)
                for name, peer in peers.items()
            },
            "targets": {
                name: _target(each, extra, settings, pace)
                for name, each in {**settings.targets, **alone}.items()
            },
            "groups": {name: _group(each, pace) for name, each in settings.groups.items()},
            "api": Api(port=0),
        }
    )
    flows = {
        name: _flow(flow, scene, extra, settings, pace)
        for name, flow in configuration.flows.items()
    }
    return replace(configuration, settings=rehearsed, flows=flows)


def _sip() -> Sip:
    listen = Listen(address=GATEWAY, port=0)  # type: ignore[arg-type]
    rtp = Rtp(address=GATEWAY, first_port=20_000, last_port=20_000 + 4 * MAX_LEGS)  # type: ignore[arg-type]
    return Sip(listen=[listen], rtp=rtp, max_calls=MAX_LEGS)


def _trunk(
    trunk: Trunk | None, peer: tuple[str, int], scene: Scene, name: str, pace: Pace
) -> Trunk:
    """A plain trunk to a peer: of the user's it keeps what a flow can notice."""
    host, port = peer
    routes = [Route(flow=scene.flow)] if name == scene.trunk else []
    refer = trunk.refer if trunk else Refer()
    kept = ("headers", "allow", "numbers", "codecs", "ptime", "fallback_codecs")
    keeps = {name: getattr(trunk, name) for name in kept} if trunk else {}
    return Trunk.model_validate(
        {
            "sources": [f"{host}/32"],
            "proxy": f"sip:{host}:{port}",
            "routes": routes,
            "refer": refer.model_copy(
                update={
                    "response": _capped(refer.response, pace.response),
                    "first_notify": _capped(refer.first_notify, pace.first_notify),
                    "final_notify": _capped(refer.final_notify, pace.final_notify),
                    "bye_grace": _capped(refer.bye_grace, pace.bye_grace),
                }
            ),
            **keeps,
        }
    )


def _target(target: Target, extra: str, settings: Settings, pace: Pace) -> Target:
    trunk = settings.trunks.get(target.trunk or "")
    reachable = trunk is not None and trunk.next_hop is not None
    return target.model_copy(
        update={
            "trunk": target.trunk if reachable else extra,
            "timeout": _capped(target.timeout, pace.ring),
        }
    )


def _group(group: Group, pace: Pace) -> Group:
    def members(found: list[Member] | None) -> list[Member] | None:
        return None if found is None else [_member(each, pace) for each in found]

    waves = None if group.waves is None else [members(wave) for wave in group.waves]
    return group.model_copy(update={"members": members(group.members), "waves": waves})


def _member(member: Member, pace: Pace) -> Member:
    if member.timeout is None:
        return member
    return member.model_copy(update={"timeout": _capped(member.timeout, pace.ring)})


def _flow(flow: Flow, scene: Scene, extra: str, settings: Settings, pace: Pace) -> Flow:
    nodes: dict[str, Node] = {
        name: _node(node, extra, settings, pace) if isinstance(node, AgentTransfer) else node
        for name, node in flow.nodes.items()
    }
    if flow.flow != scene.flow:
        return flow.model_copy(update={"nodes": nodes})
    rehearsed = nodes[scene.node]
    if isinstance(rehearsed, AgentTransfer) and rehearsed.target is None:
        nodes[scene.node] = rehearsed.model_copy(update={"target": scene.target})
    return flow.model_copy(update={"start": scene.node, "nodes": nodes})


def _node(node: AgentTransfer, extra: str, settings: Settings, pace: Pace) -> AgentTransfer:
    inline = isinstance(node.target, Target)
    return node.model_copy(
        update={
            "target": _target(node.target, extra, settings, pace) if inline else node.target,  # type: ignore[arg-type]
            "timeout": None if node.timeout is None else _capped(node.timeout, pace.ring),
            "fallback": {key: _row(row, pace) for key, row in node.fallback.items()},
        }
    )


def _row(row: Fallback, pace: Pace) -> Fallback:
    if row.retry is None:
        return row
    delay = _capped(row.retry.delay, pace.ring)
    return row.model_copy(update={"retry": row.retry.model_copy(update={"delay": delay})})


def _capped(seconds: Seconds, most: float | None) -> Seconds:
    return seconds if most is None else min(seconds, most)
