"""A hostile peer in the middle of a conversation: packets beside the audio that it sends."""

from __future__ import annotations

import struct
from random import Random

from tests.fuzz.mutations import DATAGRAM, mutated

BEGINS, LASTS = 1, 2000
"""Sequence numbers: of the first packet that a peer of ours sends, and after so many rounds."""

QUIET = b"\xff"
"""G.711 µ-law."""

SENDER_REPORT, RECEIVER_REPORT, DESCRIPTION, GOODBYE, OTHER, FEEDBACK, EXTENDED = (
    *(200, 201, 202, 203, 204),
    *(205, 207),
)
"""Packet types of RTCP (RFC 3550 section 12.1, RFC 4585 section 6.1, RFC 3611 section 2)."""


def thrown(ssrc: int, events: int, rng: Random) -> bytes:
    """What is sent to an RTP port: audio, keys, comfort noise and what is none of them.

    Half of it is well-formed, and has no business to be there: it comes from the party's own source
    or from a new one, with any number.

    Args:
        ssrc: of the party.
        events: the payload type of telephone-event.
        rng: chooses.
    """
    kind = rng.choice((0, 0, 8, 13, events, events, rng.randrange(128)))
    if kind == events:
        key, end = rng.choice((*range(17), 255)), rng.choice((0, 0x80, 0x40))
        payload = struct.pack("!BBH", key, end | 10, rng.choice((0, 160, 800, 65535)))
        payload *= rng.choice((1, 1, 1, 0, 3))
    else:
        payload = QUIET * rng.choice((0, 1, 80, 160, 160, 160, 320, 1400, 1500))
    near = rng.randrange(BEGINS, LASTS)
    sequence = rng.choice((near, near, 0, 65535, rng.randrange(65536)))
    timestamp = rng.choice((160 * near, 160 * near, 0, 2**32 - 1, rng.randrange(2**32)))
    source = rng.choice((ssrc, ssrc, ssrc, 0, rng.randrange(2**32)))
    marker = rng.choice((0, 0x80))
    head = struct.pack("!BBHII", 0x80, marker | kind, sequence, timestamp, source)
    return rng.choice((head + payload, mutated(head + payload, rng)))


def reported(ssrc: int, rng: Random) -> bytes:
    """What is sent to an RTCP port, likewise: reports, goodbyes, feedback, one behind the other."""
    return b"".join(_report(ssrc, rng) for _ in range(rng.choice((1, 1, 2, 4))))[:DATAGRAM]


def _report(ssrc: int, rng: Random) -> bytes:
    kind = rng.choice(
        (
            *(SENDER_REPORT, RECEIVER_REPORT, DESCRIPTION, GOODBYE, OTHER, FEEDBACK, EXTENDED),
            rng.randrange(256),
        )
    )
    body = b"".join(
        struct.pack("!I", rng.choice((0, ssrc, 2**32 - 1, rng.randrange(2**32))))
        for _ in range(rng.choice((0, 1, 6, 7, 13, 32)))
    )
    source = struct.pack("!I", rng.choice((ssrc, ssrc, rng.randrange(2**32))))
    length = rng.choice(((len(body) + 4) // 4,) * 3 + (0, 65535))
    head = struct.pack("!BBH", 0x80 | rng.choice((0, 1, 1, 31)), kind, length)
    packet = head + source + body
    return rng.choice((packet, mutated(packet, rng)))
