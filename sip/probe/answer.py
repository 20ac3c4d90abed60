"""What a peer's answer tells about it: methods, extensions, codecs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sip.message import Message

_RTPMAP = re.compile(r"^a=rtpmap:(\d+)[ \t]+([^\s/]+/\d+)", re.MULTILINE)
_AUDIO = re.compile(r"^m=audio[ \t]+\d+[ \t]+(\S+)[ \t]+([\d \t]+)", re.MULTILINE)
_STATIC = {0: "PCMU/8000", 3: "GSM/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000"}
"""Payload types that need no rtpmap (RFC 3551 section 6)."""


class Told(StrEnum):
    """Whether a peer claims something."""

    YES = "yes"
    NO = "no"
    NOTHING = "not told"


@dataclass(frozen=True, slots=True)
class Capability:
    """Something a peer may be able to do."""

    name: str
    told: Told
    why: str
    """What the gateway would do with it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A final response, read."""

    code: int
    reason: str
    allow: tuple[str, ...]
    supported: tuple[str, ...]
    accept: tuple[str, ...]
    agent: str
    """User-Agent or Server."""
    realm: str
    """Of the challenge, where it asks for credentials."""
    codecs: tuple[str, ...]
    """`PCMA/8000` …, in the peer's order of preference; empty where no SDP came."""
    profile: str
    """`RTP/AVP`, or `RTP/SAVP` for SRTP; empty where no SDP came."""

    def capabilities(self) -> list[Capability]:
        """What matters for transfers."""
        return [
            Capability("REFER", _among("REFER", self.allow), "transfers by `refer` (RFC 3515)"),
            Capability("NOTIFY", _among("NOTIFY", self.allow), "the verdict on a REFER"),
            Capability(
                "Replaces", _among("replaces", self.supported), "attended transfer (RFC 3891)"
            ),
            Capability("UPDATE", _among("UPDATE", self.allow), "session refresh (RFC 3311)"),
            Capability("timer", _among("timer", self.supported), "session timers (RFC 4028)"),
            Capability("PRACK", self._prack(), "reliable ringing, 100rel (RFC 3262)"),
            Capability("INFO", _among("INFO", self.allow), "digits by INFO"),
        ]

    def _prack(self) -> Told:
        told = {_among("PRACK", self.allow), _among("100rel", self.supported)}
        for verdict in (Told.YES, Told.NO):
            if verdict in told:
                return verdict
        return Told.NOTHING


def read(response: Message) -> Answer:
    """A final response to OPTIONS or INVITE."""
    return Answer(
        code=response.status or 0,
        reason=response.reason,
        allow=_list(response, "Allow"),
        supported=_list(response, "Supported"),
        accept=_list(response, "Accept"),
        agent=response.header("Server") or response.header("User-Agent"),
        realm=_realm(response),
        codecs=codecs(response.body),
        profile=(match[1] if (match := _AUDIO.search(response.body)) else ""),
    )


def codecs(sdp: str) -> tuple[str, ...]:
    """The audio codecs of an SDP, in its order; payload types without a name as `type N`."""
    audio = _AUDIO.search(sdp)
    if audio is None:
        return ()
    names = {int(number): name for number, name in _RTPMAP.findall(sdp)}
    types = [int(number) for number in audio[2].split()]
    return tuple(names.get(each, _STATIC.get(each, f"type {each}")) for each in types)


def _among(wanted: str, told: tuple[str, ...]) -> Told:
    if not told:
        return Told.NOTHING
    return Told.YES if wanted.lower() in (each.lower() for each in told) else Told.NO


def _list(message: Message, name: str) -> tuple[str, ...]:
    """Every value of a header that holds a list, whether in one line or several."""
    values = [value for header, value in message.headers if header.lower() == name.lower()]
    return tuple(each.strip() for value in values for each in value.split(",") if each.strip())


def _realm(message: Message) -> str:
    challenge = message.header("WWW-Authenticate") or message.header("Proxy-Authenticate")
    match = re.search(r'realm="([^"]*)"', challenge)
    return match[1] if match else ""
