"""How a trunk wants to be told the context of a call: in which headers, how written, how much."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from config.errors import InvalidValue
from config.headers import check_name
from config.strict import Strict

NOT_SENT = "none"
"""Written in place of a header's name; no header is called so."""


class Part(StrEnum):
    """A part of the packet."""

    RESUME = "resume"
    """The hand-back token."""
    PRIORITY = "priority"
    SKILLS = "skills"
    LANGUAGE = "language"
    TAGS = "tags"
    INFORMATION = "information"
    ATTRIBUTES = "attributes"
    TRANSCRIPT = "transcript"
    SUMMARY = "summary"


class Encoding(StrEnum):
    """How the octets of a User-to-User value are written."""

    HEX = "hex"
    """Two digits an octet; the only one that RFC 7433 names."""
    BASE64 = "base64"
    TEXT = "text"
    """As they are, in quotes."""


class Characters(StrEnum):
    """How characters beyond ASCII stand in a header."""

    UTF8 = "utf-8"
    """As they are, which RFC 3261 section 25.1 allows."""
    PERCENT = "percent"
    """`%C3%BC`, for peers that know ASCII only."""


def _pattern(name: str) -> str:
    if name == NOT_SENT:
        return ""
    if name.count("*") > 1 or ("*" in name and not name.endswith("*")):
        raise InvalidValue("has its `*` elsewhere than at the end", "Write `X-*`, or `X-Info-*`")
    if name == "*":
        raise InvalidValue("lets a packet name any header", "Write a beginning: `X-*`")
    check_name(name.removesuffix("*"))
    return name


def _plain(name: str) -> str:
    if name == NOT_SENT:
        return ""
    if "*" in name:
        raise InvalidValue("is one header, which has no `*`")
    return check_name(name)


HeaderName = Annotated[str, AfterValidator(_plain)]
"""Empty: not sent."""
HeaderPattern = Annotated[str, AfterValidator(_pattern)]
"""`X-Info-*`: the `*` stands for the name of each entry."""


class ContextHeaders(Strict):
    """Which header carries which part of the packet, spelt as here; `none` leaves a part out."""

    priority: HeaderName = "X-Priority"
    """How urgent it is."""
    skills: HeaderName = "X-Skills"
    """Separated by commas."""
    language: HeaderName = "X-Language"
    """The caller's."""
    tags: HeaderName = "X-Tags"
    """Separated by commas."""
    information: HeaderPattern = "X-Info-*"
    """One header for each piece of information."""
    attributes: HeaderPattern = "X-*"
    """One header for each attribute."""
    transcript: HeaderName = "X-Transcript"
    """`<https://…>;uses=10;expires=2026-08-01T12:00:00Z`."""
    summary: HeaderName = "X-Summary"
    """What does not fit into a line is cut off."""


class UserToUser(Strict):
    """User-to-User (RFC 7433): octets from one end's application to the other's.

    They are `name=value` pairs with `;` between them, the octets `% ; =` and everything beyond
    ASCII escaped as `%3B`: `resume=…;priority=high;tags=billing,vip;order=4711`.
    """

    header: HeaderName = "User-to-User"
    """Its name, for peers that spell it otherwise, such as `X-UUI`; `none`: it is not sent."""
    encoding: Encoding = Encoding.HEX
    """How its octets are written."""
    parameter: bool = True
    """Whether `;encoding=hex` is said."""
    purpose: Annotated[str, Field(pattern=r"^[A-Za-z0-9.!%*_+`'~-]{1,64}$")] | None = None
    """Says what it is for: `;purpose=isdn-uui` (RFC 7434)."""
    content: Annotated[str, Field(pattern=r"^[A-Za-z0-9.!%*_+`'~-]{1,64}$")] | None = None
    """Says what it holds: `;content=isdn-uui`."""
    protocol_discriminator: Annotated[int, Field(ge=0, le=255)] | None = None
    """The octet in front that ISDN asks for (ITU-T Q.931): `4` says text, `0` the user's own."""
    max_octets: int = Field(default=128, ge=32, le=400)
    """Octets at most, that one included; ISDN carries 128 of them, and one more."""
    parts: list[Part] = Field(
        default_factory=lambda: [
            Part.RESUME, Part.PRIORITY, Part.SKILLS, Part.LANGUAGE, Part.TAGS, Part.INFORMATION,
        ]
    )  # fmt: skip
    """What it carries, in this order."""


class ContextPolicy(Strict):
    """How the context of a call is told to a trunk, on INVITE, REFER and BYE."""

    headers: ContextHeaders = ContextHeaders()
    """Which header carries which part."""
    user_to_user: UserToUser = UserToUser()
    """User-to-User (RFC 7433), for networks that drop headers they do not know."""
    characters: Characters = Characters.UTF8
    """How characters beyond ASCII stand in the headers."""
    max_line: int = Field(default=512, ge=64, le=1000)
    """Octets of one header line at most, its name included."""
    max_octets: int = Field(default=1200, ge=0, le=4000)
    """Octets of all these lines together. A SIP message over 1300 octets may be cut into fragments
    on UDP, which some networks lose; 1200 fit beside a BYE or REFER, and let an INVITE be two."""
    drop: list[Part] = Field(
        default_factory=lambda: [
            Part.SUMMARY, Part.TRANSCRIPT, Part.ATTRIBUTES, Part.INFORMATION, Part.TAGS,
            Part.LANGUAGE, Part.SKILLS, Part.PRIORITY,
        ]
    )  # fmt: skip
    """What is dropped first where there is no room; parts that are not named here go before these,
    the hand-back token never."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name, parts in (("drop", self.drop), ("user_to_user", self.user_to_user.parts)):
            for part in parts:
                if parts.count(part) > 1:
                    raise InvalidValue(f"names `{part}` twice", "Keep one of them", at=name)
        if Part.RESUME in self.drop:
            raise InvalidValue("the token is never dropped", "Take `resume` out", at="drop")
        return self
