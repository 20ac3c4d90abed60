"""How a trunk's audio is coded, cut into packets, and freed of jitter."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.errors import InvalidValue
from config.strict import Strict


class Codec(StrEnum):
    """A codec, by its encoding name in SDP."""

    PCMA = "PCMA"
    """G.711 A-law (RFC 3551 section 4.5.14)."""
    PCMU = "PCMU"
    """G.711 mu-law."""
    G722 = "G722"
    """7 kHz of audio in the bits of G.711 (RFC 3551 section 4.5.2)."""
    OPUS = "opus"
    """RFC 7587; sent and asked for at 16 kHz, mono."""

    @property
    def wideband(self) -> bool:
        """Whether it carries more than telephone bandwidth."""
        return self in (Codec.G722, Codec.OPUS)


class Samples(StrEnum):
    """How the samples of a bot's audio are written."""

    PCM16 = "pcm_s16le"
    """Linear, 16 bits, little-endian."""
    PCMU = "pcmu"
    """G.711 mu-law, 8000 a second."""
    PCMA = "pcma"
    """G.711 A-law, 8000 a second."""

    @property
    def width(self) -> int:
        """Bytes of a sample."""
        return 2 if self is Samples.PCM16 else 1


DEFAULT_CODECS = (Codec.PCMA, Codec.PCMU)
"""Spoken by everybody."""

DEFAULT_PTIME = 20
"""Milliseconds of audio in a packet (RFC 3551 section 4.2)."""


def _spelling(name: object) -> object:
    """Codec names are written in either case (RFC 4855 section 3)."""
    known = {codec.lower(): codec.value for codec in Codec}
    known["g.722"] = known["g722"]
    return known.get(name.lower(), name) if isinstance(name, str) else name


def _once(codecs: list[Codec]) -> list[Codec]:
    for codec in codecs:
        if codecs.count(codec) > 1:
            raise InvalidValue(f"names `{codec}` twice", "Keep one of them")
    return codecs


FewerCodecs = Annotated[list[Annotated[Codec, BeforeValidator(_spelling)]], AfterValidator(_once)]
"""Each once, perhaps none."""

Codecs = Annotated[FewerCodecs, Field(min_length=1)]


Milliseconds = Annotated[int, Field(ge=10, le=1000)]


class JitterBuffer(Strict):
    """How long received audio waits, so that packets that come late can still be played."""

    min: Milliseconds = 10
    """Milliseconds it collects at least before it plays, at the beginning and when it ran empty."""
    max: Milliseconds = 400
    """Milliseconds it collects at most, however much the packets' delay changes."""
    fixed: Milliseconds | None = None
    """Milliseconds it always collects, instead of between `min` and `max` as the jitter demands. It
    never cuts to catch up: where the peer's clock is faster than ours, the delay grows by up to 200
    more."""

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and greatest delay in milliseconds."""
        return (self.min, self.max) if self.fixed is None else (self.fixed, self.fixed)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.fixed is not None and self.model_fields_set & {"min", "max"}:
            raise InvalidValue(
                "leaves nothing to `min` and `max`", "Keep either `fixed` or those", at="fixed"
            )
        if self.min > self.max:
            raise InvalidValue("is above `max`", f"Write {self.max} at most", at="min")
        return self
