"""What a bot or an operator asked for, and how a flow's transfer node serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from config.context import NO_CONTEXT, Context
from config.errors import InvalidValue
from config.flows import AgentTransfer
from config.groups import Group
from config.targets import Reach, Target
from config.uri import is_number
from ivr.decisions import RefusalReason
from sip.outcome import Method


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Whom to reach and how, as far as the one who asks cares."""

    target: str = ""
    """A target's name or a destination; empty: the node's own target."""
    method: Method | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    context: Context = NO_CONTEXT


@dataclass(frozen=True, slots=True)
class TransferRefusal:
    """Why a node cannot serve a request."""

    reason: RefusalReason
    field: str
    """The part of the request at fault."""
    message: str


@dataclass(frozen=True, slots=True)
class Directory:
    """Who can be reached, by name or by destination."""

    targets: Mapping[str, Target]
    """The named targets of the configuration."""
    groups: Mapping[str, Group]
    """The groups of them."""
    trunk: str | None
    """Over which a number is dialled that is no named target's: the trunk of the caller."""

    def find(self, name: str) -> Target | Group | None:
        """Who has this name, or a target made of a destination; None: the name is neither.

        Whether a destination may be dialled is not asked here: `sip` does before it dials.
        """
        if name in self.targets:
            return self.targets[name]
        if name in self.groups:
            return self.groups[name]
        trunk = self.trunk if is_number(name) else None
        try:
            return Target(kind=Reach.EXTERNAL, destination=name, trunk=trunk)
        except ValidationError:
            return None

    def same(self, one: str, other: str) -> bool:
        """Whether two names or destinations reach the same target."""
        first, second = self.find(one), self.find(other)
        return one == other or (
            isinstance(first, Target)
            and isinstance(second, Target)
            and first.destination == second.destination
        )

    def reached_by(
        self, node: AgentTransfer, request: TransferRequest
    ) -> tuple[str, Target | Group | None]:
        """Whom a node reaches for a request: the name (an inline target's destination), and who.

        A node's own target stands, whoever is asked for: the flow's author routed the call there.
        """
        match node.target:
            case Target() as inline:
                return inline.destination, inline
            case None:
                return request.target, self.find(request.target)
            case name:
                return name, self.targets.get(name) or self.groups.get(name)

    def refusal(self, node: AgentTransfer, request: TransferRequest) -> TransferRefusal | None:
        """Why a node cannot serve a request; None: it can."""
        name, whom = self.reached_by(node, request)
        if whom is None:
            known = ", ".join([*self.targets, *self.groups]) or "none"
            problem = (
                f"{name!r} is neither the name of a target nor a SIP URI or number to dial"
                if name
                else "missing, and the flow's transfer node has none of its own"
            )
            message = f"{problem}; named targets: {known}"
            return TransferRefusal(RefusalReason.UNKNOWN_TARGET, "target", message)
        refused = method_refused(asked_method(node, request), whom)
        if refused is not None:
            return TransferRefusal(RefusalReason.METHOD_REFUSED, "method", str(refused))
        return None


def asked_method(node: AgentTransfer, request: TransferRequest) -> Method | None:
    """The method that the flow says, or else the one who asks; None: each target's own."""
    return Method(node.method) if node.method is not None else request.method


def method_for(asked: Method | None, target: Target) -> Method:
    """How a target is reached: as was asked, else in its own way."""
    return asked or Method(target.usual_method)


def method_refused(asked: Method | None, whom: Target | Group) -> InvalidValue | None:
    """Why the method asked for does not reach a target or group; None: it does."""
    if isinstance(whom, Target):
        return whom.method_refused(method_for(asked, whom).value)
    if asked is None:
        return None
    return InvalidValue(
        "the members of a group are reached each by its own method", "Leave `method` out"
    )
