"""Flows as graphs: where each node leads, what is reached, and what goes round in circles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from config.document import Location
from config.flows import (
    AgentTransfer,
    Bot,
    Flow,
    Goto,
    Hangup,
    Lookup,
    Node,
    Play,
    Prompt,
    Prompts,
    Record,
)
from config.templates import is_plain

WHISPER = "whisper"
"""The prompt whose words may have placeholders. As written it is a prompt like the others: spoken
once before the first call, so that a voice or an engine that is missing is found then."""

FlowNode = tuple[str, str]
"""Flow and node."""


def exits(node: Node) -> list[tuple[Location, str]]:
    """The nodes of the same flow that a node leads to, each with where in the node it stands."""
    ways: list[tuple[Location, str | None]]
    match node:
        case Play() | Record():
            ways = [(("next",), node.next)]
        case Bot():
            ways = [(("transfer", target), name) for target, name in node.transfer.items()]
            ways += [(("done",), node.done), (("error",), node.error)]
        case AgentTransfer():
            ways = [(("fallback", key, "node"), row.node) for key, row in node.fallback.items()]
            ways += [(("next",), node.next), (("resume",), node.resume)]
        case Lookup():
            ways = [(("cases", value), name) for value, name in node.cases.items()]
            ways += [(("default",), node.default)]
        case Goto():
            ways = [(("node",), node.node)]
        case Hangup():
            ways = []
    return [(location, name) for location, name in ways if name is not None]


def prompts(node: Node) -> Iterator[tuple[Location, Prompt]]:
    """The prompts that a node plays, and where in the node they are written."""
    match node:
        case Play() | Hangup():
            yield from _each(("prompt",), node.prompt)
        case AgentTransfer():
            yield from _each(("accepted_message",), node.accepted_message)
            if node.accept is not None:
                yield from _each(("accept", "prompt"), node.accept.prompt)
            yield from _each((WHISPER,), node.whisper)
            yield from _each(("max_talk_prompt",), node.max_talk_prompt)
            for key, fallback in node.fallback.items():
                yield from _each(("fallback", key, "prompt"), fallback.prompt)
        case Bot() | Record() | Lookup() | Goto():
            pass


def _each(location: Location, prompts: Prompts | None) -> Iterator[tuple[Location, Prompt]]:
    if isinstance(prompts, list):
        for index, prompt in enumerate(prompts):
            yield (*location, index), prompt
    elif prompts is not None:
        yield location, prompts


def reached_nodes(flow: Flow) -> set[str]:
    """The nodes that a call can come to, once it is in the flow."""
    roots = [flow.start, *flow.entries]
    if flow.transfer_node is not None:
        roots.append(flow.transfer_node)
    return _reached(
        roots, {name: [to for _, to in exits(node)] for name, node in flow.nodes.items()}
    )


def reached_flows(entered: Iterable[str], flows: Mapping[str, Flow]) -> set[str]:
    """The flows that a call can come to, from those that trunks enter."""
    ways = {
        name: [node.flow for node in flow.nodes.values() if isinstance(node, Goto) and node.flow]
        for name, flow in flows.items()
    }
    return _reached(entered, ways)


def circles(flows: Mapping[str, Flow]) -> Iterator[list[FlowNode]]:
    """The circles of nodes that take no time: a call in one would never do anything again."""
    steps = {
        (name, node_name): _steps(name, node, flows)
        for name, flow in flows.items()
        for node_name, node in flow.nodes.items()
        if isinstance(node, Goto | Lookup | Record)
    }
    order = list(steps)
    while True:
        try:
            # The sorter takes a node's predecessors: given successors, it goes backwards.
            TopologicalSorter(steps).prepare()
        except CycleError as error:
            circle: list[FlowNode] = error.args[1][:0:-1]
        else:
            return
        first = circle.index(min(circle, key=order.index))
        circle = circle[first:] + circle[:first]
        yield circle
        steps = {each: to for each, to in steps.items() if each != circle[0]}


def _steps(flow: str, node: Goto | Lookup | Record, flows: Mapping[str, Flow]) -> list[FlowNode]:
    steps = [(flow, name) for _, name in exits(node)]
    if isinstance(node, Goto) and node.flow is not None and node.flow in flows:
        steps.append((node.flow, flows[node.flow].start))
    return steps


def _reached(roots: Iterable[str], ways: Mapping[str, list[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = list(roots)
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += ways.get(name, [])
    return reached


def named_tags(flows: Mapping[str, Flow]) -> set[str]:
    """The tags that flows name themselves, not by what a caller or a bot has said."""
    return {
        tag
        for flow in flows.values()
        for node in flow.nodes.values()
        for tag in _tags(node)
        if is_plain(tag)
    }


def _tags(node: Node) -> list[str]:
    match node:
        case AgentTransfer():
            return node.context.tags
        case Hangup():
            return node.tags
        case _:
            return []
