"""What the installed engine is, and whether it is fit: for `switchhook doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from sip.engine import CODECS
from sip.pjsip import native, pj

OLDEST_PJSIP = (2, 17)
"""The first with the loop's handle, the two media fixes and the conference queue relied on here."""

FEWEST_CALLS = 64
"""Stock builds carry 4 to 32: enough for a telephone, not for a gateway."""

OLDEST_OPENSSL = 3
"""Older major versions get no security fixes any more."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The engine as it is installed."""

    version: str
    path: str
    max_calls: int
    max_sockets: int
    polling: str
    """How sockets are watched; only epoll fits into the loop."""
    tls: str
    """TLS backend; empty: none."""
    openssl: str
    """The OpenSSL that is loaded now, not the one of the build."""
    codecs: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the engine must not be used, one sentence each; empty: it is fit."""
        rebuild = "build the engine with `make engine`"
        found = []
        if _numbers(self.version) < OLDEST_PJSIP:
            oldest = ".".join(map(str, OLDEST_PJSIP))
            found.append(f"PJSIP {self.version} is older than {oldest}: {rebuild}")
        if self.max_calls < FEWEST_CALLS:
            found.append(f"the build carries {self.max_calls} calls at most: {rebuild}")
        if "epoll" not in self.polling:
            found.append(f"the build polls with {self.polling}, not with epoll: {rebuild}")
        if not self.tls:
            found.append(f"the build has no TLS: {rebuild}")
        if _numbers(self.openssl.removeprefix("OpenSSL "))[:1] < (OLDEST_OPENSSL,):
            found.append(f"{self.openssl} gets no security fixes any more: update libssl")
        missing = [name for name in CODECS.values() if name not in self.codecs]
        found += [f"the build lacks the codec {name}: {rebuild}" for name in missing]
        return tuple(found)


def describe() -> EngineFacts:
    """Look at the installed engine; for a process without calls, since it starts PJSIP briefly.

    Raises:
        EngineError: no engine can be loaded; raised by the import of this module.
    """
    pjsip, calls, sockets, polling, tls, openssl = native.facts()
    return EngineFacts(
        version=_build() or pjsip,
        path=str(pj.__file__),
        max_calls=calls,
        max_sockets=sockets,
        polling=polling,
        tls=tls,
        openssl=openssl,
        codecs=_codecs(),
    )


def _numbers(text: str) -> tuple[int, ...]:
    leading = text.partition(" ")[0].partition("+")[0]
    return tuple(int(part) for part in leading.split(".") if part.isdigit())


def _codecs() -> tuple[str, ...]:
    native.log_errors_only()
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    try:
        configuration = pj.EpConfig()
        configuration.logConfig.level = configuration.logConfig.consoleLevel = 1
        configuration.uaConfig.threadCnt = 0
        endpoint.libInit(configuration)
        return tuple(str(codec.codecId).rpartition("/")[0] for codec in endpoint.codecEnum2())
    finally:
        endpoint.libDestroy()
        pj.Endpoint.__swig_destroy__(endpoint)


def _build() -> str:
    try:
        return version("switchhook-pjsip")
    except PackageNotFoundError:
        return ""
