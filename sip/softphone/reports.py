"""What a softphone tells: one JSON object a line, with `event` naming what happened.

| event | facts beside `call` |
| --- | --- |
| `ready` | `uri`, `pid` (no call) |
| `done` | `do`: each command is answered by this … |
| `refused` | … or this, with `message`: why it was not done |
| `incoming` | `from`, `to`, `uri` (request URI), `source` (address:port), `headers` |
| `calling` | `to` |
| `early` | `code`, `reason`, `headers` of the provisional response |
| `confirmed` | `code`, `reason`, and `headers` of the 2xx where this phone dialled |
| `media` | `state`: `active`, `held_by_peer`, `held_by_us` or `none`; `codec`, `remote` |
| `heard` | `sound`: `880 Hz`, `sound` or `silence`; `at`: seconds into the recording |
| `dtmf` | `digit`, `duration_ms`, `via`: `rfc4733` or `info` |
| `refer` | `to` (the literal Refer-To), `headers` |
| `replaced` | `by`: the call that an INVITE with Replaces has put in this one's place |
| `notify` | `direction`, `sipfrag` (its status line), `state` (Subscription-State), `headers` |
| `played`, `recorded` | `file`, and `seconds` of a recording |
| `statistics` | RTP packets `received` and `sent`, seconds `recorded`; null where there is none |
| `disconnected` | `code`, `reason`, `by`: `peer` or `us`; `headers` of the BYE or final response |
| `error` | `message`: a fault of the phone itself |

`headers` holds every header of the message by its name as received; a repeated one is joined
with commas.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """One line of a softphone."""

    event: str
    call: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """A fact by name; KeyError where this event has none."""
        return self.facts[name]

    def __str__(self) -> str:
        """One short line for people: headers are left out."""
        shown = [f"{k}={v!r}" for k, v in self.facts.items() if k != "headers"]
        return " ".join([self.event, *([self.call] if self.call else []), *shown])

    @property
    def headers(self) -> Mapping[str, str]:
        """The message's headers, empty where the event carries none."""
        headers: Mapping[str, str] = self.facts.get("headers", {})
        return headers

    def matches(self, event: str, call: str | None, facts: Mapping[str, Any]) -> bool:
        """Whether this is the event, of that call if one is named, with these facts."""
        return (
            self.event == event
            and call in (None, self.call)
            and all(self.facts.get(name) == value for name, value in facts.items())
        )


def render(report: Report) -> str:
    """The line that `parse` reads back."""
    call = {"call": report.call} if report.call else {}
    return json.dumps({"event": report.event, **call, **report.facts}, ensure_ascii=False)


def parse(line: str | bytes) -> Report:
    """Read one line of a softphone."""
    facts = json.loads(line)
    return Report(event=facts.pop("event"), call=facts.pop("call", ""), facts=facts)
