"""The gateway's own settings: where it listens, which trunks, bots and targets it knows."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from config.addresses import Address, BoundAddress, Port, Transport, check_service
from config.allow import check_allow
from config.call_recordings import Recordings
from config.errors import InvalidValue
from config.groups import Group
from config.headers import check_value
from config.hours import Hours
from config.limits import Rate
from config.media import Samples
from config.secrets import Secret
from config.strict import FilePath, Name, Seconds, Strict
from config.targets import Target
from config.tls import OwnCertificate
from config.trunks import Trunk, check_realm


def _bot_url(url: str) -> str:
    return check_service(url, ("ws", "wss"), "a WebSocket URL", "ws://127.0.0.1:8765")


def _http_url(url: str) -> str:
    return check_service(url, ("http", "https"), "an HTTP URL", "http://127.0.0.1:9000/free")


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
    pass_through: bool = True
    """What two joined legs of the same codec say to each other passes undecoded while nothing else
    listens or speaks. `false`: it is always mixed, and every peer gets packets at an even pace,
    whatever the other party's network does to them."""

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
    """Of the audio both ways, mono: samples per second."""
    samples: Samples = Samples.PCM16
    """Of the audio both ways. G.711 (`pcmu`, `pcma`) needs a `sample_rate` of 8000."""
    connect_timeout: Seconds = Field(default=3, gt=0)
    """How long the connection may take to be made."""
    backlog: Seconds = Field(default=30, gt=0)
    """Seconds of audio a bot may send ahead; beyond it the oldest is dropped and the bot told."""
    token: Secret | None = None
    """Sent as `Authorization: Bearer`."""
    speech: SpeechActivity | None = None
    """Tell the bot when the caller speaks; without it nobody listens for that."""

    @model_validator(mode="after")
    def _g711_is_of_telephone_bandwidth(self) -> Self:
        if self.samples is not Samples.PCM16 and self.sample_rate != 8000:
            raise InvalidValue(
                f"does not go with `samples: {self.samples}`, which are 8000 a second",
                "Leave it out, or write `samples: pcm_s16le`",
                at="sample_rate",
            )
        return self


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
    timeout: float = Field(default=1, gt=0, le=10)
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
