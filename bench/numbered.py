"""Audio that carries a number in every frame, so that each can be followed through the gateway.

A frame's 160 samples are 16 blocks of 10 equal samples; the sign of each block is one bit: 12 of
the frame's number, 4 of a checksum. Signs survive mu-law both ways. What comes out of PJSIP need
not begin where a frame began: its loss concealment delays by 5 ms (PJMEDIA_WSOLA_DELAY_MSEC), and a
jitter buffer that shrinks takes out any number of samples. So a reader looks for the beginning.
Numbers start anew after 4096 frames: 82 seconds.
"""

from __future__ import annotations

NUMBERS = 4096
SAMPLES = 160
_BLOCK = 10
_MIDDLE = 5
_LOUD = {0: 0x0F, 1: 0x8F}
"""Mu-law bytes of about -16 800 and +16 800."""

_MULAW_SIGNS = bytes(ord("1" if value & 0x80 else "0") for value in range(256))
_PCM_SIGNS = bytes(ord("0" if value & 0x80 else "1") for value in range(256))

_USUAL = (SAMPLES, 40)
"""Where a frame begins in two received ones: untouched, or delayed by 5 ms."""

_NEAR = 25
"""Frames that may be missing where a reader finds its place again: half a second."""


def mulaw_frame(number: int) -> bytes:
    """The RTP payload of 20 ms that carries `number`."""
    bits = f"{number % NUMBERS:012b}{_checksum(number % NUMBERS):04b}"
    return b"".join(bytes([_LOUD[int(bit)]]) * _BLOCK for bit in bits)


def numbers_of_mulaw(payload: bytes) -> list[int]:
    """Every number in audio that is there as a whole, in its order, some of them twice; see
    `_scan`."""
    return _scan(payload.translate(_MULAW_SIGNS))


def numbers_of_pcm(samples: bytes) -> list[int]:
    """The same, of PCM16."""
    return _scan(samples[1::2].translate(_PCM_SIGNS))


def _scan(signs: bytes) -> list[int]:
    """The numbers of frames that stand before or behind their neighbour, wherever they begin."""
    found: dict[int, int] = {}
    for begin in range(0, len(signs) - SAMPLES + 1, _MIDDLE):
        number = _number(signs, begin)
        if number is not None:
            found[begin] = number
    return [
        number
        for begin, number in found.items()
        if found.get(begin - SAMPLES) == (number - 1) % NUMBERS
        or found.get(begin + SAMPLES) == (number + 1) % NUMBERS
    ]


class Reader:
    """Reads one call's numbers from received audio, 20 ms at a time."""

    def __init__(self) -> None:
        self._before = bytes(SAMPLES)
        self._time_before = 0.0
        self._begin = 0
        """Of the frame, in the reception before and this one put together."""
        self._last: int | None = None
        """The number read last; None: the place is not known."""
        self._missed = 0

    def mulaw(self, payload: bytes, now: float) -> tuple[int, float] | None:
        """Take an RTP payload; see `_take`."""
        return self._take(payload.translate(_MULAW_SIGNS), now)

    def pcm(self, frame: bytes, now: float) -> tuple[int, float] | None:
        """Take 20 ms of PCM16; see `_take`."""
        return self._take(frame[1::2].translate(_PCM_SIGNS), now)

    def _take(self, signs: bytes, now: float) -> tuple[int, float] | None:
        """The number that is complete now, and when the middle of its frame came."""
        both, time_before = self._before + signs, self._time_before
        self._before, self._time_before = signs, now
        number = self._next(both, self._begin) if self._last is not None else None
        if number is None:
            number = self._search(both)
        if number is None:
            self._missed += 1
            if self._missed > _NEAR:
                self._last = None
            return None
        self._missed = 0
        self._last = number
        return number, time_before if self._begin < SAMPLES // 2 else now

    def _search(self, both: bytes) -> int | None:
        for begin in _USUAL if self._last is None else _places(both):
            number = self._next(both, begin)
            if number is not None:
                self._begin = begin
                return number
        return None

    def _next(self, both: bytes, begin: int) -> int | None:
        """The number at this place, if it may follow the last one."""
        number = _number(both, begin)
        if number is None or self._last is None:
            return number
        return number if 0 < (number - self._last) % NUMBERS <= _NEAR else None


def _places(both: bytes) -> range:
    """Where a frame may begin: blocks begin where a sign changes."""
    changes = [at for at in (both.find(b"01", SAMPLES), both.find(b"10", SAMPLES)) if at >= 0]
    return (
        range((min(changes) + 1) % _BLOCK or _BLOCK, SAMPLES + 1, _BLOCK) if changes else range(0)
    )


def _number(signs: bytes, begin: int) -> int | None:
    """What the frame that begins here carries, if one does."""
    blocks = signs[begin + _MIDDLE : begin + SAMPLES : _BLOCK]
    if len(blocks) != SAMPLES // _BLOCK or 0 in blocks:  # nothing was received there yet
        return None
    bits = int(blocks, 2)
    return bits >> 4 if bits & 0xF == _checksum(bits >> 4) else None


def _checksum(number: int) -> int:
    # With these factors silence, whose signs are all equal, is no frame.
    return (number + 3 * (number >> 4) + (number >> 8) + 1) & 0xF
