"""Packets that are passed on: one RTP stream to whoever hears them (RFC 3550 section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sip.pjsip import native

CLOCK, SPAN, PTIME = 8000, 160, 20
OURS = 0xC0FFEE
THEIRS = 0x5117C400

Sent = tuple[int, int, int, bool]
"""SSRC, sequence number, timestamp, marker."""


@dataclass(frozen=True)
class Packet:
    """Of the source, when it comes."""

    sequence: int
    timestamp: int
    at_ms: int
    ssrc: int = THEIRS
    marker: bool = False

    @property
    def plain(self) -> tuple[int, int, int, bool, int]:
        """As native code takes it."""
        sequence, timestamp = self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF
        return self.ssrc, sequence, timestamp, self.marker, self.at_ms


def speech(count: int, sequence: int = 5, timestamp: int = 1000, at_ms: int = 1020) -> list[Packet]:
    """One packet after the other, on time."""
    return [Packet(sequence + i, timestamp + SPAN * i, at_ms + PTIME * i) for i in range(count)]


def passed(
    packets: list[Packet], sequence: int = 70, timestamp: int = 9000, end_ms: int = 0
) -> tuple[list[Sent | None], int, int]:
    """What is sent behind this sequence number and timestamp, which were sent at 1000 ms."""
    behind = (OURS, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 1000)
    return native.renumber((CLOCK, SPAN), behind, [packet.plain for packet in packets], end_ms)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF), st.integers(0))
def test_a_stream_goes_on_where_the_gateway_has_stopped_to_speak(
    ours: int, our_time: int, theirs: int, their_time: int
) -> None:
    """Whatever the numbers are, and where they wrap around; a marker says: a new source."""
    packets = speech(300, theirs, their_time % 2**32)
    sent, _, skipped = passed(packets, ours, our_time)
    assert sent == [
        (OURS, (ours + 1 + i) & 0xFFFF, (our_time + SPAN * (1 + i)) & 0xFFFFFFFF, i == 0)
        for i in range(300)
    ]
    assert skipped == 0


@given(st.integers(0))
def test_what_the_network_loses_doubles_and_delays_keeps_its_place(seed: int) -> None:
    """A jitter buffer mends it; each packet is sent once, and what nothing fills is counted."""
    chance = Random(seed)
    first, *others = speech(150)
    arriving = [each for each in others if chance.random() > 0.1]
    arriving += [each for each in arriving if chance.random() < 0.1]
    arriving.sort(key=lambda each: each.sequence + 20 * chance.random())
    sent, _, skipped = passed([first, *arriving])
    numbers = [result[1] for result in sent if result is not None]
    assert sorted(numbers) == sorted(
        {71 + each.sequence - first.sequence for each in arriving} | {71}
    )
    assert max(numbers) - 70 - len(numbers) == skipped
    for packet, result in zip([first, *arriving], sent, strict=True):
        if result is not None:
            assert result[2] - result[1] * SPAN == packet.timestamp - packet.sequence * SPAN - 2400


def test_a_source_that_begins_anew_is_the_same_stream_to_the_far_end() -> None:
    """Another SSRC, after 200 ms of silence: the numbers go on, the timestamps have gone on."""
    before, after = speech(2), [replace(each, ssrc=1) for each in speech(2, 900, 77, 1240)]
    sent, _, _ = passed(before + after)
    assert sent == [
        (OURS, 71, 9160, True),
        (OURS, 72, 9320, False),
        (OURS, 73, 9320 + 10 * SPAN, True),
        (OURS, 74, 9320 + 11 * SPAN, False),
    ]


def test_a_jump_of_the_sequence_or_of_the_timestamp_is_a_new_beginning() -> None:
    jumps = [*speech(1), Packet(20000, 1160, 1040), Packet(20001, 2**31, 1060)]
    sent, _, _ = passed(jumps)
    assert [result and result[1:] for result in sent] == [
        (71, 9160, True),
        (72, 9320, True),
        (73, 9480, True),
    ]


def test_a_key_keeps_its_one_timestamp() -> None:
    """RFC 4733 section 2.3: all its packets say when it began; audio goes on behind it."""
    key = [Packet(6 + i, 1160, 1040 + 20 * i, marker=i == 0) for i in range(10)]
    sent, _, _ = passed([*speech(1), *key, Packet(16, 1160 + 10 * SPAN, 1240)])
    assert [result and result[2] for result in sent] == [9160, *[9320] * 10, 9320 + 10 * SPAN]
    assert [result and result[3] for result in sent[1:]] == [True, *[False] * 10]


def test_silence_within_a_stream_is_no_loss() -> None:
    """RFC 3550 section 4: the timestamps of a source that was silent have gone on."""
    sent, _, skipped = passed([*speech(1), Packet(6, 1000 + 100 * SPAN, 3020, marker=True)])
    assert sent[1] == (OURS, 72, 9160 + 100 * SPAN, True)
    assert skipped == 0


def test_the_gateway_goes_on_where_the_source_stopped() -> None:
    """Its next packet adds one span itself."""
    _, on_time, _ = passed(speech(3), end_ms=1075)
    _, later, _ = passed(speech(3), end_ms=1560)
    assert (on_time, later) == (9480, 9480 + 24 * SPAN)
