"""Small harm to a message: a mutator takes bytes and gives bytes, chosen by a seeded generator."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Mutator = Callable[[bytes, Random], bytes]

MAX_MUTATIONS = 4

NASTY_NUMBERS = (
    b"0",
    b"-1",
    b"4294967295",
    b"4294967296",
    b"18446744073709551616",
    b"9" * 200,
    b"1e9",
    b"0x10",
)
NASTY_TEXTS = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"%00",
    b"%s%n",
    b'"',
    b"<",
    b">",
    b";;;",
    b",,,",
    b"@",
    b":",
    b"\\",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" " * 64,
    b"\t",
    b"A" * 300,
    b"A" * 5000,
    b"(" * 200,
    b";tag=" * 40,
    b"sip:" * 40,
    b"\xe2\x82\xac",
)
DIGITS = frozenset(b"0123456789")


def flip_bits(message: bytes, rng: Random) -> bytes:
    """A few bytes with one bit turned."""
    out = bytearray(message)
    for _ in range(rng.randint(1, 8)):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def cut_off(message: bytes, rng: Random) -> bytes:
    """The end is missing."""
    return message[: rng.randrange(len(message))]


def drop_line(message: bytes, rng: Random) -> bytes:
    """A line is missing."""
    lines = message.split(b"\r\n")
    del lines[rng.randrange(len(lines))]
    return b"\r\n".join(lines)


def repeat_line(message: bytes, rng: Random) -> bytes:
    """A line stands there many times."""
    lines = message.split(b"\r\n")
    at = rng.randrange(len(lines))
    return b"\r\n".join([*lines[:at], *[lines[at]] * rng.choice((2, 3, 40)), *lines[at:]])


def swap_lines(message: bytes, rng: Random) -> bytes:
    """Two lines change places."""
    lines = message.split(b"\r\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def insert_text(message: bytes, rng: Random) -> bytes:
    """Something nasty in the middle."""
    at = rng.randrange(len(message))
    return message[:at] + rng.choice(NASTY_TEXTS) + message[at:]


def replace_number(message: bytes, rng: Random) -> bytes:
    """A number becomes a nasty one."""
    starts = [
        at
        for at in range(len(message))
        if message[at] in DIGITS and (at == 0 or message[at - 1] not in DIGITS)
    ]
    if not starts:
        return message
    start = rng.choice(starts)
    end = start
    while end < len(message) and message[end] in DIGITS:
        end += 1
    return message[:start] + rng.choice(NASTY_NUMBERS) + message[end:]


def replace_token(message: bytes, rng: Random) -> bytes:
    """A word becomes something nasty."""
    words = message.split(b" ")
    words[rng.randrange(len(words))] = rng.choice(NASTY_TEXTS)
    return b" ".join(words)


def fold_line(message: bytes, rng: Random) -> bytes:
    """A header goes on in the next line (RFC 3261 section 7.3.1)."""
    at = rng.randrange(len(message))
    return message[:at] + b"\r\n " + message[at:]


def repeat_block(message: bytes, rng: Random) -> bytes:
    """A part stands there again and again."""
    start = rng.randrange(len(message))
    block = message[start : start + rng.randint(1, 60)]
    return message[:start] + block * rng.choice((2, 10, 100)) + message[start:]


MUTATORS: tuple[Mutator, ...] = (
    flip_bits,
    cut_off,
    drop_line,
    repeat_line,
    swap_lines,
    insert_text,
    replace_number,
    replace_token,
    fold_line,
    repeat_block,
)

DATAGRAM = 60_000
"""Bytes that fit into one, with some reserve."""


def mutated(message: bytes, rng: Random) -> bytes:
    """The message after one to four mutations; never empty, never longer than a datagram."""
    for _ in range(rng.randint(1, MAX_MUTATIONS)):
        message = rng.choice(MUTATORS)(message, rng) or message
    return message[:DATAGRAM]
