"""Values that an author writes with placeholders: Jinja, in a sandbox.

    Case {{ variables.case }}, {{ handover.outcome | default('not tried') }}

What a caller, a bot or a peer has said is only ever filled in, never read as a template.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Annotated

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import AfterValidator

from config.errors import InvalidValue
from config.headers import check_name, check_value
from config.spelling import nearest

FACTS = ("call", "handover", "headers", "user_to_user", "variables")
"""What a template can look at."""

CONTEXT = "context"
"""What else is there for words that are said to the agent: the packet of `config.context`."""

_CACHED = 1024
"""Compiled templates kept: a flow has a handful of nodes with a handful of values each."""


def _hex(text: object) -> str:
    """The octets of a text in UTF-8, as User-to-User has them (RFC 7433)."""
    return str(text).encode().hex()


_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
_ENVIRONMENT.filters["hex"] = _hex


class TemplateFailed(Exception):
    """A template cannot be filled in with what is known of the call; the message says why."""


def check_template(text: str, packet: Collection[str] = ()) -> str:
    """Return `text` if it can be filled in.

    Args:
        text: what the author wrote.
        packet: the fields of `context`, where there is one to look at.

    Raises:
        InvalidValue: it is no template, or looks at something that is not there.
    """
    try:
        tree = _ENVIRONMENT.parse(text)
        _compiled(text)
    except TemplateSyntaxError as error:
        raise InvalidValue(f"is no template: {error.message}") from None
    except TemplateError as error:  # such as a filter that does not exist
        raise InvalidValue(f"is no template: {error}") from None
    facts = sorted({*FACTS, *([CONTEXT] if packet else [])})
    for name in sorted(meta.find_undeclared_variables(tree) - set(facts)):
        raise _not_there(name, name, facts)
    for looked in tree.find_all(nodes.Getattr) if packet else ():
        of_packet = isinstance(looked.node, nodes.Name) and looked.node.name == CONTEXT
        if of_packet and looked.attr not in packet:
            raise _not_there(f"{CONTEXT}.{looked.attr}", looked.attr, packet)
    return text


def _not_there(looked_at: str, name: str, known: Collection[str]) -> InvalidValue:
    there = ", ".join(f"`{each}`" for each in known)
    hint = nearest(name, known) or f"There are {there}"
    return InvalidValue(f"the template looks at `{looked_at}`, which is not there", hint)


def fill_in(text: str, facts: Mapping[str, object]) -> str:
    """The text with its placeholders filled in, without blanks at its ends.

    Args:
        text: checked by `check_template`.
        facts: by the names of FACTS, and CONTEXT where that was checked for.

    Raises:
        TemplateFailed: something that the template needs is not known of this call.
    """
    if is_plain(text):
        return text
    try:
        return _compiled(text).render(facts).strip()
    except Exception as error:
        # Templates are code: whatever goes wrong in one is its own fault, and costs its value only.
        raise TemplateFailed(str(error) or type(error).__name__) from error


def is_plain(text: str) -> bool:
    """Whether there is nothing to be filled in."""
    return "{" not in text


@lru_cache(maxsize=_CACHED)
def _compiled(text: str) -> Template:
    return _ENVIRONMENT.from_string(text)


def _value(text: str) -> str:
    return check_template(check_value(text))


TemplateText = Annotated[str, AfterValidator(_value)]
"""One line of text with placeholders."""

HeaderTemplates = dict[Annotated[str, AfterValidator(check_name)], TemplateText]
"""SIP headers to send, by name."""
