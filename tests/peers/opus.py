"""Opus by hand: what a telephone with a good microphone sends (RFC 7587)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from sip.audio import Pcm

CLOCK = 48000
"""Hz, of its RTP timestamps and of what is encoded here."""

FRAME = 960
"""Samples in 20 ms."""

_VOIP = 2048
"""OPUS_APPLICATION_VOIP."""

_MAX_PACKET = 1275


def packets(pcm: Pcm) -> Iterator[bytes]:
    """Encode samples of 48 kHz, 20 ms in each packet."""
    library = ctypes.CDLL("libopus.so.0")
    library.opus_encoder_create.restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(library.opus_encoder_create(CLOCK, 1, _VOIP, None))
    packet = ctypes.create_string_buffer(_MAX_PACKET)
    for start in range(0, len(pcm.samples) - 2 * FRAME + 1, 2 * FRAME):
        frame = pcm.samples[start : start + 2 * FRAME]
        length = library.opus_encode(encoder, frame, FRAME, packet, _MAX_PACKET)
        yield packet.raw[:length]
    library.opus_encoder_destroy(encoder)
