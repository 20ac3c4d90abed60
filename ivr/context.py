"""What a flow's author writes with placeholders, filled in with what is known of the call.

A value that cannot be filled in, or that turns out to be none (a line break in what a caller has
said), is left out and told. The transfer goes on without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from pydantic import ValidationError

from config.context import Context, FlowContext
from config.errors import InvalidValue
from config.headers import check_value
from config.templates import CONTEXT, TemplateFailed, fill_in
from ivr.ports import CallFacts
from sip.context import user_to_user
from sip.outcome import Dropped, Handover


class _Headers(dict[str, str]):
    """By name, whatever its case (RFC 3261 section 7.3.1)."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())


def facts(
    call_id: str,
    call: CallFacts,
    variables: Mapping[str, str],
    handover: Handover | None,
) -> dict[str, object]:
    """What a template can look at, by the names of `config.templates.FACTS`."""
    received = call.received
    texts = [datum.text for datum in received.user_to_user if datum.text]
    told = texts[0] if texts else ""
    return {
        "call": {"id": call_id, "trunk": call.trunk, "caller": call.caller, "number": call.number},
        "handover": {} if handover is None else asdict(handover),
        "headers": _Headers(received.headers),
        "user_to_user": {**user_to_user.pairs(told), "text": told},
        "variables": dict(variables),
    }


@dataclass(slots=True)
class Filling:
    """Fills in templates; `dropped` collects those that it could not."""

    facts: Mapping[str, object]
    dropped: list[Dropped] = field(default_factory=list)

    def headers(self, templates: Mapping[str, str]) -> dict[str, str]:
        """SIP headers."""
        found = {}
        for name, template in templates.items():
            if (value := self._text(f"headers.{name}", template)) is not None:
                found[name] = value
        return found

    def words(self, name: str, template: str, packet: Context) -> str | None:
        """Words to be spoken, which may tell what is in the packet."""
        told = packet.model_dump(mode="json", exclude_none=True)
        try:
            return fill_in(template, {**self.facts, CONTEXT: told})
        except TemplateFailed as error:
            self.dropped.append(Dropped(name, str(error)))
            return None

    def context(self, templates: FlowContext) -> Context:
        """The packet."""
        packet = Context()
        for name in ("priority", "language", "summary"):
            template = getattr(templates, name)
            if template is not None and (value := self._text(name, template)):
                packet = self._with(packet, name, {name: value})
        for name in ("skills", "tags"):
            for value in self._words(name, getattr(templates, name)):
                packet = self._with(packet, name, {name: [value]})
        for name in ("information", "attributes"):
            for key, template in getattr(templates, name).items():
                if value := self._text(f"{name}.{key}", template):
                    packet = self._with(packet, f"{name}.{key}", {name: {key: value}})
        link = templates.transcript
        if link is not None and (url := self._text("transcript.url", link.url)):
            expires = self._text("transcript.expires", link.expires) if link.expires else None
            known = {"url": url, "uses": link.uses, "expires": expires or None}
            packet = self._with(packet, "transcript", {"transcript": known})
        return packet

    def _words(self, name: str, templates: list[str]) -> Iterator[str]:
        for template in templates:
            for word in (self._text(name, template) or "").split(","):
                if word.strip():
                    yield word.strip()

    def _with(self, packet: Context, name: str, value: Mapping[str, object]) -> Context:
        try:
            return packet.under(Context.model_validate(value))
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            self.dropped.append(Dropped(name, reason))
            return packet

    def _text(self, name: str, template: str) -> str | None:
        try:
            return check_value(fill_in(template, self.facts))
        except TemplateFailed as error:
            self.dropped.append(Dropped(name, str(error)))
        except InvalidValue as error:
            self.dropped.append(Dropped(name, error.message))
        return None
