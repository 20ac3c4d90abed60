"""A leg: one party's place in a call and the SIP dialog that fills it, as the rest of the product
holds it.

A leg outlives PJSIP's call object: it reports its end only when the response to our BYE has been
seen or waited for, so that the record shows how the dialog really ended. And it outlives a dialog
whose place another one takes (REFER, INVITE with Replaces): what was joined to it, played to it or
connected to it stays.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import IntEnum

import structlog

from config.media import Samples
from sip.audio import Pcm
from sip.digits import Digits
from sip.engine import Engine
from sip.errors import CallEnded
from sip.events import (
    AudioRefused,
    AudioSilent,
    Direction,
    DtmfReceived,
    Event,
    HoldChanged,
    LegAnswered,
    LegCame,
    LegEnded,
    LegProgress,
    LegReplaced,
    LegStarted,
    LegWent,
    MediaQuality,
    MediaStarted,
)
from sip.frame_pump import AudioPort
from sip.leg_audio import LegAudio
from sip.leg_info import CALLER, LegInfo
from sip.order import TransferOrder
from sip.outcome import Attempt, Side
from sip.pj_call import PjCall, digit_parameters
from sip.pjsip import EventKind, NativeEvent, native, pj
from sip.recorder import Recorder
from sip.wire import Wire

log = structlog.get_logger(__name__)

# Seconds to wait for the response to our BYE, or for the final one to the INVITE that we have
# cancelled: four retransmissions of RFC 3261's T1. A peer silent for so long is gone, and the
# record should not wait Timer F's 32 s for it. PJSIP sees to the dialog in any case.
RELEASE_LIMIT = 2.0

# Events kept for late subscribers: an INVITE to its BYE takes about twenty.
MAX_HISTORY = 512

SILENT_REASON = {"Reason": 'Q.850;cause=41;text="no audio received"'}
"""Of the BYE to a leg that fell silent (RFC 3326; Q.850 cause 41: temporary failure)."""

KEY_SECONDS = 0.3
"""Greatest time that a key takes whose length is not said: PJSIP's 200 ms and its pause."""

KEY_PAUSE = 0.2
"""Seconds from an order to send a key until it has begun, and ended for good."""


MESSAGES = frozenset({EventKind.MESSAGE_RECEIVED, EventKind.MESSAGE_SENT})


class InviteState(IntEnum):
    """pjsip_inv_state."""

    NULL = 0
    CALLING = 1
    INCOMING = 2
    EARLY = 3
    CONNECTING = 4
    CONFIRMED = 5
    DISCONNECTED = 6


# What belongs to the dialog rather than to the party's place in the call: `take_over` moves it.
_OF_THE_DIALOG = (
    "label",
    "wire",
    "sip_call_id",
    "answered",
    "held",
    "rang",
    "direction",
    "trunk",
    "_off_hold",
    "_call",
    "_started",
    "_quality",
    "_answering",
    "_acknowledged",
    "_release_headers",
    "_ended_by",
    "_final",
)


class Leg:
    """One party. Made by `SipAgent`; satisfies `ivr.ports.CallerCall`."""

    def __init__(
        self,
        leg_id: str,
        label: str,
        info: LegInfo,
        *,
        engine: Engine,
        carry_out: Callable[[Leg, TransferOrder], Awaitable[Attempt]],
        on_end: Callable[[Leg], None],
        caller: Leg | None = None,
    ) -> None:
        self.id = leg_id
        self.label = label
        """Names the dialog in every event; another dialog in this place has another one."""
        self.info = info
        """Of the first INVITE; it stays when another dialog takes the place."""
        self.sip_call_id = info.sip_call_id
        """Of the dialog that fills the place now."""
        self.trunk = info.trunk
        """Over which that dialog runs; empty: over none."""
        self.direction = info.direction
        """Which way the INVITE of that dialog went."""
        self._made_for = caller
        self.beside: list[Leg] = []
        """On the caller's leg: those that were made for it and are there."""
        self.partner: Leg | None = None
        """The leg that this one is joined with."""
        self.referrals = 0
        """How often a peer in this call was allowed to refer; counted on the caller's leg."""
        self.stranded: Attempt | None = None
        """The referral that failed after its referrer had left: why nobody is in this place."""
        self.answered = False
        self.held = False
        self.rang = False
        """Whether an outbound leg got a 180 or 183."""
        self.audio = LegAudio(engine.players, engine.pump, engine.pass_through)
        self.wire = Wire(label)
        self.digits = Digits()
        self._engine = engine
        self._carry_out = carry_out
        self._on_end = on_end
        self._call: PjCall | None = None
        self.succession: asyncio.Future[None] | None = None
        """Looks for somebody to take this place, which is kept meanwhile even where its dialog
        ends. It comes to `take_over` or `give_up`; `release` cancels it."""
        self._started = time.monotonic()
        self._listeners: tuple[Callable[[Event], None], ...] = ()
        self._history: deque[Event] = deque(maxlen=MAX_HISTORY)
        self._quality = MediaQuality()
        # Nothing is left to be answered: we have, or we called.
        self._answering = info.direction is Direction.SENT
        self._acknowledged = False
        # What the BYE will carry that waits for the ACK.
        self._release_headers: Mapping[str, str] | None = None
        self._ended_by: Side | None = None
        # Status and reason PJSIP ended the call with; set once it is gone.
        self._final: tuple[int, str] | None = None
        loop = asyncio.get_running_loop()
        self._confirmed: asyncio.Future[str] = loop.create_future()
        self._audible: asyncio.Future[str] = loop.create_future()
        """Empty once the far end has answered, or audio can flow; else why it never will."""
        self._off_hold = asyncio.Event()  # set when the peer lets us be heard
        self._ended: asyncio.Future[LegEnded] = loop.create_future()

        if caller is not None:
            caller.beside.append(self)

    # -- what happens ---------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Replay what happened so far into `listener`, then call it for each event, on the loop."""
        for event in list(self._history):
            listener(event)
        self._listeners += (listener,)

    def unwatch(self) -> None:
        """The call is over, and nobody watches this leg any more. Its listeners know the call, and
        the call this leg: together they would wait for the garbage collector."""
        self._listeners = ()

    @contextmanager
    def listening(self, listener: Callable[[Event], None]) -> Iterator[None]:
        """Call `listener` for each event from now on, until the block is left."""
        self._listeners += (listener,)
        try:
            yield
        finally:
            self._unsubscribe(listener)

    async def events(self) -> AsyncIterator[Event]:
        """What happened and happens on this leg, to its end."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self.subscribe(queue.put_nowait)
        try:
            while True:
                event = await queue.get()
                yield event
                if isinstance(event, LegEnded) and event.leg == self.label:
                    return
        finally:
            self._unsubscribe(queue.put_nowait)

    def _unsubscribe(self, listener: Callable[[Event], None]) -> None:
        self._listeners = tuple(each for each in self._listeners if each != listener)

    def emit(self, event: Event) -> None:
        """Tell everybody who watches this leg."""
        self._history.append(event)
        for listener in self._listeners:
            listener(event)

    async def wait_ended(self) -> LegEnded:
        """Return when the leg is gone."""
        return await asyncio.shield(self._ended)

    async def wait_confirmed(self) -> None:
        """Return when the far end has answered. Raises CallEnded if it never does."""
        await _come_true(self._confirmed)

    async def wait_audible(self) -> None:
        """Return when audio can flow. Raises CallEnded if the leg ends before."""
        await _come_true(self._audible)

    @property
    def caller(self) -> Leg:
        """The leg of the call that this one was made for; itself where it is the caller's."""
        return self._made_for or self

    @property
    def gone(self) -> bool:
        """Whether nothing can be asked of this leg any more."""
        return self._final is not None and self.succession is None

    @property
    def in_transfer(self) -> bool:
        """Whether a transfer of this very leg is under way: by a REFER of ours or of its peer, or
        by somebody who takes its place."""
        return self.succession is not None or self.wire.on_refer_final is not None

    @property
    def tags(self) -> tuple[str, str]:
        """Ours and the peer's, of the dialog (RFC 3261 section 12); empty once it has ended."""
        return native.dialog_tags(self.pj_id) if self._call is not None else ("", "")

    @property
    def rx_packets(self) -> int:
        """RTP packets received in the current media session; 0 where there is none."""
        alive = self._final is None and self.audio.slot is not None
        return native.call_rx_packets(self.pj_id) if alive else 0

    @property
    def unreached(self) -> bool:
        """Whether the next hop of an outbound leg never took its INVITE: no answer at all, or 503.

        Then nobody's telephone can have rung, and another hop may be tried (RFC 3263 section 4.3).
        """
        failure = self.wire.failure
        return (
            not self.answered
            and not self.rang
            and (not self.wire.responded if failure is None else failure.status == 503)
        )

    @property
    def pj_id(self) -> int:
        """PJSIP's id of the call, for use at once. Raises CallEnded."""
        return int(self._alive().getId())

    # -- what can be done -----------------------------------------------------------------------

    def ring(self, code: int = 180) -> None:
        """Send a provisional response, 101 to 199. Raises CallEnded."""
        native.call_answer(self.pj_id, code, "", [])
        self._engine.soon()

    async def answer(self) -> None:
        """Answer with 200, if that has not happened yet; return when audio can flow.

        Raises:
            CallEnded: the caller is gone, or shares no codec with us.
        """
        call = self.pj_id
        if not self._answering:
            self._answering = True
            native.call_answer(call, 200, "", [])
            self._engine.soon()
        await _come_true(self._audible)

    def reject(self, code: int, reason: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse the INVITE with a final status, 300 to 699. Raises CallEnded."""
        call = self.pj_id
        self._ended_by = Side.GATEWAY
        native.call_answer(call, code, reason, list(headers))
        self._engine.soon()

    def release(self, headers: Mapping[str, str] | None = None, code: int = 603) -> None:
        """End the leg by what fits its state, BYE, CANCEL or `code`, without waiting for the end.

        After a CANCEL, or where a 2xx crosses it, the leg stays until the INVITE's final response
        has been seen, for `RELEASE_LIMIT` at most.
        """
        if self.succession is not None:
            self.succession.cancel()
        call = self._call
        if call is None:
            return
        if self.direction is Direction.RECEIVED and not self._answering:
            self.reject(code, headers=(headers or {}).items())
            return
        self._ended_by = Side.GATEWAY
        if headers and self.direction is Direction.RECEIVED and not self._acknowledged:
            # PJSIP would wait for the ACK as well, but lose the headers over it.
            self._release_headers = headers
            return
        native.call_hangup(self.pj_id, 0, "", list((headers or {}).items()))
        self._engine.soon()

    def give_up_silent(self, seconds: float) -> None:
        """Nothing was heard for so long: end the leg, unless its party is on hold."""
        if not self.answered or self.held or self._ended_by is not None:
            return
        self.emit(AudioSilent(self.label, seconds))
        self.release(SILENT_REASON)

    async def hangup(self, headers: Mapping[str, str], code: int = 603) -> None:
        """End the leg, and return when it is gone. Raises CallEnded if it was gone before.

        Args:
            headers: sent on the BYE, or on the refusal of an INVITE that is not answered.
            code: of that refusal.
        """
        self._here()
        self.release(headers, code)
        await self.wait_ended()

    async def play(self, audio: Pcm) -> None:
        """Play once; return at the end. Cancelling stops the audio. Raises CallEnded.

        A caller that is not answered yet hears it as early media (RFC 3960).
        """
        self._here()
        self.open_early_media()
        await self.audio.play(audio)

    def loop(self, audio: Pcm) -> None:
        """Play again and again below everything else, until `stop_loop` or a join.

        A caller that is not answered yet hears it as early media (RFC 3960).
        """
        if not self.gone:
            self.open_early_media()
            self.audio.loop(audio)

    def alert(self, audio: Pcm) -> None:
        """Tell the caller that somebody is being rung: by `audio`, looped as by `loop`; or by 180,
        where the caller is neither answered nor hears early media: then its own telephone rings."""
        if self.gone:
            return
        if not self._answering and self.audio.slot is None:
            self.ring(180)
        self.audio.loop(audio)

    def open_early_media(self) -> None:
        """Let a caller that is not answered hear us, by 183 with SDP. Raises CallEnded.

        One that has made no offer cannot: an offer of ours may stand in a reliable response only
        (RFC 3261 section 13.2.1). Its telephone rings, by 180.
        """
        received = self.direction is Direction.RECEIVED
        if received and not self._answering and self.audio.slot is None:
            self.ring(183 if self.info.offered else 180)

    def stop_loop(self) -> None:
        """End the sound that loops."""
        self.audio.stop_loop()

    def open_audio(self, rate: int, samples: Samples = Samples.PCM16) -> AudioPort:
        """Connect a bot at 8000, 16000 or 24000 Hz, in G.711 at 8000. Raises CallEnded."""
        self._here()
        return self.audio.open_port(rate, samples)

    def record(self, label: str = CALLER) -> Recorder:
        """Keep what is said and heard on a leg of this call, one recorder at once on each.

        Args:
            label: `caller`: this leg, whoever stands there; or the label of one beside it.

        Raises:
            CallEnded: the leg is gone.
            MediaError: the bridge is full.
        """
        beside = (each for each in self.beside if each.label == label)
        leg = self if label == CALLER else next(beside, None)
        if leg is None or leg.gone:
            raise CallEnded(f"the {label} leg has ended")
        return leg.audio.record()

    async def send_dtmf(self, digits: str) -> None:
        """Send digits by RFC 4733. Raises CallEnded."""
        self._alive().dialDtmf(digits)
        self.audio.mix_for(KEY_SECONDS * len(digits) + KEY_PAUSE)

    def press(self, key: str, duration_ms: int) -> None:
        """Send one key by RFC 4733, or by INFO to a peer without it. A held peer gets none."""
        call = self._call
        if call is None or self._final is not None:
            return
        for by_info in (False, True):
            with suppress(pj.Error):
                call.sendDtmf(digit_parameters(key, duration_ms, by_info=by_info))
                if not by_info:
                    self.audio.mix_for(duration_ms / 1000 + KEY_PAUSE)
                self._engine.soon()
                return

    async def wait_off_hold(self) -> None:
        """Return when the peer does not hold us. Raises CallEnded."""
        self._alive()
        if self.held:
            self._off_hold.clear()
            await self._off_hold.wait()
            self._alive()

    def reinvite(self) -> None:
        """Offer audio both ways by re-INVITE (RFC 3261 section 14.1); `wire` tells its status.

        Raises:
            CallEnded: the leg is gone.
            OSError: another INVITE is under way in this dialog.
        """
        call = self._alive()
        try:
            call.reinvite(pj.CallOpParam())
        except pj.Error as error:
            raise OSError(f"sending re-INVITE: {error.reason}") from error
        self._engine.soon()

    def refer(self, refer_to: str, headers: list[tuple[str, str]]) -> int:
        """Send REFER in this dialog (RFC 3515).

        Returns:
            What `wire` names its response and its NOTIFYs by. `end_refer` gives it back.

        Raises:
            CallEnded: the leg is gone.
            OSError: it cannot leave.
        """
        refer = native.refer_send(self.pj_id, refer_to, headers)
        self._engine.soon()
        return refer

    @property
    def remote_target(self) -> str:
        """The URI at which the peer's telephone is reached: its Contact. Raises CallEnded."""
        return native.dialog_target(self.pj_id)

    def unsubscribe(self, refer: int) -> None:
        """Ask the peer for no more NOTIFYs (RFC 3515 section 2.4.4). OSError: it cannot leave."""
        native.refer_unsubscribe(refer)
        self._engine.soon()

    def end_refer(self, refer: int) -> None:
        """Hear no more of a REFER. NOTIFYs that still come are answered."""
        native.refer_end(refer)

    async def transfer(self, order: TransferOrder) -> Attempt:
        """Carry out one transfer attempt and return its verdict. Raises CallEnded if gone."""
        self._here()
        return await self._carry_out(self, order)

    # -- joined, and replaced -------------------------------------------------------------------

    def join(self, other: Leg) -> None:
        """Let both parties hear each other."""
        self.audio.part()
        self.audio.join(other.audio)
        self.partner, other.partner = other, self

    def part(self) -> None:
        """Undo `join`, and whatever else this leg hears of another or another of it."""
        self.audio.part()
        if self.partner is not None:
            self.partner.partner = None
            self.partner = None

    def give_up(self, failed: Attempt | None) -> None:
        """Nobody takes the place. It ends where its dialog has ended."""
        self.succession = None
        if self._final is not None:
            self.stranded = failed
            self._vacate()

    def take_over(self, other: Leg) -> None:
        """Change places: the other leg's dialog stands here from now on, this one's there.

        What was joined, played and connected stays with the place; the label goes with the dialog,
        and so does the recording of an agent. The caller's goes on, whoever stands there.
        """
        self.succession = None
        held = self.held
        here, there = self.audio.leave(), other.audio.leave()
        if self is not self.caller:
            mine, theirs = self.audio.part_from_recorder(), other.audio.part_from_recorder()
            if theirs is not None:
                self.audio.begin_recording(theirs)
            if mine is not None:
                other.audio.begin_recording(mine)
        for name in _OF_THE_DIALOG:
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, theirs)
            setattr(other, name, mine)
        for leg, place in ((self, there), (other, here)):
            if place is not None:
                leg.audio.attach(*place)
        if self.answered and not self._confirmed.done():
            self._confirmed.set_result("")
        if self.audio.slot is not None and not self._audible.done():
            self._audible.set_result("")
        self.emit(LegReplaced(other.label, self.label))
        if self.held != held:
            self.emit(HoldChanged(self.label, self.held))
        if other._final is not None:
            other._vacate()

    def go_on_in(self, other: Leg) -> None:
        """Let this leg's dialog, which is answered, go on in a new place of another call.

        Nobody is here then: this place ends, unless it is kept by its `succession`.
        """
        place = self.audio.leave()
        for name in _OF_THE_DIALOG:
            if name != "label":
                setattr(other, name, getattr(self, name))
        other.wire.label = other.label
        other.audio.codec = self.audio.codec
        other._confirmed.set_result("")
        if place is not None:
            other.audio.attach(*place)
            other._audible.set_result("")
        self.wire = Wire(self.label)
        self.sip_call_id = ""
        self._off_hold = asyncio.Event()
        self._quality = MediaQuality()
        self._call, self._final = None, (200, f"goes on in call {other.caller.id}")
        self.emit(LegWent(self.label, other.caller.id, other.label))
        other.emit(LegCame(other.label, self.caller.id, self.label))
        if self.succession is None:
            self._vacate()

    # -- what PJSIP tells -----------------------------------------------------------------------

    def begin(self, call: PjCall) -> None:
        """Take charge of PJSIP's call object."""
        self._call = call
        info = self.info
        uri = info.from_uri if info.direction is Direction.RECEIVED else info.to_uri
        self.emit(LegStarted(self.label, info.direction, uri, info.trunk, info.attempt))

    def saw(self, event: NativeEvent) -> None:
        """Take in what happened in this dialog, in the order in which it happened."""
        kind, _, _, number, extra, text1, text2 = event
        if kind in MESSAGES:  # most events are
            self.emit(self.wire.message(event))
            self._wire_saw(event)
        elif kind == EventKind.CALL_STATE:
            if self._final is None:
                self._state_changed(number, extra, text1)
        elif kind == EventKind.CALL_MEDIA:
            if self._final is None:
                self._media_changed(number, text1, text2, held=bool(extra))
        elif kind == EventKind.CALL_STREAM:
            self._quality = _quality(text1, text2)
        elif kind == EventKind.CALL_DTMF:
            self.digits.pressed(chr(number), crosses=bool(text2))
            self.emit(DtmfReceived(self.label, chr(number), extra, text1))
        elif kind == EventKind.CALL_DTMF_END:
            self.digits.released(chr(number), extra, crosses=bool(text2))
        elif kind == EventKind.RTP_REFUSED_SOURCE:
            self.emit(AudioRefused(self.label, text1))
        else:
            self._wire_saw(event)

    def _wire_saw(self, event: NativeEvent) -> None:
        self.wire.saw(event)
        if self._final is not None and self._seen_off:
            self._end()

    def fail(self, reason: str) -> None:
        """The INVITE could not be sent at all."""
        self._disconnect(503, reason)

    def _state_changed(self, state: int, code: int, reason: str) -> None:
        """`state`: an InviteState."""
        if state == InviteState.CONFIRMED:
            self._acknowledged = True
            if self._release_headers is not None:
                self.release(self._release_headers)
        match state:
            case InviteState.EARLY if self.direction is Direction.SENT:
                self.rang = True
                self.emit(LegProgress(self.label, code, reason, self.wire.provisional_has_sdp))
            case InviteState.CONNECTING | InviteState.CONFIRMED if not self.answered:
                self.answered = True
                setup_ms = round((time.monotonic() - self._started) * 1000)
                self.emit(LegAnswered(self.label, setup_ms))
                self._confirmed.set_result("")
            case InviteState.DISCONNECTED:
                self._disconnect(code, reason)

    def _media_changed(self, slot: int, codec: str, remote: str, *, held: bool) -> None:
        if slot < 0 or native.call_slot(self.pj_id) != slot:
            # No audio, or gone since, by a BYE in the same batch: the slot may be a stranger's now.
            self.audio.detach()
            return
        self.audio.attach(slot, self.pj_id)
        self.audio.codec = codec.partition("/")[0]
        address, _, suite = remote.partition(" ")
        self.emit(MediaStarted(self.label, codec, address, suite))
        if held != self.held:
            self.held = held
            self.emit(HoldChanged(self.label, held))
        if not held:
            self._off_hold.set()
        if not self._audible.done():
            self._audible.set_result("")

    def _disconnect(self, code: int, reason: str) -> None:
        self._final = (code, reason)
        call, self._call = self._call, None
        if call is not None:
            call.destroy()
        if self.succession is not None:
            self.audio.detach()
        else:
            self._vacate()

    def _vacate(self) -> None:
        """The dialog has ended, and with it this place."""
        if self._final is None:
            return
        code, reason = self._final
        self.audio.close()
        self._off_hold.set()
        for waiting in (self._audible, self._confirmed):
            if not waiting.done():
                waiting.set_result(f"{code} {reason}")
        released = self.answered or self.direction is Direction.SENT
        if self._ended_by is Side.GATEWAY and released and not self._seen_off:
            asyncio.get_running_loop().call_later(RELEASE_LIMIT, self._end)
        else:
            self._end()

    def _end(self) -> None:
        if self._final is None or self.succession is not None or self._ended.done():
            return
        code, reason = self._final
        if self.caller is not self:
            self.caller.beside.remove(self)
        ended = LegEnded(self.label, code, reason, self._who_ended(), self._quality)
        self._ended.set_result(ended)
        self._on_end(self)
        self.emit(ended)

    @property
    def _seen_off(self) -> bool:
        """Whether the peer has confirmed the end: by its response to our BYE, or by refusing our
        INVITE, as it must do after a CANCEL (RFC 3261 section 9.2)."""
        refused = self.wire.failure is not None and not self.answered
        return refused or self.wire.bye_answered is not None

    def _who_ended(self) -> Side:
        peer = Side.CALLER if self.label.partition("-")[0] == CALLER else Side.TARGET
        if self._ended_by is not None:
            return self._ended_by
        # Answered, and neither side said BYE: PJSIP gave up (no ACK, session timer, transport).
        return peer if self.wire.bye_received or not self.answered else Side.GATEWAY

    def _alive(self) -> PjCall:
        if self._call is None:
            raise CallEnded(f"the {self.label} leg has ended")
        return self._call

    def _here(self) -> None:
        if self.gone:
            raise CallEnded(f"the {self.label} leg has ended")


async def _come_true(hope: asyncio.Future[str]) -> None:
    """Wait for `_confirmed` or `_audible`. Raises CallEnded, a new one each time: the traceback of
    one that the leg kept would lead back to it."""
    lost = hope.result() if hope.done() else await asyncio.shield(hope)
    if lost:
        raise CallEnded(lost)


def _quality(codec: str, figures: str) -> MediaQuality:
    """Of the ten figures of sip/native/call.c."""
    packets, size, lost, discarded, jitter, tx_packets, tx_size, tx_lost, round_trip, passed = map(
        int, figures.split()
    )
    return MediaQuality(
        codec=codec,
        rx_packets=packets,
        rx_bytes=size,
        rx_lost=lost,
        rx_discarded=discarded,
        rx_jitter_ms=round(max(0, jitter) / 1000, 2),
        tx_packets=tx_packets,
        tx_bytes=tx_size,
        tx_lost=tx_lost,
        tx_passed=passed,
        rtt_ms=round(max(0, round_trip) / 1000, 2),
    )
