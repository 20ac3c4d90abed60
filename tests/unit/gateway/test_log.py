"""The log says what docs/logging.md promises, and never a secret or a digit."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.events import (
    CallFailed,
    CallFinished,
    CallResumed,
    EventBus,
    RecordingDamaged,
    RecordingFailed,
    ResumeRefused,
)
from gateway.log import LEVELS, EventLog, Format, configure, logged, redact, summary
from gateway.timeline import Timeline
from sip.events import (
    AudioRefused,
    AudioSilent,
    AudioUnauthenticated,
    Direction,
    DtmfLost,
    DtmfReceived,
    SipMessage,
    TransferEnded,
)
from tests.unit.gateway.scene import ATTEMPT, finished_call

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "logging.md"


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_line_is_one_json_object_with_the_calls_id(stream: io.StringIO) -> None:
    configure(logging.INFO, Format.JSON, stream)
    with structlog.contextvars.bound_contextvars(call_id="c1"):
        structlog.get_logger().info("something", count=3)
    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "something", "level": "info", "count": 3, "call_id": "c1"}


def test_an_exception_is_in_its_line(stream: io.StringIO) -> None:
    configure(logging.INFO, Format.JSON, stream)
    try:
        raise ValueError("oh")
    except ValueError:
        structlog.get_logger().exception("call failed")
    [line] = lines(stream)
    assert "ValueError: oh" in line["exception"]


def test_the_console_form_is_plain_where_nobody_looks(stream: io.StringIO) -> None:
    configure(logging.INFO, Format.CONSOLE, stream)
    structlog.get_logger().info("gateway ready", api="http://127.0.0.1:8080")
    assert "gateway ready" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_auto_means_json_off_a_terminal(stream: io.StringIO) -> None:
    configure(logging.INFO, Format.AUTO, stream)
    structlog.get_logger().info("x")
    assert lines(stream)[0]["event"] == "x"


def test_libraries_write_the_same_lines_but_only_warnings(stream: io.StringIO) -> None:
    configure(logging.DEBUG, Format.JSON, stream)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("Authorization: Basic %s", "c2VjcmV0")
    [line] = lines(stream)
    assert (line["level"], line["logger"]) == ("warning", "some.library")
    assert line["event"] == "Authorization: [redacted]"


@pytest.mark.parametrize(
    "entry",
    [
        {"digit": "5"},
        {"digits": "1234"},
        {"authorization": "Digest response=5"},
        {"Proxy-Authorization": "5"},
        {"headers": {"Authorization": "5"}},
        {"outer": {"inner": {"password": "5"}}},
        {"list": [{"token": "5"}, ("Proxy-Authorization: 5",)]},
        {"text": "REGISTER sip:x SIP/2.0\r\nAUTHORIZATION : Digest a=5\r\nX: y"},
    ],
)
def test_secrets_and_digits_are_redacted(entry: dict[str, Any]) -> None:
    written = json.dumps(redact(None, "info", entry))
    assert "5" not in written
    assert "[redacted]" in written


def test_what_is_no_secret_stays() -> None:
    entry = {"text": "a\r\nAuthorization: x\r\nb", "headers": {"X-Tag": "7"}, "code": 486}
    assert redact(None, "info", dict(entry)) == {
        "text": "a\r\nAuthorization: [redacted]\r\nb",
        "headers": {"X-Tag": "7"},
        "code": 486,
    }


class TestEvents:
    """Which event of a call is logged, and how."""

    @pytest.fixture
    def timeline(self, stream: io.StringIO) -> Timeline:
        configure(logging.DEBUG, Format.JSON, stream)
        return Timeline("c1", EventLog())

    def test_dtmf_is_logged_without_the_digit(
        self, timeline: Timeline, stream: io.StringIO
    ) -> None:
        timeline.record(DtmfReceived("caller", "7", 100, "rtp"))
        [line] = lines(stream)
        assert (line["event"], line["call_id"], line["level"]) == ("dtmf.received", "c1", "debug")
        assert line["digit"] == "[redacted]"

    def test_a_sip_message_is_logged_by_its_first_line(
        self, timeline: Timeline, stream: io.StringIO
    ) -> None:
        text = "INVITE sip:x SIP/2.0\r\nFrom: <sip:secret@h>\r\n\r\n"
        timeline.record(SipMessage("caller", Direction.RECEIVED, "udp", "192.0.2.5:5060", text))
        [line] = lines(stream)
        assert line["message"] == "INVITE sip:x SIP/2.0"
        assert "secret" not in stream.getvalue()

    def test_below_its_level_nothing_is_logged(self, stream: io.StringIO) -> None:
        configure(logging.INFO, Format.JSON, stream)
        bus = EventBus()
        bus.subscribe(EventLog(), logged(logging.INFO))
        timeline = Timeline("c1", bus.publish)
        timeline.record(DtmfReceived("caller", "7", 100, "rtp"))
        timeline.record(TransferEnded(ATTEMPT))
        [line] = lines(stream)
        assert (line["event"], line["level"]) == ("transfer.ended", "info")
        assert line["attempt"]["outcome"] == "busy"

    def test_a_finished_call_is_one_line_with_every_timestamp(
        self, timeline: Timeline, stream: io.StringIO
    ) -> None:
        EventLog()(timeline.stamp(CallFinished(finished_call())))
        [line] = lines(stream)
        assert line["event"] == "call.finished"
        assert line["started_at"] == "2026-09-21T14:13:21.000Z"
        assert line["answered_at"] == "2026-09-21T14:13:21.250Z"
        assert line["ended_at"] == "2026-09-21T14:13:51.000Z"
        assert (line["duration_ms"], line["disposition"]) == (30000, "failed")
        assert line["path"] == "greet,desk"
        assert line["transfers"] == [
            {
                "attempt": "t1",
                "method": "refer",
                "target": "billing",
                "outcome": "busy",
                "code": 486,
                "verdict_ms": 1234,
                "talk_ms": 0,
            }
        ]

    def test_a_call_without_transfers_has_no_such_key(self) -> None:
        assert "transfers" not in summary(finished_call(attempts=()).record)


def test_the_document_lists_every_line_of_the_source() -> None:
    written = re.compile(r"\blog\.(?:info|warning|error|exception)\(\s*\"([^\"]+)\"")
    sources = [
        path
        for part in ("config", "gateway", "ivr", "sip")
        for path in (ROOT / part).rglob("*.py")
        if not {"demo", "softphone"} & set(path.parts)
    ]
    messages = {message for path in sources for message in written.findall(path.read_text())}
    document = DOCUMENT.read_text()
    assert len(messages) > 20
    assert {message for message in messages if f"`{message}`" not in document} == set()


def test_the_document_lists_what_is_logged_above_debug() -> None:
    assert set(LEVELS) == {
        CallFinished.name,
        RecordingDamaged.name,
        RecordingFailed.name,
        TransferEnded.name,
        CallFailed.name,
        CallResumed.name,
        ResumeRefused.name,
        AudioRefused.name,
        AudioUnauthenticated.name,
        AudioSilent.name,
        DtmfLost.name,
    }
    rows = [line.split("|") for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): row[2].strip() for row in rows}
    for name, level in LEVELS.items():
        assert documented[name] == logging.getLevelName(level).lower()
