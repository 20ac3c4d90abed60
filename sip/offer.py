"""What an INVITE of ours offers, and what the next one does after a 488 or 606.

RFC 3261 sections 21.4.26 and 21.6.4. Nothing of the offer may be wrong but its length: border
controllers refuse one that names Opus or G.722, packets of 40 ms, or SRTP keys beside plain RTP,
and take the plain one that follows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from config.media import DEFAULT_CODECS, DEFAULT_PTIME, Codec
from config.tls import Srtp
from config.trunks import Trunk
from sip.message import Message

REFUSALS = frozenset({488, 606})

_STATIC = {"0": Codec.PCMU, "8": Codec.PCMA, "9": Codec.G722}
"""Payload types that need no rtpmap (RFC 3551 section 6)."""

_NAMED = {codec.lower(): codec for codec in Codec}


class Keys(StrEnum):
    """Whether an offer carries SRTP keys (RFC 4568)."""

    NEVER = "never"
    BESIDE = "beside"
    """The profile is plain RTP; a peer that can takes the keys."""
    ALWAYS = "always"
    """The profile is SRTP."""


_USE = {"off": Keys.NEVER, "optional": Keys.BESIDE, "required": Keys.ALWAYS}


@dataclass(frozen=True, slots=True)
class Offer:
    """The audio that one INVITE offers."""

    codecs: tuple[Codec, ...]
    ptime: int
    """Milliseconds."""
    keys: Keys
    speaks: Collection[Codec] = field(default=(), compare=False)
    """What the trunk may speak at all."""
    fallback: tuple[Codec, ...] = field(default=(), compare=False)
    """What is offered to a peer that refuses and does not say what it takes."""
    again: bool = field(default=False, compare=False)
    """It is the second one."""

    @classmethod
    def first(cls, trunk: Trunk | None) -> Offer:
        """What every call over a trunk begins with; None: over none."""
        if trunk is None:
            return cls(DEFAULT_CODECS, DEFAULT_PTIME, _USE[Srtp().use], DEFAULT_CODECS)
        return cls(
            tuple(trunk.codecs),
            trunk.ptime,
            _USE[trunk.srtp.use],
            trunk.codecs,
            tuple(trunk.codecs_when_refused),
        )

    def after(self, refusal: Message) -> Offer | None:
        """What to offer after a final response; None: nothing else, and its status stands."""
        if self.again or refusal.status not in REFUSALS:
            return None
        told = _Taken.of(refusal.body)
        if told is None:
            codecs, ptime, encrypted = self.fallback, DEFAULT_PTIME, False
        else:
            codecs = tuple(codec for codec in self.speaks if codec in told.codecs)
            ptime, encrypted = told.ptime, told.encrypted
        keys = self.keys
        if keys is Keys.BESIDE:
            keys = Keys.ALWAYS if encrypted else Keys.NEVER
        narrow = Offer(codecs, ptime, keys, again=True)
        return narrow if codecs and narrow._differs_from(self) else None

    def _differs_from(self, other: Offer) -> bool:
        """In more than the order of the codecs."""
        mine, theirs = set(self.codecs), set(other.codecs)
        return (mine, self.ptime, self.keys) != (theirs, other.ptime, other.keys)

    def __str__(self) -> str:
        """For people: `PCMA PCMU, 20 ms`."""
        encrypted = ", SRTP" if self.keys is Keys.ALWAYS else ""
        return f"{' '.join(self.codecs)}, {self.ptime} ms{encrypted}"


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a refusal's body says that its sender takes (RFC 3261 section 13.3.1.3)."""

    codecs: frozenset[Codec]
    ptime: int
    encrypted: bool

    @classmethod
    def of(cls, body: str) -> _Taken | None:
        """None: it tells of no audio."""
        lines = [line.strip() for line in body.splitlines()]
        starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
        for start, end in pairwise([*starts, len(lines)]):
            words = lines[start].removeprefix("m=").split()
            if words[:1] == ["audio"] and len(words) > 3:
                return cls._audio(words[2], words[3:], lines[start + 1 : end])
        return None

    @classmethod
    def _audio(cls, profile: str, formats: list[str], lines: list[str]) -> _Taken:
        known = dict(_STATIC)
        ptime = DEFAULT_PTIME
        for line in lines:
            name, _, value = line.removeprefix("a=").partition(":")
            if name == "rtpmap":
                number, _, encoding = value.partition(" ")
                codec = _NAMED.get(encoding.partition("/")[0].strip().lower())
                known.pop(number, None)
                if codec is not None:
                    known[number] = codec
            elif name == "ptime" and value in _PTIMES:
                ptime = int(value)
        codecs = frozenset(known[each] for each in formats if each in known)
        return cls(codecs, ptime, profile.startswith("RTP/SAVP"))


_PTIMES = {str(ms) for ms in range(10, 70, 10)}
