"""The log: one JSON object (or, on a terminal, one coloured line) for each thing worth telling.

Which event is logged at which level is the table below; docs/logging.md prints it for operators.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection, Mapping, MutableMapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, TextIO, cast

import structlog
from pydantic_core import to_jsonable_python

from gateway.encoding import encode
from gateway.events import (
    CallFailed,
    CallFinished,
    CallResumed,
    RecordingDamaged,
    RecordingFailed,
    ResumeRefused,
)
from gateway.log_stream import LogStream
from gateway.records import CallRecord
from gateway.timeline import CallEvent, iso
from sip.events import (
    AudioRefused,
    AudioSilent,
    AudioUnauthenticated,
    DtmfLost,
    SipMessage,
    TransferEnded,
)

LEVELS: Mapping[str, int] = {
    CallFinished.name: logging.INFO,
    TransferEnded.name: logging.INFO,
    CallFailed.name: logging.ERROR,
    CallResumed.name: logging.INFO,
    ResumeRefused.name: logging.WARNING,
    AudioRefused.name: logging.WARNING,
    AudioUnauthenticated.name: logging.WARNING,
    AudioSilent.name: logging.WARNING,
    DtmfLost.name: logging.WARNING,
    RecordingDamaged.name: logging.WARNING,
    RecordingFailed.name: logging.WARNING,
}
"""Every other event is logged at DEBUG: the record keeps it anyway."""

REDACTED = "[redacted]"
_SECRET_KEYS = frozenset({"authorization", "proxy_authorization", "password", "secret", "token"})
_DIGIT_KEYS = frozenset({"digit", "digits"})
_CREDENTIALS = re.compile(r"(?im)((?:proxy-)?authorization\s*[:=]\s*)[^\r\n]+")


class Format(StrEnum):
    """How a line is written."""

    AUTO = "auto"
    """`console` on a terminal, `json` elsewhere."""
    JSON = "json"
    CONSOLE = "console"


def logged(level: int) -> Collection[str] | None:
    """Names of the events that are logged at this level; None: all of them."""
    return None if level <= logging.DEBUG else [name for name, at in LEVELS.items() if at >= level]


class EventLog:
    """A listener of the event bus that writes the log's lines about calls."""

    def __init__(self) -> None:
        self._log = structlog.get_logger().bind()  # assembled once, not for each line

    def __call__(self, stamped: CallEvent) -> None:
        """Log one event."""
        event = stamped.event
        level = LEVELS.get(event.name, logging.DEBUG)
        if isinstance(event, CallFinished):
            fields = summary(event.call.record)
        elif isinstance(event, SipMessage):
            # The first line names the message; the whole of it is in the call's record.
            first = event.text.partition("\r\n")[0]
            fields = {"leg": event.leg, "direction": event.direction, "peer": event.peer}
            fields["message"] = first
        else:
            fields = to_jsonable_python(event)
        self._log.log(
            level, event.name, call_id=stamped.call_id, offset_ms=stamped.offset_ms, **fields
        )


def summary(record: CallRecord) -> dict[str, Any]:
    """A finished call in one line, with every important timestamp."""
    fields: dict[str, Any] = {
        "disposition": record.disposition,
        "end": record.end,
        "direction": record.direction,
        "trunk": record.trunk,
        "caller": record.caller,
        "number": record.number,
        "sip_call_id": record.sip_call_id,
        "flow": record.flow,
        "path": ",".join(record.path),
        "started_at": iso(record.started_at),
        "answered_at": None if record.answered_at is None else iso(record.answered_at),
        "ended_at": iso(record.ended_at),
        "duration_ms": round(record.duration * 1000),
    }
    if record.resumed_from:
        fields["resumed_from"] = record.resumed_from
    if record.tags:
        fields["tags"] = ",".join(record.tags)
    if record.attempts:
        fields["transfers"] = [
            {
                "attempt": attempt.id,
                "method": attempt.method.value,
                "target": attempt.target,
                "outcome": attempt.outcome.value,
                "code": attempt.code,
                "verdict_ms": attempt.verdict_ms,
                "talk_ms": attempt.talk_ms,
            }
            for attempt in record.attempts
        ]
    return fields


def redact(
    _logger: object, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """structlog processor: no credentials and no DTMF digits leave by the log."""
    for key, value in entry.items():
        entry[key] = _redacted(key, value)
    return entry


def _redacted(key: str, value: Any) -> Any:
    if _is_secret(key):
        return REDACTED
    if isinstance(value, str):
        if "authorization" not in value.lower():  # far cheaper than the expression
            return value
        return _CREDENTIALS.sub(rf"\1{REDACTED}", value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {inner: _redacted(str(inner), part) for inner, part in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", part) for part in value]
    return value


@lru_cache(maxsize=512)
def _is_secret(key: str) -> bool:
    name = key.lower().replace("-", "_")
    return name in _SECRET_KEYS or name in _DIGIT_KEYS


def configure(level: int, format_: Format, stream: TextIO | None = None) -> None:
    """Set up structlog, and send the standard library's loggers the same way."""
    stream = cast(TextIO, LogStream(stream or sys.stderr))
    console = format_ is Format.CONSOLE or (format_ is Format.AUTO and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    render: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_dumps)]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    # What libraries have to say below a warning is no operator's business.
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def _dumps(entry: object, **_: object) -> str:
    return encode(entry).decode()
