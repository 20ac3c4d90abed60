"""The context that travels with a call when it is handed over: one packet, whoever writes it.

A bot and the control API give it as values (`Context`); a flow's author writes it with placeholders
(`FlowContext`), which are filled in when the transfer begins.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from config.errors import InvalidValue
from config.headers import check_value
from config.strict import Strict
from config.templates import TemplateText

MAX_SUMMARY = 1000
MAX_VALUE = 256
"""Characters of one piece of gathered information or of one attribute."""
MAX_ENTRIES = 16
"""Of each list and mapping. With the limits of their values a packet has at most 15 KB, of which a
trunk's budget lets through what a SIP message can carry."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_WORD = re.compile(r"[^,;\x00-\x1f\x7f]{1,64}")


def _key(text: str) -> str:
    if _KEY.fullmatch(text) is None:
        raise InvalidValue("a name here has up to 64 letters, digits, `-`, `_` and `.`")
    return text


def check_word(text: str) -> str:
    """Return `text` if it is a tag, a skill, a priority or a language.

    Raises:
        InvalidValue: it is empty or too long, or has a character that separates words in headers.
    """
    check_value(text)
    if not text.strip() or _WORD.fullmatch(text) is None:
        raise InvalidValue("has 1 to 64 characters, and neither comma nor semicolon")
    return text


def _link(url: str) -> str:
    check_value(url)
    if re.fullmatch(r"https?://[^\s<>\"]+", url) is None:
        raise InvalidValue("is not a link", "Write one such as `https://bots.example.com/t/4711`")
    return url


Key = Annotated[str, AfterValidator(_key)]
Word = Annotated[str, AfterValidator(check_word)]
Tags = Annotated[list[Word], Field(max_length=MAX_ENTRIES)]
Value = Annotated[str, StringConstraints(max_length=MAX_VALUE), AfterValidator(check_value)]
Summary = Annotated[str, StringConstraints(max_length=MAX_SUMMARY), AfterValidator(check_value)]
Link = Annotated[str, StringConstraints(max_length=512), AfterValidator(_link)]


class Transcript(Strict):
    """A link to the conversation so far."""

    url: Link
    """Where it is found: `https://…`."""
    uses: int | None = Field(default=None, ge=1, le=1000)
    """How often the link works."""
    expires: AwareDatetime | None = None
    """Until when, ISO 8601 with an offset."""


class Context(Strict):
    """What the one who takes the call should know. Every field may be left out."""

    priority: Word | None = None
    """How urgent it is: `urgent`, `1`."""
    skills: list[Word] = Field(default_factory=list, max_length=MAX_ENTRIES)
    """What the agent must be able to do: `billing`, `technical support`."""
    language: Word | None = None
    """The caller's: `de`, `english`."""
    tags: Tags = Field(default_factory=list)
    """Words that the call is filed under; they stand in its record too."""
    information: dict[Key, Value] = Field(default_factory=dict, max_length=MAX_ENTRIES)
    """What was gathered from the caller: `{order: "4711"}`."""
    attributes: dict[Key, Value] = Field(default_factory=dict, max_length=MAX_ENTRIES)
    """Whatever else the other side understands, each by its own name."""
    transcript: Transcript | None = None
    """A link to the conversation so far."""
    summary: Summary | None = None
    """The conversation in a few sentences, in one line."""

    def under(self, above: Context) -> Context:
        """Both in one: `above` has the last word, lists and mappings are put together."""
        merged = {
            "skills": [*dict.fromkeys([*self.skills, *above.skills])],
            "tags": [*dict.fromkeys([*self.tags, *above.tags])],
            "information": {**self.information, **above.information},
            "attributes": {**self.attributes, **above.attributes},
        }
        given = {name: getattr(above, name) for name in above.model_fields_set}
        return self.model_copy(update={**given, **merged})


NO_CONTEXT = Context()
"""Nothing that anybody should know."""


class FlowTranscript(Strict):
    """A link to the conversation so far, with placeholders."""

    url: TemplateText
    """Where it is found: `https://bots.example.com/{{ call.id }}`."""
    uses: int | None = Field(default=None, ge=1, le=1000)
    """How often the link works."""
    expires: TemplateText | None = None
    """Until when, ISO 8601 with an offset."""


class FlowContext(Strict):
    """What the one who takes the call should know; each value may have placeholders."""

    priority: TemplateText | None = None
    """How urgent it is: `urgent`, `1`."""
    skills: list[TemplateText] = Field(default_factory=list, max_length=MAX_ENTRIES)
    """What the agent must be able to do; one that fills in as `a, b` is two."""
    language: TemplateText | None = None
    """The caller's: `de`, `english`."""
    tags: list[TemplateText] = Field(default_factory=list, max_length=MAX_ENTRIES)
    """Words that the call is filed under; they stand in its record too."""
    information: dict[Key, TemplateText] = Field(default_factory=dict, max_length=MAX_ENTRIES)
    """What was gathered from the caller: `{order: "{{ variables.order }}"}`."""
    attributes: dict[Key, TemplateText] = Field(default_factory=dict, max_length=MAX_ENTRIES)
    """Whatever else the other side understands, each by its own name."""
    transcript: FlowTranscript | None = None
    """A link to the conversation so far."""
    summary: TemplateText | None = None
    """The conversation in a few sentences, in one line."""
