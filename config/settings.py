"""The gateway's own settings: where it listens, which trunks, bots and targets it knows."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.allow import check_allow
from config.call_recordings import Recordings
from config.context_policy import ContextPolicy
from config.errors import InvalidValue
from config.groups import Group
from config.hand_back import HandBack, Variables
from config.headers import check_pattern, check_value
from config.hours import Hours
from config.identity import Identity
from config.limits import Rate, TrunkLimits
from config.media import DEFAULT_CODECS, DEFAULT_PTIME, Codecs, JitterBuffer
from config.numbers import Numbers
from config.strict import FilePath, Name, Seconds, Strict
from config.targets import Target
from config.tls import OwnCertificate, PeerCertificate, Srtp
from config.uri import parse_proxy

Port = Annotated[int, Field(ge=0, le=65_535)]
"""0: any free port."""


def _address(text: object) -> object:
    if isinstance(text, str):
        try:
            IPv4Address(text)
        except ValueError:
            raise InvalidValue(
                "is not an IPv4 address", "Write four numbers, such as `10.0.0.2`"
            ) from None
    return text


def _network(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        IPv4Network(text)
    except ValueError:
        pass
    else:
        return text
    try:
        network = IPv4Network(text, strict=False)
    except ValueError:
        raise InvalidValue(
            "is not an IPv4 network", "Write one such as `10.0.0.0/24`, or `10.0.0.2`"
        ) from None
    address = text.partition("/")[0]
    hint = f"Write `{network}` for all of it, or `{address}/32` for this address"
    raise InvalidValue(f"is an address inside the network {network}", hint)


def _bound(address: IPv4Address) -> IPv4Address:
    # Bound to every address, PJSIP looks up the host's own name to learn what to write into SDP and
    # Contact: seconds in which no call moves.
    if address.is_unspecified or address.is_multicast:
        raise InvalidValue(
            "must be one address of this machine", "Write the one that peers reach you at"
        )
    return address


def _source(network: IPv4Network) -> IPv4Network:
    if network.prefixlen == 0:
        raise InvalidValue("would let everybody in", "Write the peer's own networks")
    return network


def _proxy(text: str) -> str:
    parse_proxy(text)
    return text


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


def _bot_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("ws", "wss") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or an unfinished IPv6 address
        valid = False
    else:
        if parts.username is not None or parts.fragment:
            raise InvalidValue("carries credentials or a fragment", "Write secrets under `token`")
    if not valid or not url.isprintable() or " " in url:
        raise InvalidValue("is not a WebSocket URL", "Write one such as `ws://127.0.0.1:8765`")
    return url


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or an unfinished IPv6 address
        valid = False
    else:
        if parts.username is not None or parts.fragment:
            raise InvalidValue("carries credentials or a fragment", "Write secrets under `token`")
    if not valid or not url.isprintable() or " " in url:
        raise InvalidValue("is not an HTTP URL", "Write one such as `http://127.0.0.1:9000/free`")
    return url


def _database_url(url: str) -> str:
    if url.startswith("sqlite+aiosqlite:///"):
        return url
    if not url.startswith("postgresql+asyncpg://"):
        raise InvalidValue(
            "is not the URL of a database",
            "Write `sqlite+aiosqlite:////absolute/path` or `postgresql+asyncpg://user@host/name`, "
            "or leave it out",
        )
    try:
        password = urlsplit(url).password
    except ValueError:  # an unfinished IPv6 address
        raise InvalidValue("is not a URL") from None
    if password is not None:
        raise InvalidValue("carries a password", "Set PGPASSWORD, or write it into ~/.pgpass")
    return url


Address = Annotated[IPv4Address, BeforeValidator(_address)]

BoundAddress = Annotated[Address, AfterValidator(_bound)]
"""An address of this machine, never the wildcard 0.0.0.0."""

ProxyUri = Annotated[str, AfterValidator(_proxy)]
"""`sip:10.0.0.2:5060`, with `;transport=tcp` for TCP and `;transport=tls` or `sips:` for TLS."""

Network = Annotated[IPv4Network, BeforeValidator(_network), AfterValidator(_source)]

UserPart = Annotated[str, Field(pattern=r"^[A-Za-z0-9+_.!~*'()&=$,;?/#-]+$")]
"""The part of a SIP URI before the `@`."""


class Transport(StrEnum):
    """A transport that SIP runs over."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class Listen(Strict):
    """An address and port that SIP is spoken on. Always a real address, never a wildcard."""

    transport: Transport = Transport.UDP
    """What SIP runs over."""
    address: BoundAddress
    """An address of this machine."""
    port: Port = 5060
    """0 takes any free port; over TLS, 5061 is usual."""
    tls: OwnCertificate | None = None
    """The gateway's certificate; for `transport: tls`."""

    @model_validator(mode="after")
    def _certified(self) -> Self:
        if (self.transport is Transport.TLS) != (self.tls is not None):
            if self.tls is None:
                hint = "Add `tls: {certificate: FILE, key: FILE}`"
                raise InvalidValue("is missing, and TLS needs a certificate", hint, at="tls")
            raise InvalidValue(
                f"is not used over {self.transport}", "Write `transport: tls`", at="tls"
            )
        return self


class Rtp(Strict):
    """Where audio is received."""

    address: BoundAddress
    """An address of this machine; peers are told to send their audio there."""
    first_port: int = Field(default=16_384, ge=1024, le=65_534)
    """Even: RTP takes an even port, RTCP the odd one above it (RFC 3550 section 11)."""
    last_port: int = Field(default=32_766, ge=1024, le=65_535)
    """Included."""
    timeout: Seconds = 300
    """A leg that sends no audio for so long, without being on hold, is hung up; 0: never."""

    @property
    def legs(self) -> int:
        """How many legs find two ports each."""
        return (self.last_port - self.first_port + 1) // 2

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.first_port % 2:
            raise InvalidValue("must be even", f"Write {self.first_port + 1}", at="first_port")
        if self.last_port <= self.first_port:
            raise InvalidValue(
                "must be above `first_port`", f"It begins at {self.first_port}", at="last_port"
            )
        return self


class Sip(Strict):
    """The SIP side of the gateway."""

    listen: list[Listen] = Field(min_length=1)
    """Where SIP is spoken."""
    rtp: Rtp
    """Where audio is received."""
    user_agent: Annotated[str, AfterValidator(check_value)] = "Switchhook"
    """Written into User-Agent and Server."""
    max_calls: int = Field(default=2000, ge=1, le=4000)
    """Legs at once, agents' legs included; more INVITEs get 503 with Retry-After."""
    per_source: Rate | None = None
    """How fast calls from one address may begin, whatever its trunk."""
    digest_realm: Annotated[str, AfterValidator(check_realm)] = "switchhook"
    """Shown to trunks that must prove who they are (`digest`)."""
    unknown_source: Literal["refuse", "drop"] = "refuse"
    """A request from outside every trunk: answered with 403, or not answered at all."""

    @model_validator(mode="after")
    def _enough_ports(self) -> Self:
        if self.rtp.legs < self.max_calls:
            last = self.rtp.first_port + 2 * self.max_calls - 1
            raise InvalidValue(
                f"has ports for {self.rtp.legs} legs (2 each), but `max_calls` is {self.max_calls}",
                f"Raise `last_port` to {last}, or lower `max_calls`"
                if last <= 65_535
                else "Lower `first_port`, or `max_calls`",
                at="rtp",
            )
        return self


class Secret(Strict):
    """A secret, by reference: from the environment or from a file, never written here."""

    env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of an environment variable."""
    file: FilePath | None = None
    """A file that holds the secret and nothing else; a line break at its end is not part of it."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            both = "has both `env` and `file`" if self.env else "says not where the secret is"
            raise InvalidValue(both, "Write `env: VARIABLE`, or `file: PATH`")
        return self


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


class Refer(Strict):
    """REFER on this trunk (RFC 3515): whether it is taken, and how many seconds it may take."""

    support: Literal["learn", "yes", "no"] = "learn"
    """Whether `auto` sends REFER; `learn`: until the trunk has refused one as unknown to it."""
    response: Seconds = Field(default=32, gt=0, le=32)
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
    """INVITE with Replaces (RFC 3891) takes the place of a leg of the same trunk. Refused: 403."""


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
    media_sources: list[Network] = Field(default_factory=list)
    """Networks its audio may come from, besides `sources` and the host that its SDP names."""
    proxy: ProxyUri | None = None
    """Where its calls are sent: `sip:10.0.0.2:5060`, `sip:sbc.example.com;transport=tls`."""
    fallback_proxies: list[ProxyUri] = Field(default_factory=list, max_length=MAX_FALLBACKS)
    """Tried in this order where `proxy`, or the registrar, is out of reach or answers 503."""
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


class SpeechActivity(Strict):
    """Telling a bot when its caller speaks, and when nobody does."""

    start_ms: int = Field(default=100, ge=20, le=1000)
    """Milliseconds of voice until it counts as speech: shorter ones are a cough or a click."""
    stop_ms: int = Field(default=500, ge=100, le=5000)
    """Milliseconds without voice until speech counts as over."""
    threshold_db: float = Field(default=9, ge=3, le=40)
    """Decibels by which a voice must stand out of the line's noise."""
    barge_in: Literal["none", "clear"] = "none"
    """`clear` drops the bot's audio that has not been played when the caller begins to speak."""
    dead_air: Seconds | None = Field(default=None, gt=0)
    """Seconds without a sound of caller and bot until the bot is told; and again after as many."""


class Bot(Strict):
    """A bot that the gateway connects to for each conversation."""

    url: Annotated[str, AfterValidator(_bot_url)]
    """`ws://` or `wss://`."""
    sample_rate: Literal[8000, 16000, 24000] = 8000
    """Of the audio both ways: PCM16, mono, samples per second."""
    connect_timeout: Seconds = Field(default=3, gt=0)
    """How long the connection may take to be made."""
    backlog: Seconds = Field(default=30, gt=0)
    """Seconds of audio a bot may send ahead; beyond it the oldest is dropped and the bot told."""
    token: Secret | None = None
    """Sent as `Authorization: Bearer`."""
    speech: SpeechActivity | None = None
    """Tell the bot when the caller speaks; without it nobody listens for that."""


class Speech(Strict):
    """The engine that speaks text prompts."""

    engine: Literal["espeak-ng"] = "espeak-ng"
    """The program that speaks."""
    voice: str = Field(default="en-gb", pattern=r"^[A-Za-z][A-Za-z0-9+/_-]*$")
    """A voice of the engine; `espeak-ng --voices` lists them."""
    words_per_minute: int = Field(default=155, ge=80, le=450)
    """How fast it speaks."""


class WaitingSounds(Strict):
    """Sounds to wait by."""

    music: FilePath | None = None
    """A WAV file; without it the built-in one is played."""
    ringback_country: Literal["eu", "us", "uk"] = "eu"
    """Whose ringing tone the caller hears."""


class AvailabilityService(Strict):
    """A service that is asked whether a named target can be reached, before it is dialled."""

    url: Annotated[str, AfterValidator(_http_url)]
    """Asked with `GET URL?target=NAME`; it answers `{"available": true}`."""
    timeout: Seconds = Field(default=1, gt=0, le=10)
    """How long the answer may take; the caller waits for it."""
    on_error: Literal["available", "unavailable"] = "available"
    """What is assumed when there is no answer, or none that can be read."""
    token: Secret | None = None
    """Sent as `Authorization: Bearer`."""


class ApiKey(Strict):
    """A key of the control API."""

    name: Name
    """Who holds it; it stands in the log."""
    secret: Secret
    """What the holder sends."""
    scope: Literal["read", "control"] = "read"
    """`read` shows, `control` also decides."""


class Api(Strict):
    """The control API. Off loopback it does not start without keys."""

    address: Address = IPv4Address("127.0.0.1")
    """Where it listens; 0.0.0.0 for every address."""
    port: Port = 8080
    """0 takes any free port."""
    keys: list[ApiKey] = Field(default_factory=list)
    """Who may use it; without any, whoever reaches it over loopback."""


class Settings(Strict):
    """One gateway's configuration: `switchhook.yaml`."""

    data: FilePath = Field(default=Path("data"), validate_default=True)
    """Folder of the database and the prompt cache, relative to this file."""
    database: Annotated[str, AfterValidator(_database_url)] | None = None
    """SQLAlchemy URL of an SQLite file or a PostgreSQL database; default: SQLite in `data`."""
    flows: FilePath = Field(default=Path("flows"), validate_default=True)
    """Folder of the flow files (`*.yaml`), relative to this file."""
    sip: Sip
    """The SIP side."""
    trunks: dict[Name, Trunk] = Field(min_length=1)
    """The peers that calls come from and go to, by name."""
    targets: dict[Name, Target] = Field(default_factory=dict)
    """Whom a call can be transferred to, by name."""
    groups: dict[Name, Group] = Field(default_factory=dict)
    """Several targets under one name, which stands wherever a target's name does."""
    hours: dict[Name, Hours] = Field(default_factory=dict)
    """Office hours, by the name that targets and groups refer to."""
    availability: AvailabilityService | None = None
    """A service that is asked before a named target is dialled."""
    allow: list[Annotated[str, AfterValidator(check_allow)]] = Field(default_factory=list)
    """Destinations allowed besides named targets: `+49*`, `sip:*@example.com`."""
    deny: list[Annotated[str, AfterValidator(check_allow)]] = Field(default_factory=list)
    """Destinations never dialled, whatever allows them: `+4990*`."""
    bots: dict[Name, Bot] = Field(default_factory=dict)
    """The bots that flows can use, by name."""
    speech: Speech = Speech()
    """How text prompts are spoken."""
    recordings: Recordings = Recordings()
    """Where recordings of calls are written."""
    waiting: WaitingSounds = WaitingSounds()
    """What callers hear while they wait."""
    api: Api = Api()
    """The control API."""
    drain: Seconds = 30
    """How long calls in progress may go on after a stop was asked for."""
