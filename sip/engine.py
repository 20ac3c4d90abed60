"""PJSIP inside the asyncio loop: no thread of Python's, no callback that does anything.

SIP is polled on the loop's thread: its epoll handle is a reader of the loop, a 10 ms timer serves
its timers. Callbacks only queue plain values; the queue is worked off after PJSIP has returned. So
nothing of the product ever runs inside a PJSIP callback (docs/decisions/0002).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import structlog

from config.addresses import Transport
from config.media import Codec
from config.settings import Listen, Sip
from config.tls import OwnCertificate
from sip.errors import BindError, EngineError, UnresolvedHost
from sip.frame_pump import FramePump
from sip.malformed import MalformedWatch
from sip.names import Names
from sip.pass_through import PassThrough
from sip.pjsip import EventKind, NativeEvent, native, pj
from sip.players import Players

log = structlog.get_logger(__name__)

# PJSIP's own timers have a resolution of 10 ms; polling more often would find nothing.
TIMER_INTERVAL = 0.010

# PJSIP's own names, without the number of channels.
CODECS = {
    Codec.PCMA: "PCMA/8000",
    Codec.PCMU: "PCMU/8000",
    Codec.G722: "G722/16000",
    Codec.OPUS: "opus/48000",
}

# The bridge's rates. The narrow one would cut wide-band streams down to telephone bandwidth; at the
# wide one, every G.711 stream is resampled.
NARROW, WIDE = 8000, 16_000

# PJSIP's least: Speex resamples at its quality 3, which is made for speech, in 6 us a frame. Stock
# is its 10, in 60 us.
RESAMPLING_QUALITY = 2

# Ports on the bridge for each leg: the call, two players and a bot.
PORTS_PER_LEG = 4

# Call slots beyond the limit: none is given out again before the end of its last call was seen
# (sh_call_choose_slot in sip/native/call.c), and so many calls may end and begin in one step.
SPARE_CALLS = 64

# Legs and registrations have ended before; do not wait for more.
DESTROY_WITHOUT_NETWORK = pj.PJSUA_DESTROY_NO_NETWORK


KINDS = {
    Transport.UDP: pj.PJSIP_TRANSPORT_UDP,
    Transport.TCP: pj.PJSIP_TRANSPORT_TCP,
    Transport.TLS: pj.PJSIP_TRANSPORT_TLS,
}

FAILED = "error after a PJSIP event"

# A peer that connects and says nothing keeps a socket for as long; PJSIP alone would wait for ever.
HANDSHAKE_LIMIT_MS = 5000


@dataclass(frozen=True, slots=True)
class MediaClock:
    """The thread that takes in packets and runs the bridge: 20 ms ticks, those over 100 ms late,
    and how long it was busy."""

    ticks: int
    late: int
    busy_seconds: float


class Engine:
    """PJSIP's life from start to stop, and its place in the loop. One per process."""

    def __init__(
        self,
        settings: Sip,
        codecs: Collection[Codec],
        names: Names,
        on_event: Callable[[NativeEvent], None],
        on_pinged: Callable[[int, int, str], None],
    ) -> None:
        self._settings = settings
        self._codecs = codecs
        self._names = names
        self._on_event = on_event
        self._on_pinged = on_pinged
        self._questions: set[asyncio.Task[None]] = set()
        self._endpoint: Any = None
        self._queue: deque[Callable[[], None]] = deque()
        self._drain_planned = False
        self._polled = False
        """Since the timer came last."""
        self._sip_fd = -1
        self._clock_fd = -1
        self._timer: asyncio.TimerHandle | None = None
        self._malformed = MalformedWatch()
        self.players = Players()
        self.pump = FramePump()
        self.pass_through = PassThrough(enabled=settings.rtp.pass_through)
        self.listening: list[Listen] = []
        """Where SIP is spoken, with the real port where 0 was asked for."""
        self.keys_lost = 0
        """Keys that were to be relayed to a leg, and given up."""

    @property
    def running(self) -> bool:
        """Whether PJSIP may be called."""
        return self._endpoint is not None

    @property
    def hostport(self) -> str:
        """`address:port` of the first transport, once it has started."""
        listen = self.listening[0]
        return f"{listen.address}:{listen.port}"

    @property
    def own(self) -> set[tuple[str, int]]:
        """Addresses and ports that SIP is spoken on."""
        return {(str(at.address), at.port) for at in self.listening}

    def start(self) -> None:
        """Bring PJSIP up: transports bound, codecs chosen, the media clock ticking.

        Raises:
            BindError: an address and port are taken or not ours.
            EngineError: PJSIP does not start.
        """
        self._loop = asyncio.get_running_loop()
        native.log_errors_only()
        self._endpoint = endpoint = pj.Endpoint()
        try:
            endpoint.libCreate()
            endpoint.libInit(self._configuration())
            native.register_modules()
            self.listening = [self._listen(listen) for listen in self._settings.listen]
            endpoint.libStart()
            self._choose_codecs()
            self._clock_fd, real_time = native.clock_start()
        except (pj.Error, OSError) as error:
            self._destroy()
            raise EngineError(f"PJSIP does not start: {_reason(error)}") from error
        except BindError:
            self._destroy()
            raise
        if not real_time:
            log.info(
                "audio has no real-time priority", reason="not allowed: see `switchhook doctor`"
            )
        handle = endpoint.libGetSipIoqueueHandle()
        self._sip_fd = ctypes.c_int.from_address(int(handle)).value
        self._loop.add_reader(self._sip_fd, self._poll)
        self._loop.add_reader(self._clock_fd, self._tick)
        self._on_timer()
        self._malformed.start()

    def stop(self) -> None:
        """Take PJSIP down. Every leg has ended before and every pj object is destroyed."""
        self.pass_through.stop()
        self._malformed.stop()
        if self._timer is not None:
            self._timer.cancel()
        for fd in (self._sip_fd, self._clock_fd):
            if fd >= 0:
                self._loop.remove_reader(fd)
        self._poll()
        for question in self._questions:
            question.cancel()
        native.resolve_stop()
        native.clock_stop()
        self._destroy()

    def post(self, work: Callable[[], None]) -> None:
        """Do this after PJSIP has returned to the loop. The one thing a callback may call."""
        self._queue.append(work)
        self.soon()

    def soon(self) -> None:
        """Something was asked of PJSIP outside its polling: look at what it queued."""
        if not self._drain_planned:
            self._drain_planned = True
            self._loop.call_soon(self._drain)

    @property
    def clock(self) -> MediaClock:
        """How the media clock is doing."""
        ticks, late, busy_ns = native.clock_counters()
        return MediaClock(ticks, late, busy_ns / 1e9)

    def _configuration(self) -> Any:
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.maxCalls = self._settings.max_calls + SPARE_CALLS
        config.uaConfig.userAgent = self._settings.user_agent
        config.medConfig.threadCnt = 1  # PJSIP's least: the media clock takes its place
        wide = any(codec.wideband for codec in self._codecs)
        config.medConfig.clockRate = config.medConfig.sndClockRate = WIDE if wide else NARROW
        config.medConfig.quality = RESAMPLING_QUALITY
        config.medConfig.audioFramePtime = 20
        config.medConfig.maxMediaPorts = self._settings.max_calls * PORTS_PER_LEG
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        # There is no sound device to close; PJSIP would count the calls at the end of each.
        config.medConfig.sndAutoCloseTime = -1
        config.logConfig.level = 1
        config.logConfig.consoleLevel = 1
        config.logConfig.msgLogging = 0
        return config

    def _listen(self, listen: Listen) -> Listen:
        config = pj.TransportConfig()
        config.boundAddress = str(listen.address)
        config.publicAddress = str(listen.address)
        config.port = listen.port
        if listen.tls is not None:
            _secure(config.tlsConfig, listen.tls)
        try:
            transport = self._endpoint.transportCreate(KINDS[listen.transport], config)
        except pj.Error as error:
            raise BindError(
                listen.transport.value, str(listen.address), listen.port, _reason(error)
            ) from error
        info = self._endpoint.transportGetInfo(transport)
        port = int(info.localName.rpartition(":")[2])
        return listen.model_copy(update={"port": port})

    def _choose_codecs(self) -> None:
        # All that some trunk speaks; sip/native/codecs.c decides what a trunk's SDP shows of them.
        wanted = {CODECS[codec] for codec in self._codecs}
        for codec in self._endpoint.codecEnum2():
            known = codec.codecId.rpartition("/")[0] in wanted
            self._endpoint.codecSetPriority(codec.codecId, 128 if known else 0)
        if Codec.OPUS in self._codecs:
            opus = self._endpoint.getCodecOpusConfig()
            opus.sample_rate, opus.channel_cnt = WIDE, 1  # the bridge has no more
            self._endpoint.setCodecOpusConfig(opus)

    def _on_timer(self) -> None:
        self._timer = self._loop.call_later(TIMER_INTERVAL, self._on_timer)
        # Each poll serves the timers too, so that a busy gateway is not woken for them as well.
        if not self._polled:
            self._poll()
        self._polled = False

    def _poll(self) -> None:
        self._polled = True
        self._work_off(native.poll())

    def _drain(self) -> None:
        self._drain_planned = False
        self._work_off(native.drain_events())

    def _work_off(self, events: list[NativeEvent]) -> None:
        for event in events:
            try:  # as _guard does, without its call for each event
                if event[2]:
                    self._on_event(event)
                else:
                    self._asked(event)
            except Exception:
                log.exception(FAILED)
        while self._queue:
            self._guard(self._queue.popleft())

    def _asked(self, event: NativeEvent) -> None:
        """An event that is no call's."""
        kind, _, _, number, extra, text1, text2 = event
        if kind == EventKind.RESOLVE:
            task = self._loop.create_task(self._resolve(number, text1))
            self._questions.add(task)
            task.add_done_callback(self._questions.discard)
        elif kind == EventKind.PING_ANSWERED:
            self._on_pinged(number, extra, text1)
        elif kind == EventKind.PJSIP_SAYS:
            log.warning("PJSIP complains", text=text2, source=text1, held_back=number)
        elif kind == EventKind.TLS_REFUSED:
            log.warning("peer refused", host=text1, reason=text2)

    async def _resolve(self, question: int, host: str) -> None:
        try:
            address = await self._names.address(host)
        except UnresolvedHost as error:
            log.warning("host not found", host=host, reason=str(error))
            address = ""
        native.resolved(question, address)
        self.soon()

    def _tick(self) -> None:
        os.read(self._clock_fd, 8)
        self._guard(self.players.tick)
        self._guard(self.pump.tick)

    @staticmethod
    def _guard(work: Callable[..., None], *arguments: object) -> None:
        # One call's bug must not stop the others' signalling.
        try:
            work(*arguments)
        except Exception:
            log.exception(FAILED)

    def _destroy(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        endpoint.libDestroy(DESTROY_WITHOUT_NETWORK)
        type(endpoint).__swig_destroy__(endpoint)


def _secure(config: Any, own: OwnCertificate) -> None:
    """Fill in TlsConfig."""
    config.certFile = str(own.certificate)
    config.privKeyFile = str(own.key)
    config.CaListFile = "" if own.client_ca is None else str(own.client_ca)
    config.proto = pj.PJ_SSL_SOCK_PROTO_TLS1_2 | pj.PJ_SSL_SOCK_PROTO_TLS1_3
    config.verifyClient = config.requireClientCert = own.clients == "certified"
    config.verifyServer = False  # by ourselves, for each trunk: sip/native/tls.c
    config.enableRenegotiation = False
    config.msecTimeout = HANDSHAKE_LIMIT_MS


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error)
