"""What must hold inside flows, whatever the settings say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from config.context import Context
from config.document import Location
from config.errors import InvalidValue
from config.finding import Finding
from config.flows import (
    AgentTransfer,
    Bot,
    FilePrompt,
    Flow,
    Goto,
    Lookup,
    Node,
    Prompt,
    TextPrompt,
)
from config.graph import WHISPER, circles, exits, prompts, reached_nodes
from config.outcomes import (
    ERROR_REASONS,
    HANDOVER_STATUSES,
    NEVER_RETRIED,
    OUTCOMES,
    is_code,
)
from config.recordings import why_no_wave
from config.spelling import nearest
from config.templates import check_template

_POSSIBLE: dict[str, Collection[str]] = {
    "handover.status": HANDOVER_STATUSES,
    "handover.outcome": OUTCOMES,
    "handover.error.reason": ERROR_REASONS,
}
"""The values that a lookup can meet."""

_BY_INVITE_ONLY = ("answer_on_bridge", "accept", "whisper", "max_talk")
"""Fields of a transfer node that need the agent's leg to be ours."""


def check_flows(flows: Mapping[str, Flow], known: Collection[str]) -> Iterator[tuple[str, Finding]]:
    """What is wrong in these flows, each finding with the name of its flow.

    Args:
        flows: those to be checked.
        known: names of all flows, also of those that cannot be checked.
    """
    for name, flow in flows.items():
        for finding in _check(flow, known):
            yield name, finding
    for circle in circles(flows):
        (flow_name, node_name), *_ = circle
        one_flow = all(each == flow_name for each, _ in circle)
        way = " → ".join(node if one_flow else f"{each}.{node}" for each, node in circle)
        yield (
            flow_name,
            Finding(
                ("nodes", node_name),
                f"goes round for ever: {way} → …",
                "Let one of these lead to a node that does something",
            ),
        )


def _check(flow: Flow, known: Collection[str]) -> Iterator[Finding]:
    entries = list(_entries(flow))
    yield from entries
    # An exit with a misspelt name leaves nodes unreached: that is one mistake, not many.
    dangling = bool(entries) or any(
        name not in flow.nodes for node in flow.nodes.values() for _, name in exits(node)
    )
    reached = set(flow.nodes) if dangling else reached_nodes(flow)
    handed = {flow.transfer_node} | {
        to for node in flow.nodes.values() if isinstance(node, Bot) for to in node.transfer.values()
    }
    for name, node in flow.nodes.items():
        here = ("nodes", name)
        if name not in reached:
            yield Finding(
                here,
                "nothing leads to this node",
                "Lead an exit to it, name it in `entries` if a bot or the API goes there, "
                "or remove it",
            )
        for finding in _node(node, flow, known):
            yield finding.below(here)
        if isinstance(node, AgentTransfer) and node.target is None and name not in handed:
            yield Finding(
                (*here, "target"),
                "is missing, and neither a bot nor the API hands one over",
                "Add `target`, or let a bot's `transfer` or `transfer_node` lead here",
            )


def _entries(flow: Flow) -> Iterator[Finding]:
    yield from _leads(("start",), flow.start, flow)
    if flow.transfer_node is not None:
        yield from _leads(("transfer_node",), flow.transfer_node, flow)
        yield from _transfers(("transfer_node",), flow.transfer_node, flow)
    for index, name in enumerate(flow.entries):
        yield from _leads(("entries", index), name, flow)


def _leads(location: tuple[str | int, ...], name: str, flow: Flow) -> Iterator[Finding]:
    if name not in flow.nodes:
        yield Finding(location, f"there is no node `{name}`", nearest(name, flow.nodes))


def _transfers(location: tuple[str | int, ...], name: str, flow: Flow) -> Iterator[Finding]:
    node = flow.nodes.get(name)
    if node is not None and not isinstance(node, AgentTransfer):
        transfers = [each for each, other in flow.nodes.items() if isinstance(other, AgentTransfer)]
        yield Finding(
            location,
            f"`{name}` is a `{node.type}` node, where an `agent_transfer` node is needed",
            nearest(name, transfers),
        )


def _node(node: Node, flow: Flow, known: Collection[str]) -> Iterator[Finding]:
    for location, name in exits(node):
        yield from _leads(location, name, flow)
    for location, prompt in prompts(node):
        if isinstance(prompt, FilePrompt) and (reason := why_no_wave(prompt.file)):
            yield Finding((*location, "file"), reason)
        if location[0] == WHISPER and (finding := _whisper(prompt)) is not None:
            yield finding.below(location)
    match node:
        case Bot():
            for target, name in node.transfer.items():
                yield from _transfers(("transfer", target), name, flow)
            if node.stays and not node.transfer:
                yield Finding(
                    ("stays",),
                    "has no effect, since nothing is in `transfer`",
                    "Add `transfer: {default: NODE}`, or remove it",
                )
        case AgentTransfer():
            yield from _transfer(node)
        case Lookup():
            yield from _cases(node)
        case Goto(flow=str() as name) if name not in known:
            yield Finding(("flow",), f"there is no flow `{name}`", nearest(name, known))


def _whisper(prompt: Prompt) -> Finding | None:
    match prompt:
        case FilePrompt():
            return None
        case TextPrompt(text=words):
            inside: Location = ("text",)
        case words:
            inside = ()
    try:
        check_template(words, packet=list(Context.model_fields))
    except InvalidValue as error:
        return Finding(inside, error.message, error.hint)
    return None


def _transfer(node: AgentTransfer) -> Iterator[Finding]:
    if "default" not in node.fallback:
        yield Finding(
            ("fallback",),
            "has no `default`, so that some failures would lead nowhere",
            "Add `default: {node: NAME}`, or `default: {end: true}`",
        )
    if node.method in ("refer", "bye"):
        for name in _BY_INVITE_ONLY:
            if getattr(node, name):
                yield Finding(
                    (name,),
                    f"is for `invite` only: by `{node.method}` the peer dials, not the gateway",
                    "Remove it, or write `method: invite`",
                )
    if node.max_talk_prompt is not None and node.max_talk is None:
        yield Finding(
            ("max_talk_prompt",),
            "is never played, since nothing limits the talk",
            "Add `max_talk: SECONDS`, or remove it",
        )
    for key, row in node.fallback.items():
        if row.retry is not None and (reason := NEVER_RETRIED.get(key)):
            yield Finding(("fallback", key, "retry"), reason, "Leave `retry` out")
    if node.repeat_message is not None and node.accepted_message is None:
        message = "there is no `accepted_message` to be repeated"
        yield Finding(("repeat_message",), message, "Add `accepted_message`")


def _cases(node: Lookup) -> Iterator[Finding]:
    for value in node.cases:
        location = ("cases", value)
        if node.on == "handover.sip_code":
            if not is_code(value, first=200):
                yield Finding(location, "is no final SIP code", "Write one from 200 to 699")
        elif value not in (possible := _POSSIBLE[node.on]):
            yield Finding(location, f"`{node.on}` is never `{value}`", nearest(value, possible))
