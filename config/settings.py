"""The gateway's own settings: where it listens, which trunks, bots and targets it knows."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from config.strict import Name, Seconds, Strict
from config.targets import Target

Port = Annotated[int, Field(ge=0, le=65_535)]


class Transport(StrEnum):
    """A transport that SIP runs over."""

    UDP = "udp"
    TCP = "tcp"


class Listen(Strict):
    """An address and port that SIP is spoken on. Always a real address, never a wildcard."""

    transport: Transport = Transport.UDP
    address: IPv4Address
    port: Port = 5060


class Rtp(Strict):
    """Where audio is received."""

    address: IPv4Address
    first_port: Port = 16_384
    last_port: Port = 32_766


class Sip(Strict):
    """The SIP side of the gateway."""

    listen: list[Listen] = Field(min_length=1)
    rtp: Rtp
    user_agent: str = "Switchhook"
    max_calls: int = Field(default=2000, ge=1, le=4000)
    """Legs at once, agents' legs included; more INVITEs get 503 with Retry-After."""
    unknown_source: Literal["refuse", "drop"] = "refuse"
    """A request from outside every trunk: answered with 403, or not answered at all."""


class Secret(Strict):
    """A secret, by reference: from the environment or from a file, never written here."""

    env: str | None = None
    file: Path | None = None


class Registration(Strict):
    """How the gateway makes itself known to a provider (RFC 3261 section 10)."""

    registrar: str
    username: str
    password: Secret
    realm: str = "*"
    expires: int = Field(default=300, ge=60, le=86_400)


class ReferTimers(Strict):
    """How long a REFER may take on this trunk (RFC 3515); all in seconds."""

    first_notify: Seconds = 15
    final_notify: Seconds = 60
    bye_grace: Seconds = 1
    """How long a final NOTIFY may trail the peer's BYE, and the peer's BYE a final 2xx."""


class Route(Strict):
    """Which flow answers which dialled number; without `number` it is the trunk's default."""

    flow: Name
    number: str | None = None
    """The user part of the request URI; a trailing `*` matches any rest."""


class Trunk(Strict):
    """A SIP peer that calls come from and go to."""

    sources: list[IPv4Network] = Field(default_factory=list)
    """Networks this trunk's requests come from."""
    proxy: str | None = None
    """Where calls over this trunk are sent: `sip:10.0.0.2:5060`, with `;transport=tcp` for TCP."""
    register: Registration | None = None
    caller_id: str | None = None
    """User part of From on outbound calls; default: the caller's own number."""
    routes: list[Route] = Field(default_factory=list)
    refer: ReferTimers = ReferTimers()
    headers: list[str] = Field(default_factory=lambda: ["X-*", "User-to-User", "Diversion"])
    """Received headers that reach the bot; a trailing `*` matches any rest, case ignored."""


class Bot(Strict):
    """A bot that the gateway connects to for each conversation."""

    url: str = Field(pattern=r"^wss?://")
    sample_rate: Literal[8000, 16000, 24000] = 8000
    connect_timeout: Seconds = 3
    backlog: Seconds = 30
    """Audio the bot may send ahead of playback; beyond it the oldest is dropped and the bot told."""
    token: Secret | None = None
    """Sent as `Authorization: Bearer`."""


class Speech(Strict):
    """The engine that speaks text prompts."""

    engine: Literal["espeak-ng"] = "espeak-ng"
    voice: str = "en-gb"
    words_per_minute: int = Field(default=155, ge=80, le=450)


class WaitingSounds(Strict):
    """Sounds to wait by. Without `music` the built-in one is played."""

    music: Path | None = None
    ringback_country: Literal["eu", "us", "uk"] = "eu"


class ApiKey(Strict):
    """A key of the control API; `read` shows, `control` also decides."""

    name: Name
    secret: Secret
    scope: Literal["read", "control"] = "read"


class Api(Strict):
    """The control API. Off loopback it does not start without keys."""

    address: IPv4Address = IPv4Address("127.0.0.1")
    port: Port = 8080
    keys: list[ApiKey] = Field(default_factory=list)


class Settings(Strict):
    """One gateway's configuration: `switchhook.yaml`."""

    data: Path = Path("data")
    """Folder of the database and the prompt cache, relative to the configuration file."""
    database: str | None = None
    """SQLAlchemy URL; default: SQLite in `data`."""
    flows: Path = Path("flows")
    sip: Sip
    trunks: dict[Name, Trunk] = Field(min_length=1)
    targets: dict[Name, Target] = Field(default_factory=dict)
    allow: list[str] = Field(default_factory=list)
    """Destinations allowed besides named targets: number prefixes (`+49*`) and SIP URIs
    (`sip:*@example.com`)."""
    bots: dict[Name, Bot] = Field(default_factory=dict)
    speech: Speech = Speech()
    waiting: WaitingSounds = WaitingSounds()
    api: Api = Api()
    drain: Seconds = 30
    """How long calls in progress may go on after a stop was asked for."""
