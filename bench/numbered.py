"""Audio frames that carry a number, so that each can be followed through the gateway.

A frame's 160 samples are 16 blocks of 10 equal samples; the sign of each block is one bit: 12 of
the frame's number, 4 of a checksum. Signs survive mu-law both ways, and the checksum tells a frame
that was cut or mixed. Numbers start anew after 4096 frames: 82 seconds.

PJSIP's loss concealment delays audio by 5 ms (PJMEDIA_WSOLA_DELAY_MSEC): 4 blocks. A frame that
comes out of it holds the end of the frame before, which is its checksum, and then its own number.
"""

from __future__ import annotations

NUMBERS = 4096
SAMPLES = 160
_BLOCK = 10
_MIDDLE = 5
_LOUD = {0: 0x0F, 1: 0x8F}
"""Mu-law bytes of about -8000 and +8000."""
_BITS = bytes(ord("1" if value & 0x80 else "0") for value in range(256))


def mulaw_frame(number: int) -> bytes:
    """The RTP payload of 20 ms that carries `number`."""
    bits = f"{number % NUMBERS:012b}{_checksum(number % NUMBERS):04b}"
    return b"".join(bytes([_LOUD[int(bit)]]) * _BLOCK for bit in bits)


def number_in_mulaw(payload: bytes) -> int | None:
    """The number in an RTP payload; None: silence, or a damaged frame."""
    return _number(int(payload[_MIDDLE::_BLOCK].translate(_BITS), 2), len(payload) == SAMPLES)


def number_in_pcm(frame: bytes) -> int | None:
    """The number in 20 ms of PCM16."""
    signs = frame[2 * _MIDDLE + 1 :: 2 * _BLOCK].translate(_BITS)
    # In PCM16 the high bit says negative, in mu-law it says positive.
    return _number(int(signs, 2) ^ 0xFFFF, len(frame) == 2 * SAMPLES)


def _number(bits: int, whole: bool) -> int | None:
    if not whole:
        return None
    number, checksum = bits >> 4, bits & 0xF
    if checksum == _checksum(number):
        return number
    checksum, number = bits >> 12, bits & 0xFFF
    return number if checksum == _checksum((number - 1) % NUMBERS) else None


def _checksum(number: int) -> int:
    # Found by trying: with these factors no frame reads as another one in the other alignment, and
    # silence, whose signs are all equal, reads as none.
    return (number + 3 * (number >> 4) + (number >> 8) + 1) & 0xF
