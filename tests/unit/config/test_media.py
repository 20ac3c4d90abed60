"""A trunk's codecs, packet time and jitter buffer, as they are written and as they are used."""

from __future__ import annotations

from config.media import Codec, JitterBuffer
from config.trunks import Trunk
from sip.codecs import codec_row, spoken


def trunk(**settings: object) -> Trunk:
    return Trunk.model_validate({"sources": ["10.0.0.0/24"], **settings})


def test_codecs_keep_their_order_and_may_be_written_in_either_case() -> None:
    configured = trunk(codecs=["OPUS", "G.722", "pcmu"])
    assert configured.codecs == [Codec.OPUS, Codec.G722, Codec.PCMU]


def test_without_a_word_a_trunk_speaks_g711_in_packets_of_20_ms() -> None:
    assert codec_row(3, trunk()) == (3, "PCMA PCMU", 20, 10, 400)
    assert codec_row(0, None) == (0, "PCMA PCMU", 20, 10, 400)


def test_a_trunks_row_says_it_all() -> None:
    configured = trunk(codecs=["opus", "PCMU"], ptime=40, jitter_buffer={"min": 40, "max": 100})
    assert codec_row(1, configured) == (1, "opus PCMU", 40, 40, 100)


def test_a_fixed_jitter_buffer_has_one_delay() -> None:
    assert JitterBuffer(fixed=80).bounds == (80, 80)


def test_direct_calls_speak_g711_whatever_the_trunks_speak() -> None:
    assert spoken({"a": trunk(codecs=["opus"])}) == {Codec.OPUS, Codec.PCMA, Codec.PCMU}
