"""Which codecs each account speaks, and how: the table of sip/native/codecs.c."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from config.media import DEFAULT_CODECS, DEFAULT_PTIME, Codec, JitterBuffer
from config.trunks import Trunk
from sip.offer import Keys, Offer

Row = tuple[int, str, int, int, int]
"""Account, codecs with spaces between, packet time, least and greatest delay in milliseconds."""


def spoken(trunks: Mapping[str, Trunk]) -> set[Codec]:
    """Every codec that is needed, those of calls without a trunk included."""
    return {*DEFAULT_CODECS, *(codec for trunk in trunks.values() for codec in trunk.codecs)}


def codec_row(account: int, trunk: Trunk | None) -> Row:
    """The row of a trunk's account, or, without one, of that for URIs that are dialled directly."""
    if trunk is None:
        return _row(account, DEFAULT_CODECS, DEFAULT_PTIME, JitterBuffer())
    return _row(account, trunk.codecs, trunk.ptime, trunk.jitter_buffer)


def offered(offer: Offer) -> tuple[str, int, int]:
    """Codecs, packet time and keys (enum sh_keys) of an offer, for `native.call_offer`."""
    return " ".join(offer.codecs), offer.ptime, [*Keys].index(offer.keys)


def _row(account: int, codecs: Collection[Codec], ptime: int, jitter: JitterBuffer) -> Row:
    return account, " ".join(codecs), ptime, *jitter.bounds
