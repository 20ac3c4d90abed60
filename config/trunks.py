"""A trunk: which requests are its, where its calls go, and what its peers may do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.addresses import Network, ProxyUri, Transport, UserPart
from config.allow import check_allow
from config.context_policy import ContextPolicy
from config.errors import InvalidValue
from config.hand_back import HandBack, Variables
from config.headers import check_pattern
from config.identity import Identity
from config.limits import TrunkLimits
from config.media import (
    DEFAULT_CODECS,
    DEFAULT_PTIME,
    Codec,
    Codecs,
    FewerCodecs,
    JitterBuffer,
)
from config.numbers import Numbers
from config.secrets import Secret
from config.strict import Name, Seconds, Strict
from config.tls import PeerCertificate, Srtp
from config.uri import parse_proxy


def check_realm(text: str) -> str:
    """Return a realm or username of the digest if it can stand in quotes."""
    if not text or not text.isprintable() or not text.isascii() or '"' in text or "\\" in text:
        raise InvalidValue("must be printable ASCII without quotes and backslashes")
    return text


def _dialled(number: str) -> str:
    prefix = number.removesuffix("*")
    if not prefix:
        raise InvalidValue("matches every number", "Leave `number` out: that is the default route")
    if not prefix.isprintable() or any(char in ' @:"<>' for char in prefix):
        raise InvalidValue("is not the user part of a request URI", "Write `+4930*`, or `1001`")
    return number


def _once(transports: list[Transport]) -> list[Transport]:
    for transport in transports:
        if transports.count(transport) > 1:
            raise InvalidValue(f"names `{transport}` twice", "Keep one of them")
    return transports


class Digest(Strict):
    """What a trunk must prove its calls with (digest, RFC 3261 section 22; MD5 and SHA-256)."""

    username: Annotated[str, AfterValidator(check_realm)]
    """Where the trunk has no `sources`, it is known by this name, wherever its calls come from."""
    password: Secret
    """Never sent by either side."""


class Credentials(Strict):
    """What the gateway answers with when a peer challenges its calls."""

    username: Annotated[str, AfterValidator(check_realm)]
    """Of the digest."""
    password: Secret
    """Of the digest."""
    realm: str = Field(default="*", min_length=1)
    """The realm that may ask for the password; `*`: any."""


MAX_FALLBACKS = 7
"""Proxies beside the first: what the engine keeps for each trunk."""


class Registration(Strict):
    """How the gateway makes itself known to a provider (RFC 3261 section 10)."""

    registrar: ProxyUri
    """`sip:sip.example.com`; calls go there too, unless the trunk has a `proxy`."""
    username: UserPart
    """User part of the address that is registered, and user of the digest."""
    password: Secret
    """Of the digest."""
    realm: str = Field(default="*", min_length=1)
    """The realm that may ask for the password; `*`: any."""
    expires: int = Field(default=300, ge=60, le=86_400)
    """Seconds after which the registration is renewed at the latest."""


class Ping(Strict):
    """OPTIONS to each of a trunk's proxies, outside any call (RFC 3261 section 11): one without a
    final response is passed over by calls until it answers again."""

    interval: float = Field(default=30, ge=1, le=86_400)
    """Between an answer and the next OPTIONS, up to a fifth more or less at random."""
    timeout: float = Field(default=4, gt=0, le=32)
    """For the answer; over UDP the OPTIONS is repeated meanwhile."""


class Refer(Strict):
    """REFER on this trunk (RFC 3515): whether it is taken, and how many seconds it may take."""

    support: Literal["learn", "yes", "no"] = "learn"
    """Whether `auto` sends REFER; `learn`: until the trunk has refused one as unknown to it."""
    response: float = Field(default=32, gt=0, le=32)
    """From the REFER to the peer's final response; SIP itself gives up after 32 seconds."""
    first_notify: Seconds = Field(default=15, gt=0)
    """From the peer's 202 to its first NOTIFY."""
    final_notify: Seconds = Field(default=60, gt=0)
    """From the peer's 202 to the NOTIFY with the final result."""
    bye_grace: Seconds = 1
    """How long a final NOTIFY may trail the peer's BYE, and the peer's BYE a final 2xx."""


class TransfersIn(Strict):
    """What the peers of a trunk may do with their own place in a call. All refused by default."""

    refer: bool = False
    """REFER in a call (RFC 3515): we dial the Refer-To, if `targets` or `allow` has it, and who
    answers takes the place of the one who referred. Refused: 603."""
    replaces: bool = False
    """INVITE with Replaces (RFC 3891) takes the place of a leg of the same trunk; with `refer`, a
    REFER with Replaces joins two calls of the same trunk. Refused: 403."""


class Route(Strict):
    """Which flow answers which dialled number; without `number` it is the trunk's default."""

    flow: Name
    """The flow that takes the call."""
    number: Annotated[str, AfterValidator(_dialled)] | None = None
    """The user part of the request URI; a trailing `*` matches any rest."""


class Trunk(Strict):
    """A SIP peer that calls come from and go to."""

    sources: list[Network] = Field(default_factory=list)
    """Networks this trunk's requests come from."""
    transports: Annotated[list[Transport], Field(min_length=1), AfterValidator(_once)] | None = None
    """What they may come over; others get 403. Default: `tls` alone where `proxy` or the registrar
    is reached over TLS, else any."""
    media_sources: list[Network] = Field(default_factory=list)
    """Networks its audio may come from, besides `sources` and the host that its SDP names."""
    proxy: ProxyUri | None = None
    """Where its calls are sent: `sip:10.0.0.2:5060`, `sip:sbc.example.com;transport=tls`."""
    fallback_proxies: list[ProxyUri] = Field(default_factory=list, max_length=MAX_FALLBACKS)
    """Tried in this order where `proxy`, or the registrar, is out of reach or answers 503."""
    ping: Ping | None = None
    """Whether its proxies are in service is asked all the time; default: calls find it out."""
    registration: Registration | None = None
    """Makes the gateway known to a provider; its requests then need no `sources`."""
    credentials: Credentials | None = None
    """For a peer that challenges calls; those of `registration` need not be repeated."""
    digest: Digest | None = None
    """Makes the trunk prove that its calls are its own; it then needs no `sources`."""
    limits: TrunkLimits = TrunkLimits()
    """How much it may do at once."""
    tls: PeerCertificate = PeerCertificate()
    """What the peer's certificate must show."""
    srtp: Srtp = Srtp()
    """Whether audio is encrypted."""
    codecs: Codecs = Field(default_factory=lambda: [*DEFAULT_CODECS])
    """What it may speak: `PCMA`, `PCMU`, `G722`, `opus`. Our offers keep this order, except that
    what the call's other side speaks comes first; our answers keep the order of the offer."""
    fallback_codecs: FewerCodecs | None = None
    """Offered alone, without SRTP keys unless it is `required`, in packets of 20 ms, where a peer
    refuses a call's first offer (488, 606) and does not say what it takes. Default: those of G.711
    in `codecs`; `[]`: nothing."""
    ptime: int = Field(default=DEFAULT_PTIME, ge=10, le=60, multiple_of=10)
    """Milliseconds of audio in a packet: asked of the peer, and sent where it asks for nothing."""
    jitter_buffer: JitterBuffer = JitterBuffer()
    """How long received audio waits for packets that are late."""
    numbers: Numbers = Numbers()
    """How it writes telephone numbers; here they are E.164."""
    allow: list[Annotated[str, AfterValidator(check_allow)]] | None = None
    """The only destinations that are dialled over this trunk, named targets included; default: all
    that are allowed."""
    caller_id: UserPart | None = None
    """User part of From on outbound calls; default: the caller's own number."""
    routes: list[Route] = Field(default_factory=list)
    """Which flow answers; an exact number wins over the longest prefix, that over the default."""
    refer: Refer = Refer()
    """Whether REFER is taken, and how long it may take."""
    transfers_in: TransfersIn = TransfersIn()
    """What its peers may do with their own place in a call."""
    headers: list[Annotated[str, AfterValidator(check_pattern)]] = Field(
        default_factory=lambda: ["X-*", "User-to-User", "Diversion", "History-Info"]
    )
    """Received headers that reach the bot and the flow; a trailing `*` matches any rest, case
    ignored. P-Asserted-Identity and others must be named to be seen."""
    variables: Variables = Field(default_factory=dict)
    """Received headers that become variables of the call: `{X-Account: account}`."""
    context: ContextPolicy = ContextPolicy()
    """How this trunk is told the context of a call."""
    identity: Identity = Identity()
    """Whose word about the caller is believed and passed on."""
    hand_back: HandBack = HandBack()
    """How calls that were handed back to this trunk return to their flow."""

    @property
    def next_hop(self) -> str | None:
        """The URI that calls over this trunk are sent to; None: it only takes calls in."""
        if self.proxy is not None:
            return self.proxy
        return None if self.registration is None else self.registration.registrar

    @property
    def accepted_transports(self) -> Collection[Transport]:
        """What requests of its peers may come over."""
        if self.transports is not None:
            return self.transports
        over_tls = self.next_hop is not None and parse_proxy(self.next_hop).transport == "tls"
        return (Transport.TLS,) if over_tls else tuple(Transport)

    @property
    def codecs_when_refused(self) -> list[Codec]:
        """What a second offer holds where the peer does not say what it takes."""
        if self.fallback_codecs is not None:
            return self.fallback_codecs
        return [codec for codec in self.codecs if not codec.wideband]

    @property
    def hops(self) -> list[str]:
        """All URIs that its calls may be sent to, the first choice first; empty: none."""
        return [] if self.next_hop is None else [self.next_hop, *self.fallback_proxies]

    @model_validator(mode="after")
    def _known_peer(self) -> Self:
        if not self.sources and self.registration is None and self.digest is None:
            raise InvalidValue(
                "nothing tells which requests are this trunk's",
                "Add `sources`, a `digest`, or a `registration`",
            )
        for codec in self.fallback_codecs or ():
            if codec not in self.codecs:
                raise InvalidValue(
                    f"`{codec}` is none of the trunk's codecs",
                    "Add it to `codecs`, or remove it",
                    at="fallback_codecs",
                )
        if self.ping is not None and self.next_hop is None:
            raise InvalidValue("there is nobody to ask", "Add `proxy`", at="ping")
        if self.fallback_proxies and self.next_hop is None:
            raise InvalidValue("fall back from nothing", "Add `proxy`", at="fallback_proxies")
        if len({parse_proxy(hop).transport for hop in self.hops}) > 1:
            raise InvalidValue(
                "go over another transport than the first choice",
                "Write all of a trunk's proxies with one transport",
                at="fallback_proxies",
            )
        if self.fallback_proxies and self.tls.server_name is not None:
            raise InvalidValue(
                "one name cannot be that of several proxies",
                "Write the names as the hosts of `proxy` and `fallback_proxies`",
                at="tls.server_name",
            )
        numbers = [route.number for route in self.routes]
        for number in numbers:
            if numbers.count(number) > 1:
                what = "without `number`" if number is None else f"for `{number}`"
                raise InvalidValue(f"has two routes {what}", "Keep one of them", at="routes")
        return self
