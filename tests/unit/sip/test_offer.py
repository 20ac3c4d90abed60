"""The second offer: narrower than the first, once, and by what the peer says (RFC 3261 21.4.26)."""

from __future__ import annotations

from typing import Any

import pytest

from config.trunks import Trunk
from sip.message import Message
from sip.offer import Offer

OPUS_AND_A_LAW = """v=0
o=- 1 1 IN IP4 10.0.0.9
s=-
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 PCMU/8000
m=audio 0 RTP/AVP 8 111 101
a=rtpmap:111 Opus/48000/2
a=rtpmap:101 telephone-event/8000
a=ptime:40
"""


def first(**trunk: Any) -> Offer:
    return Offer.first(Trunk.model_validate({"sources": ["10.0.0.0/24"], **trunk}))


def refusal(code: int = 488, body: str = "") -> Message:
    return Message(f"SIP/2.0 {code} No\r\nCSeq: 1 INVITE\r\n\r\n" + body.replace("\n", "\r\n"))


def second(code: int = 488, body: str = "", **trunk: Any) -> str | None:
    narrow = first(**trunk).after(refusal(code, body))
    return None if narrow is None else str(narrow)


@pytest.mark.parametrize("code", [488, 606])
@pytest.mark.parametrize(
    "trunk",
    [
        {"codecs": ["opus", "G722", "PCMA", "PCMU"]},
        {"ptime": 40},
        {"srtp": {"use": "optional"}},
    ],
    ids=["other codecs", "longer packets", "keys"],
)
def test_g711_follows_whatever_is_more(code: int, trunk: dict[str, Any]) -> None:
    assert second(code, **trunk) == "PCMA PCMU, 20 ms"


@pytest.mark.parametrize(
    "trunk",
    [
        {},
        {"codecs": ["PCMU"]},
        {"codecs": ["opus", "G722"]},
        {"codecs": ["opus", "PCMU"], "fallback_codecs": []},
        {"codecs": ["opus", "PCMU"], "fallback_codecs": ["PCMU", "opus"]},
    ],
    ids=["G.711 before", "less before", "no G.711", "switched off", "the same"],
)
def test_nothing_follows_where_nothing_else_is_left(trunk: dict[str, Any]) -> None:
    assert second(**trunk) is None


@pytest.mark.parametrize("code", [302, 415, 480, 486, 503, 600, 603])
def test_nothing_follows_another_answer(code: int) -> None:
    assert second(code, codecs=["opus", "PCMU"]) is None


def test_the_trunk_may_say_what_follows() -> None:
    assert second(codecs=["opus", "G722", "PCMU"], fallback_codecs=["G722"]) == "G722, 20 ms"


def test_the_peer_may_say_what_it_takes() -> None:
    told = second(body=OPUS_AND_A_LAW, codecs=["PCMU", "PCMA", "opus"])
    assert told == "PCMA opus, 40 ms"


def test_a_peer_that_takes_nothing_of_the_trunks_is_offered_nothing() -> None:
    assert second(body=OPUS_AND_A_LAW, codecs=["G722", "PCMU"]) is None


def test_srtp_that_is_required_stays() -> None:
    assert second(codecs=["opus", "PCMU"], srtp={"use": "required"}) == "PCMU, 20 ms, SRTP"
    assert second(srtp={"use": "required"}) is None


def test_srtp_that_is_optional_follows_what_the_peer_says() -> None:
    encrypted = OPUS_AND_A_LAW.replace("m=audio 0 RTP/AVP", "m=audio 0 RTP/SAVP")
    assert second(body=encrypted, srtp={"use": "optional"}) == "PCMA, 40 ms, SRTP"
    assert second(body=OPUS_AND_A_LAW, srtp={"use": "optional"}) == "PCMA, 40 ms"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\r\n",
        "m=",
        "m=audio",
        "m=audio 0 RTP/AVP",
        "m=image 0 udptl t38",
        "<xml/>",
        "m=audio x",
    ],
)
def test_a_body_that_tells_nothing_is_none(body: str) -> None:
    assert second(body=body, codecs=["opus", "PCMU"]) == "PCMU, 20 ms"


def test_there_is_no_third() -> None:
    narrow = first(codecs=["opus", "PCMA", "PCMU"]).after(refusal())
    assert narrow is not None
    assert narrow.after(refusal(body=OPUS_AND_A_LAW)) is None
