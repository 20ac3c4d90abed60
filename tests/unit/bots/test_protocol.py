"""What every frame of a bot means, and which answer each wrong one gets."""

from __future__ import annotations

import json

import pytest

from config.media import Samples
from gateway.bots import messages
from gateway.bots.messages import Error, ErrorCode
from gateway.bots.protocol import (
    ERROR_INTERVAL,
    MAX_AUDIO,
    MAX_MARKS,
    MAX_TEXT,
    TEXT_BURST,
    TEXT_RATE,
    Protocol,
    State,
)
from sip.outcome import HandoverErrorReason, HandoverStatus, Method, Outcome


def started() -> Protocol:
    return Protocol(state=State.STARTED)


def receive(message: object, protocol: Protocol | None = None) -> messages.FromBot | Error | None:
    return (protocol or started()).receive_text(json.dumps(message).encode(), 0.0)


class TestCommands:
    """Each message of a bot becomes its command."""

    @pytest.mark.parametrize(
        ("message", "command"),
        [
            ({"type": "mark", "name": "m1"}, messages.Mark(type="mark", name="m1")),
            ({"type": "clear"}, messages.Clear(type="clear")),
            (
                {"type": "transfer", "target": "billing"},
                messages.Transfer(type="transfer", target="billing"),
            ),
            ({"type": "transfer"}, messages.Transfer(type="transfer", target="")),
            (
                {
                    "type": "transfer",
                    "target": "+493012345",
                    "method": "refer",
                    "headers": {"X-Case": "4711", "User-to-User": "04;encoding=hex"},
                },
                messages.Transfer(
                    type="transfer",
                    target="+493012345",
                    method=Method.REFER,
                    headers={"X-Case": "4711", "User-to-User": "04;encoding=hex"},
                ),
            ),
            (
                {"type": "hangup", "headers": {"X-Reason": "done"}},
                messages.Hangup(type="hangup", headers={"X-Reason": "done"}),
            ),
            ({"type": "goto", "node": "menu"}, messages.Goto(type="goto", node="menu")),
            (
                {"type": "send_dtmf", "digits": "12#*AD"},
                messages.SendDtmf(type="send_dtmf", digits="12#*AD"),
            ),
            (
                {"type": "set", "variables": {"name": "Ada"}},
                messages.Set(type="set", variables={"name": "Ada"}),
            ),
            (
                {"type": "log", "message": "intent: billing"},
                messages.Log(type="log", level="info", message="intent: billing"),
            ),
        ],
        ids=lambda value: value["type"] if isinstance(value, dict) else "",
    )
    def test_is_understood(self, message: object, command: messages.FromBot) -> None:
        assert receive(message) == command


class TestWhileATransferIsUnderWay:
    """A bot that stays may take it back, remember and log; the caller is not its to speak to."""

    @pytest.mark.parametrize(
        ("message", "command"),
        [
            ({"type": "cancel_transfer"}, messages.CancelTransfer(type="cancel_transfer")),
            (
                {"type": "set", "variables": {"a": "1"}},
                messages.Set(type="set", variables={"a": "1"}),
            ),
            ({"type": "log", "message": "x"}, messages.Log(type="log", message="x")),
        ],
        ids=lambda value: value["type"] if isinstance(value, dict) else "",
    )
    def test_is_obeyed(self, message: object, command: messages.FromBot) -> None:
        assert receive(message, Protocol(state=State.WAITING)) == command

    @pytest.mark.parametrize(
        "message",
        [
            {"type": "transfer"},
            {"type": "hangup"},
            {"type": "goto", "node": "n"},
            {"type": "send_dtmf", "digits": "1"},
            {"type": "mark", "name": "m"},
            {"type": "clear"},
        ],
        ids=lambda message: message["type"],
    )
    def test_is_refused(self, message: object) -> None:
        answer = receive(message, Protocol(state=State.WAITING))
        assert isinstance(answer, Error)
        assert (answer.code, answer.field) == (ErrorCode.REFUSED, "type")

    def test_audio_is_refused_once_a_second(self) -> None:
        protocol = Protocol(state=State.WAITING)
        assert not protocol.takes_audio(320)
        answers = [protocol.refuse_audio(320, now) for now in (0.0, 0.5, ERROR_INTERVAL)]
        assert [each and each.code for each in answers] == ["refused", None, "refused"]

    def test_without_one_there_is_nothing_to_take_back(self) -> None:
        answer = receive({"type": "cancel_transfer"})
        assert isinstance(answer, Error)
        assert answer.code is ErrorCode.REFUSED


class TestErrors:
    """A wrong message is answered with its code, the field at fault, and words."""

    @pytest.mark.parametrize(
        ("payload", "code", "field"),
        [
            (b"", ErrorCode.INVALID_JSON, None),
            (b"{", ErrorCode.INVALID_JSON, None),
            (b"\xff\xfe", ErrorCode.INVALID_JSON, None),
            (b"[" * 10_000, ErrorCode.INVALID_JSON, None),
            (b"[]", ErrorCode.INVALID_JSON, None),
            (b'"clear"', ErrorCode.INVALID_JSON, None),
            (b"{}", ErrorCode.UNKNOWN_TYPE, "type"),
            (b'{"type": "dance"}', ErrorCode.UNKNOWN_TYPE, "type"),
            (b'{"type": null}', ErrorCode.UNKNOWN_TYPE, "type"),
            (b'{"type": "clear", "now": true}', ErrorCode.INVALID_FIELD, "now"),
            (b'{"type": "mark"}', ErrorCode.INVALID_FIELD, "name"),
            (b'{"type": "mark", "name": ""}', ErrorCode.INVALID_FIELD, "name"),
            (b'{"type": "mark", "name": 7}', ErrorCode.INVALID_FIELD, "name"),
            (b'{"type": "transfer", "target": 1}', ErrorCode.INVALID_FIELD, "target"),
            (b'{"type": "transfer", "method": "pray"}', ErrorCode.INVALID_FIELD, "method"),
            (b'{"type": "hangup", "headers": []}', ErrorCode.INVALID_FIELD, "headers"),
            (
                b'{"type": "hangup", "headers": {"Route": "<sip:x>"}}',
                ErrorCode.INVALID_FIELD,
                "headers.Route",
            ),
            (
                b'{"type": "hangup", "headers": {"X-A": "1\\r\\nX-B: 2"}}',
                ErrorCode.INVALID_FIELD,
                "headers.X-A",
            ),
            (b'{"type": "goto"}', ErrorCode.INVALID_FIELD, "node"),
            (b'{"type": "send_dtmf", "digits": "12x"}', ErrorCode.INVALID_FIELD, "digits"),
            (b'{"type": "set", "variables": {"a": 1}}', ErrorCode.INVALID_FIELD, "variables.a"),
            (
                b'{"type": "log", "level": "loud", "message": "x"}',
                ErrorCode.INVALID_FIELD,
                "level",
            ),
        ],
    )
    def test_names_code_and_field(self, payload: bytes, code: ErrorCode, field: str) -> None:
        protocol = started()
        answer = protocol.receive_text(payload, 0.0)
        assert isinstance(answer, Error)
        assert (answer.code, answer.field) == (code, field)
        assert answer.message
        assert protocol.counters.errors == 1

    def test_unknown_type_lists_the_known_ones(self) -> None:
        answer = receive({"type": "dance"})
        assert isinstance(answer, Error)
        for known in ("mark", "clear", "transfer", "hangup", "goto", "send_dtmf", "set", "log"):
            assert known in answer.message

    def test_too_large_a_text_is_not_read(self) -> None:
        answer = started().receive_text(b" " * (MAX_TEXT + 1), 0.0)
        assert isinstance(answer, Error)
        assert answer.code is ErrorCode.TOO_LARGE

    def test_largest_legal_transfer_fits(self) -> None:
        headers = {f"X-{n:060}": "\u00e9" * messages.MAX_HEADER_VALUE for n in range(16)}
        payload = json.dumps({"type": "transfer", "target": "a", "headers": headers}).encode()
        assert len(payload) < MAX_TEXT
        assert isinstance(started().receive_text(payload, 0.0), messages.Transfer)

    def test_nothing_is_obeyed_before_start(self) -> None:
        protocol = Protocol()
        answer = receive({"type": "hangup"}, protocol)
        assert isinstance(answer, Error)
        assert answer.code is ErrorCode.BEFORE_START
        assert not protocol.takes_audio(320)
        refusal = protocol.refuse_audio(320, 0.0)
        assert refusal is not None
        assert refusal.code is ErrorCode.BEFORE_START

    def test_everything_is_ignored_after_stop(self) -> None:
        protocol = Protocol(state=State.STOPPED)
        assert receive({"type": "hangup"}, protocol) is None
        assert not protocol.takes_audio(320)
        assert protocol.refuse_audio(320, 0.0) is None
        assert protocol.counters.errors == 0


class TestAudio:
    """Binary messages are PCM16 of any whole number of samples."""

    @pytest.mark.parametrize("size", [0, 2, 320, 322, MAX_AUDIO])
    def test_whole_samples_are_taken(self, size: int) -> None:
        protocol = started()
        assert protocol.takes_audio(size)
        assert protocol.counters.audio_bytes == size

    @pytest.mark.parametrize(
        ("size", "code"), [(321, ErrorCode.ODD_LENGTH), (MAX_AUDIO + 2, ErrorCode.TOO_LARGE)]
    )
    def test_other_sizes_are_refused_once_a_second(self, size: int, code: ErrorCode) -> None:
        protocol = started()
        assert not protocol.takes_audio(size)
        first = protocol.refuse_audio(size, 10.0)
        assert first is not None
        assert first.code is code
        assert protocol.refuse_audio(size, 10.0 + ERROR_INTERVAL / 2) is None
        assert protocol.refuse_audio(size, 10.0 + ERROR_INTERVAL) is not None
        assert protocol.counters.errors == 3

    def test_slow_down_is_said_once_a_second_and_every_byte_counted(self) -> None:
        protocol = started()
        answers = [protocol.audio_dropped(320, at / 10) for at in range(30)]
        told = [answer for answer in answers if answer is not None]
        assert len(told) == 3
        assert {answer.code for answer in told} == {ErrorCode.SLOW_DOWN}
        assert protocol.counters.dropped_bytes == 30 * 320


class TestFlood:
    """A bot that talks too much is slowed down, and cannot slow the gateway down."""

    def test_beyond_the_burst_messages_are_ignored(self) -> None:
        protocol = started()
        answers = [receive({"type": "clear"}, protocol) for _ in range(int(TEXT_BURST) + 50)]
        obeyed = [answer for answer in answers if isinstance(answer, messages.Clear)]
        told = [answer for answer in answers if isinstance(answer, Error)]
        assert len(obeyed) == int(TEXT_BURST)
        assert [error.code for error in told] == [ErrorCode.RATE_LIMITED]

    def test_the_allowance_comes_back_with_time(self) -> None:
        protocol = started()
        for _ in range(int(TEXT_BURST)):
            receive({"type": "clear"}, protocol)
        payload = b'{"type": "clear"}'
        assert isinstance(protocol.receive_text(payload, 0.0), Error)
        assert isinstance(protocol.receive_text(payload, 1.5 / TEXT_RATE), messages.Clear)
        assert protocol.receive_text(payload, 1.5 / TEXT_RATE) is None

    def test_waiting_marks_are_bounded(self) -> None:
        protocol = started()
        for number in range(MAX_MARKS):
            mark = protocol.receive_text(b'{"type": "mark", "name": "m"}', float(number))
            assert isinstance(mark, messages.Mark)
        refused = protocol.receive_text(b'{"type": "mark", "name": "m"}', 1000.0)
        assert isinstance(refused, Error)
        assert refused.code is ErrorCode.TOO_MANY_MARKS
        protocol.mark_reached("m", played=True)
        again = protocol.receive_text(b'{"type": "mark", "name": "m"}', 1000.0)
        assert isinstance(again, messages.Mark)


class TestWire:
    """What a bot reads: the JSON of docs/bots.md."""

    def test_start(self) -> None:
        start = messages.Start(
            call_id="c1",
            from_="sip:alice@carrier",
            to="sip:100@gateway",
            trunk="carrier",
            sip=messages.SipFacts(
                call_id="x@y",
                headers={"X-Tenant": "7"},
                user_to_user=[messages.UserToUser(text="Hi", value="4869", purpose="")],
            ),
            audio=messages.AudioFormat(encoding=Samples.PCM16, sample_rate=8000),
            flow=messages.FlowPosition(name="main", node="bot"),
            variables={"name": "Ada"},
            handover=messages.HandoverFacts(
                status=HandoverStatus.ERROR,
                outcome=Outcome.BUSY,
                sip_code=486,
                target="billing",
                message="Busy Here",
                error=messages.HandoverError(reason=HandoverErrorReason.ERROR),
            ),
            reconnected=False,
        )
        assert json.loads(start.model_dump_json(by_alias=True)) == {
            "type": "start",
            "version": "switchhook.v1",
            "call_id": "c1",
            "from": "sip:alice@carrier",
            "to": "sip:100@gateway",
            "direction": "inbound",
            "trunk": "carrier",
            "sip": {
                "call_id": "x@y",
                "headers": {"X-Tenant": "7"},
                "user_to_user": [{"text": "Hi", "value": "4869", "purpose": ""}],
            },
            "audio": {"encoding": "pcm_s16le", "sample_rate": 8000, "frame_ms": 20},
            "flow": {"name": "main", "node": "bot"},
            "variables": {"name": "Ada"},
            "handover": {
                "status": "error",
                "outcome": "busy",
                "sip_code": 486,
                "target": "billing",
                "message": "Busy Here",
                "error": {"reason": "error"},
            },
            "reconnected": False,
        }

    def test_error(self) -> None:
        error = started().refuse(ErrorCode.REFUSED, "no such node", "node")
        assert json.loads(error.model_dump_json()) == {
            "type": "error",
            "code": "refused",
            "message": "no such node",
            "field": "node",
        }
