"""Frame pump and players on the real conference bridge: what goes in comes out, to the sample."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from config.media import Samples
from sip.audio import Pcm
from sip.engine import Engine
from sip.errors import CallEnded, MediaError
from sip.frame_pump import AudioPort
from sip.leg_audio import LegAudio
from sip.pjsip import native
from sip.players import Player

LIMIT = 10.0
"""Seconds after which a test gives up waiting for the bridge."""


def ramp(samples: int) -> bytes:
    """Samples that all differ from their neighbours, and from silence."""
    return (np.arange(samples, dtype=np.int64) * 7919 % 30_000 + 1000).astype("<i2").tobytes()


class Ear:
    """Listens at a port."""

    def __init__(self, port: AudioPort) -> None:
        self.heard = bytearray()
        self._news = asyncio.Event()
        port.sink = self._take

    def _take(self, frame: memoryview) -> None:
        self.heard += frame
        self._news.set()

    async def wait_for(self, wanted: bytes) -> None:
        await self._until(lambda: wanted in bytes(self.heard))

    async def wait_for_bytes(self, count: int) -> None:
        await self._until(lambda: len(self.heard) >= count)

    async def _until(self, satisfied: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not satisfied():
                self._news.clear()
                await self._news.wait()


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
async def test_audio_of_any_length_arrives_whole_and_in_frames_of_20_ms(
    engine: Engine, rate: int
) -> None:
    speaker, listener = engine.pump.open(rate), engine.pump.open(rate)
    ear = Ear(listener)
    native.connect(speaker.slot, listener.slot)
    spoken = ramp(rate // 4 * 2 // 2)
    for at in range(0, len(spoken), 330):
        assert speaker.write(spoken[at : at + 330]) == 0
    if rate == 8000:  # the bridge's own rate: nothing is resampled
        await ear.wait_for(spoken)
    else:
        await ear.wait_for_bytes(len(spoken))
    assert len(ear.heard) % listener.frame_bytes == 0
    assert speaker.counters.tx_bytes == len(spoken)
    assert listener.counters.rx_dropped == 0
    speaker.close()
    listener.close()


@pytest.mark.parametrize("samples", [Samples.PCMU, Samples.PCMA])
async def test_g711_crosses_the_bridge_code_for_code(engine: Engine, samples: Samples) -> None:
    """But for mu-law's negative zero, which is one sample with the positive one."""
    speaker, listener = engine.pump.open(8000, samples), engine.pump.open(8000, samples)
    ear = Ear(listener)
    native.connect(speaker.slot, listener.slot)
    spoken = bytes(code for code in range(256) if code != 0x7F or samples is Samples.PCMA) * 5
    speaker.write(spoken)
    await ear.wait_for(spoken)
    assert listener.frame_bytes == 160
    speaker.close()
    listener.close()


@pytest.mark.parametrize(("rate", "samples"), [(16000, Samples.PCMU), (11025, Samples.PCM16)])
def test_a_rate_that_the_format_lacks_is_refused(
    engine: Engine, rate: int, samples: Samples
) -> None:
    with pytest.raises(MediaError, match="opening bot audio"):
        engine.pump.open(rate, samples)


async def test_the_most_that_ever_waited_is_kept(engine: Engine) -> None:
    speaker, listener = engine.pump.open(8000), engine.pump.open(8000)
    ear = Ear(listener)
    native.connect(speaker.slot, listener.slot)
    spoken = ramp(8000)
    speaker.write(spoken)
    await ear.wait_for(spoken)
    speaker.write(ramp(160))
    assert speaker.counters.tx_high_bytes == len(spoken)
    assert 1 <= listener.counters.rx_high_frames <= 100
    speaker.close()
    listener.close()
    assert engine.pump.counters.tx_high_bytes == len(spoken)


async def test_a_mark_is_reported_when_its_audio_was_played_and_not_before(engine: Engine) -> None:
    speaker, listener = engine.pump.open(8000), engine.pump.open(8000)
    ear = Ear(listener)
    native.connect(speaker.slot, listener.slot)
    reached = asyncio.Event()
    heard_at_mark = 0

    def on_mark(name: str, played: bool) -> None:
        nonlocal heard_at_mark
        assert (name, played) == ("end", True)
        heard_at_mark = len(speaker_played := bytes(ear.heard))
        assert spoken[:-320] in speaker_played
        reached.set()

    spoken = ramp(8000)
    speaker.on_mark = on_mark
    speaker.write(spoken)
    speaker.mark("end")
    async with asyncio.timeout(LIMIT):
        await reached.wait()
    assert heard_at_mark >= len(spoken) - 320
    speaker.close()
    listener.close()


async def test_more_than_the_ring_holds_waits_in_the_backlog_and_is_played_whole(
    engine: Engine,
) -> None:
    speaker, listener = engine.pump.open(8000), engine.pump.open(8000)
    ear = Ear(listener)
    native.connect(speaker.slot, listener.slot)
    spoken = ramp(8000 * 3)
    assert speaker.write(spoken) == 0
    assert speaker.queued_seconds == pytest.approx(3, abs=0.05)
    await ear.wait_for(spoken)
    speaker.close()
    listener.close()


async def test_beyond_the_backlog_limit_the_oldest_is_dropped_and_counted(engine: Engine) -> None:
    speaker = engine.pump.open(8000)
    speaker.backlog_limit = 1.0
    ring = speaker.write(ramp(16_000))
    assert ring == 0
    assert speaker.write(ramp(8000)) == 0
    assert speaker.write(b"\x01\x00" * 4000) > 0
    assert speaker.counters.tx_dropped_bytes > 0
    assert speaker.queued_seconds <= 3.1
    speaker.close()


async def test_clear_drops_what_waits_and_reports_its_marks_as_cleared(engine: Engine) -> None:
    speaker, listener = engine.pump.open(8000), engine.pump.open(8000)
    ear = Ear(listener)
    native.connect(speaker.slot, listener.slot)
    marks: list[tuple[str, bool]] = []
    speaker.on_mark = lambda name, played: marks.append((name, played))
    speaker.write(ramp(16_000))
    speaker.mark("one")
    speaker.clear()
    assert marks == [("one", False)]
    after = b"\x39\x30" * 800
    speaker.write(after)
    await ear.wait_for(after)
    assert ramp(16_000)[-3200:] not in bytes(ear.heard)
    speaker.close()
    listener.close()


async def test_a_closed_port_gives_its_slot_back_and_keeps_its_counters(engine: Engine) -> None:
    port = engine.pump.open(8000)
    port.write(ramp(160))
    port.close()
    port.close()
    assert port.write(ramp(160)) == 0
    assert port.counters.tx_bytes == 320
    assert engine.pump.open_ports == 0
    assert engine.pump.counters.tx_bytes == 320


def test_half_a_sample_is_refused(engine: Engine) -> None:
    port = engine.pump.open(8000)
    with pytest.raises(ValueError, match="3 bytes are not whole PCM16 samples"):
        port.write(b"abc")
    port.close()


async def test_a_sound_is_played_to_its_end_once(engine: Engine) -> None:
    listener = engine.pump.open(8000)
    ear = Ear(listener)
    player = Player(engine.players, 8000)
    native.connect(player.slot, listener.slot)
    sound = ramp(2000)
    async with asyncio.timeout(LIMIT):
        await player.play(Pcm(sound, 8000))
    await ear.wait_for(sound)
    player.close()
    listener.close()


async def test_a_looped_sound_has_no_gap_where_it_begins_again(engine: Engine) -> None:
    listener = engine.pump.open(8000)
    ear = Ear(listener)
    player = Player(engine.players, 8000)
    native.connect(player.slot, listener.slot)
    sound = ramp(1234)
    player.loop(Pcm(sound, 8000))
    await ear.wait_for(sound * 3)
    player.stop()
    player.close()
    listener.close()


async def test_closing_a_player_ends_the_wait_for_its_sound(engine: Engine) -> None:
    listener = engine.pump.open(8000)
    player = Player(engine.players, 8000)
    native.connect(player.slot, listener.slot)
    end = player.play(Pcm(ramp(80_000), 8000))
    player.close()
    with pytest.raises(CallEnded):
        await end
    listener.close()


def test_audio_at_another_rate_than_the_player_is_refused(engine: Engine) -> None:
    player = Player(engine.players, 8000)
    with pytest.raises(ValueError, match="audio is at 16000 Hz, the player at 8000 Hz"):
        player.play(Pcm(b"", 16000))
    player.close()


async def test_two_sounds_on_one_leg_are_mixed(engine: Engine) -> None:
    listener = engine.pump.open(8000)
    ear = Ear(listener)
    leg = LegAudio(engine.players, engine.pump, engine.pass_through)
    leg.attach(listener.slot)
    low, high = b"\x64\x00" * 8000, b"\xe8\x03" * 8000
    async with asyncio.timeout(LIMIT):
        await asyncio.gather(leg.play(Pcm(low, 8000)), leg.play(Pcm(high, 8000)))
    await ear.wait_for(b"\x4c\x04" * 1600)  # 100 + 1000
    leg.close()
    listener.close()
