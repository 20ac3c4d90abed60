"""Whatever a bot sends gets a command, a small error or silence; never an exception."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.bots.messages import CancelTransfer, Error, Log, Set
from gateway.bots.protocol import Protocol, State

TYPES = [
    *("mark", "clear", "transfer", "cancel_transfer"),
    *("hangup", "goto", "send_dtmf", "set", "log"),
]
FIELDS = ["name", "target", "method", "headers", "node", "digits", "variables", "level", "message"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
near_messages = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from(TYPES) | json_values,
    st.dictionaries(st.sampled_from(FIELDS) | st.text(), json_values, max_size=4),
)
texts = st.binary() | near_messages.map(lambda message: json.dumps(message).encode())
times = st.floats(min_value=0, max_value=1e9)
states = st.sampled_from(State)


@given(states, st.lists(st.tuples(texts, times), max_size=10))
def test_any_text_gets_an_answer(state: State, frames: list[tuple[bytes, float]]) -> None:
    protocol = Protocol(state=state)
    for payload, now in frames:
        answer = protocol.receive_text(payload, now)
        assert protocol.state is state
        if isinstance(answer, Error):
            assert len(answer.model_dump_json()) < 4096
        elif state is State.WAITING:
            assert answer is None or isinstance(answer, CancelTransfer | Set | Log)
        elif state is not State.STARTED:
            assert answer is None


@given(states, st.lists(st.tuples(st.integers(0, 3_000_000), times), max_size=20))
def test_any_audio_is_taken_or_refused(state: State, frames: list[tuple[int, float]]) -> None:
    protocol = Protocol(state=state)
    for size, now in frames:
        if protocol.takes_audio(size):
            assert state is State.STARTED
            assert size % 2 == 0
        else:
            answer = protocol.refuse_audio(size, now)
            assert answer is None or isinstance(answer, Error)
