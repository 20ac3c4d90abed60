"""The bench follows frames by their numbers, wherever PJSIP has cut the audio."""

from __future__ import annotations

import pytest

from bench.numbered import NUMBERS, SAMPLES, Reader, mulaw_frame, numbers_of_mulaw


def _read(stream: bytes) -> list[int]:
    reader = Reader()
    frames = (stream[at : at + SAMPLES] for at in range(0, len(stream) - SAMPLES + 1, SAMPLES))
    found = (reader.mulaw(frame, now) for now, frame in enumerate(frames))
    return [number for number, _ in filter(None, found)]


def _stream(first: int, count: int) -> bytes:
    return b"".join(mulaw_frame(number) for number in range(first, first + count))


def test_untouched_frames_are_read_each_when_it_comes() -> None:
    reader = Reader()
    assert [reader.mulaw(mulaw_frame(n), n) for n in range(5)] == [(n, n) for n in range(5)]


@pytest.mark.parametrize("first", [0, 1234, NUMBERS - 50])
def test_a_delay_of_five_milliseconds_loses_nothing(first: int) -> None:
    shifted = _stream(first, 101)[SAMPLES - 40 :]
    wanted = [n % NUMBERS for n in range(first + 1, first + 100)]
    assert [n for n in _read(shifted) if n in wanted] == wanted


@pytest.mark.parametrize("cut", [1, 33, 80, 159])
def test_it_finds_its_place_again_after_samples_were_taken_out(cut: int) -> None:
    stream = _stream(0, 20)[:-cut] + _stream(20, 30)
    assert [n for n in _read(stream) if 24 <= n < 49] == [*range(24, 49)]


def test_silence_has_no_numbers() -> None:
    for silence in (0x7F, 0xFF):
        assert _read(bytes([silence]) * SAMPLES * 20) == []


def test_a_whole_recording_is_read_around_what_is_missing_in_it() -> None:
    silence = b"\xff" * 30
    recording = silence + _stream(7, 4) + silence + _stream(NUMBERS - 2, 4)
    wanted = [7, 8, 9, 10, NUMBERS - 2, NUMBERS - 1, 0, 1]
    assert [*dict.fromkeys(numbers_of_mulaw(recording))] == wanted
