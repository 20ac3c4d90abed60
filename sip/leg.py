"""A leg: one party's place in a call, as the rest of the product holds it.

A dialog fills the place (sip/dialog.py), and may be replaced there by another one (REFER, INVITE
with Replaces): what was joined to the leg, played to it or connected to it stays. The leg reports
its end only when the response to our BYE has been seen or waited for, so that the record shows how
the dialog really ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from config.media import Codec, Samples
from sip.audio import Pcm
from sip.dialog import Dialog, InviteState
from sip.digits import LONGEST_MS, LONGEST_OPUS_MS, SHORTEST_MS, Digits
from sip.engine import Engine
from sip.errors import CallEnded
from sip.events import (
    AudioRefused,
    AudioUnauthenticated,
    Direction,
    DtmfLost,
    DtmfReceived,
    HoldChanged,
    LegAnswered,
    LegCame,
    LegEnded,
    LegReplaced,
    LegStarted,
    LegWent,
    MediaStarted,
)
from sip.frame_pump import AudioPort
from sip.leg_audio import LegAudio
from sip.leg_info import CALLER, LegInfo
from sip.order import TransferOrder
from sip.outcome import Attempt
from sip.pj_call import PjCall
from sip.pjsip import EventKind, NativeEvent, native
from sip.recorder import Recorder
from sip.watched import Watched

# Seconds to wait for the response to our BYE, or for the final one to the INVITE that we have
# cancelled: four retransmissions of RFC 3261's T1. A peer silent for so long is gone, and the
# record should not wait Timer F's 32 s for it. PJSIP sees to the dialog in any case.
RELEASE_LIMIT = 2.0

KEY_SECONDS = 0.3
"""Greatest time that a key takes whose length is not said: PJSIP's 200 ms and its pause."""

KEY_PAUSE = 0.2
"""Seconds from an order to send a key until it has begun, and ended for good."""

KEYS_WAITING = 8.0
"""Seconds of keys that may wait to be sent: thirty short ones, and PJSIP keeps 32. Meanwhile the
peer hears nothing else."""

MESSAGES = frozenset({EventKind.MESSAGE_RECEIVED, EventKind.MESSAGE_SENT})


class Leg(Watched):
    """One party. Made by `Legs`; satisfies `ivr.ports.CallerCall`."""

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
        super().__init__()
        self.id = leg_id
        self.info = info
        """Of the first INVITE; it stays when another dialog takes the place."""
        self.dialog = Dialog(label, info.direction, info.trunk, info.sip_call_id, engine)
        """The one that fills the place now."""
        self._made_for = caller
        self.beside: list[Leg] = []
        """On the caller's leg: those that were made for it and are there."""
        self.partner: Leg | None = None
        """The leg that this one is joined with."""
        self.referrals = 0
        """How often a peer in this call was allowed to refer; counted on the caller's leg."""
        self.stranded: Attempt | None = None
        """The referral that failed after its referrer had left: why nobody is in this place."""
        self.audio = LegAudio(engine.players, engine.pump, engine.pass_through)
        self.digits = Digits()
        self._engine = engine
        self._loses_keys = False
        """That is told, and none could be sent at once since."""
        self._carry_out = carry_out
        self._on_end = on_end
        self.succession: asyncio.Future[None] | None = None
        """Looks for somebody to take this place, which is kept meanwhile even where its dialog
        ends. It comes to `take_over` or `give_up`; `release` cancels it."""
        loop = asyncio.get_running_loop()
        self._confirmed: asyncio.Future[str] = loop.create_future()
        self._audible: asyncio.Future[str] = loop.create_future()
        """Empty once the far end has answered, or audio can flow; else why it never will."""
        self._ended: asyncio.Future[LegEnded] = loop.create_future()
        if caller is not None:
            caller.beside.append(self)

    # -- how it stands --------------------------------------------------------------------------

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
    def label(self) -> str:
        """Of the dialog that fills the place: another one has another."""
        return self.dialog.label

    @property
    def held(self) -> bool:
        """Whether the peer has put us on hold."""
        return self.dialog.held

    @property
    def gone(self) -> bool:
        """Whether nothing can be asked of this leg any more."""
        return self.dialog.final is not None and self.succession is None

    @property
    def in_transfer(self) -> bool:
        """Whether a transfer of this very leg is under way: by a REFER of ours or of its peer, or
        by somebody who takes its place."""
        return self.succession is not None or self.dialog.wire.on_refer_final is not None

    @property
    def rx_packets(self) -> int:
        """RTP packets received in the current media session; 0 where there is none."""
        alive = self.dialog.final is None and self.audio.slot is not None
        return native.call_rx_packets(self.dialog.pj_id) if alive else 0

    # -- what can be done -----------------------------------------------------------------------

    async def answer(self) -> None:
        """Answer with 200, if that has not happened yet; return when audio can flow.

        Raises:
            CallEnded: the caller is gone, or shares no codec with us.
        """
        self.dialog.answer()
        await _come_true(self._audible)

    def reject(self, code: int, reason: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse the INVITE with a final status, 300 to 699. Raises CallEnded."""
        self.dialog.reject(code, reason, headers)

    def release(self, headers: Mapping[str, str] | None = None, code: int = 603) -> None:
        """End the leg by what fits its state, BYE, CANCEL or `code`, without waiting for the end.

        After a CANCEL, or where a 2xx crosses it, the leg stays until the INVITE's final response
        has been seen, for `RELEASE_LIMIT` at most.
        """
        if self.succession is not None:
            self.succession.cancel()
        self.dialog.release(headers, code)

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
        with suppress(CallEnded):
            self._here()
            self.open_early_media()
            self.audio.loop(audio)

    def alert(self, audio: Pcm) -> None:
        """Tell the caller that somebody is being rung: by `audio`, looped as by `loop`; or by 180,
        where the caller is neither answered nor hears early media: then its own telephone rings."""
        with suppress(CallEnded):
            self._here()
            if self.dialog.to_be_answered and self.audio.slot is None:
                self.dialog.ring(180)
            self.audio.loop(audio)

    def open_early_media(self) -> None:
        """Let a caller that is not answered hear us, by 183 with SDP. Raises CallEnded.

        One that has made no offer cannot: an offer of ours may stand in a reliable response only
        (RFC 3261 section 13.2.1). Its telephone rings, by 180.
        """
        if self.dialog.to_be_answered and self.audio.slot is None:
            self.dialog.ring(183 if self.info.offered else 180)

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
        self.dialog.send_dtmf(digits)
        self.audio.mix_for(KEY_SECONDS * len(digits) + KEY_PAUSE)

    def press(self, key: str, duration_ms: int) -> None:
        """Send one key by RFC 4733, or by INFO to a peer without it. A held peer gets none.

        One that has to wait for others is sent as short as can be, and none beyond KEYS_WAITING.
        """
        waiting = self.audio.keys_waiting
        if waiting > KEYS_WAITING:
            self._lose(key, waiting)
            return
        if waiting:
            duration_ms = SHORTEST_MS
        else:
            self._loses_keys = False
        longest = LONGEST_OPUS_MS if self.audio.codec == Codec.OPUS else LONGEST_MS
        duration_ms = min(duration_ms, longest)
        if self.dialog.press(key, duration_ms):
            self.audio.mix_for(duration_ms / 1000 + KEY_PAUSE)

    def _lose(self, key: str, waiting: float) -> None:
        self._engine.keys_lost += 1
        if not self._loses_keys:
            self._loses_keys = True
            self.emit(DtmfLost(self.label, key, round(waiting * 1000)))

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
        if self.dialog.final is not None:
            self.stranded = failed
            self._vacate()

    def take_over(self, other: Leg) -> None:
        """Change places: the other leg's dialog stands here from now on, this one's there.

        What was joined, played and connected stays with the place; the label goes with the dialog,
        and so does the recording of an agent. The caller's goes on, whoever stands there.
        """
        self.succession = None
        held = self.dialog.held
        here, there = self.audio.leave(), other.audio.leave()
        if self is not self.caller:
            mine, theirs = self.audio.part_from_recorder(), other.audio.part_from_recorder()
            if theirs is not None:
                self.audio.begin_recording(theirs)
            if mine is not None:
                other.audio.begin_recording(mine)
        self.dialog, other.dialog = other.dialog, self.dialog
        for leg, place in ((self, there), (other, here)):
            if place is not None:
                leg.audio.attach(*place)
        if self.dialog.answered and not self._confirmed.done():
            self._confirmed.set_result("")
        if self.audio.slot is not None and not self._audible.done():
            self._audible.set_result("")
        self.emit(LegReplaced(other.label, self.label))
        if self.dialog.held != held:
            self.emit(HoldChanged(self.label, self.dialog.held))
        other._vacate()

    def go_on_in(self, other: Leg) -> None:
        """Let this leg's dialog, which is answered, go on in a new place of another call.

        Nobody is here then: this place ends, unless it is kept by its `succession`.
        """
        place = self.audio.leave()
        dialog, label = self.dialog, self.dialog.label
        self.dialog = dialog.go_on_as(other.label, f"goes on in call {other.caller.id}")
        other.dialog = dialog
        other.audio.codec = self.audio.codec
        other._confirmed.set_result("")
        if place is not None:
            other.audio.attach(*place)
            other._audible.set_result("")
        self.emit(LegWent(label, other.caller.id, other.label))
        other.emit(LegCame(other.label, self.caller.id, label))
        if self.succession is None:
            self._vacate()

    # -- what PJSIP tells -----------------------------------------------------------------------

    def begin(self, call: PjCall) -> None:
        """Take charge of PJSIP's call object."""
        self.dialog.begin(call)
        info = self.info
        uri = info.from_uri if info.direction is Direction.RECEIVED else info.to_uri
        self.emit(LegStarted(self.label, info.direction, uri, info.trunk, info.attempt))

    def saw(self, event: NativeEvent) -> None:
        """Take in what happened in this dialog, in the order in which it happened."""
        kind, _, _, number, extra, text1, text2 = event
        dialog = self.dialog
        if kind in MESSAGES:  # most events are
            self.emit(dialog.wire.message(dialog.label, event))
            self._wire_saw(event)
        elif kind == EventKind.CALL_STATE:
            if dialog.final is None:
                self._state_changed(number, extra, text1)
        elif kind == EventKind.CALL_MEDIA:
            if dialog.final is None:
                self._media_changed(number, text1, text2, held=bool(extra))
        elif kind == EventKind.CALL_STREAM:
            dialog.measured(text1, text2)
        elif kind == EventKind.CALL_DTMF:
            self.digits.pressed(chr(number), crosses=bool(text2))
            self.emit(DtmfReceived(dialog.label, chr(number), extra, text1))
        elif kind == EventKind.CALL_DTMF_END:
            self.digits.released(chr(number), extra, crosses=bool(text2))
        elif kind == EventKind.RTP_REFUSED_SOURCE:
            self.emit(AudioRefused(dialog.label, text1))
        elif kind == EventKind.RTP_UNAUTHENTICATED:
            self.emit(AudioUnauthenticated(dialog.label, text1, bool(number)))
        else:
            self._wire_saw(event)

    def _wire_saw(self, event: NativeEvent) -> None:
        dialog = self.dialog
        dialog.wire.saw(event)
        if dialog.final is not None and not dialog.ending:
            self._end()

    def fail(self, reason: str) -> None:
        """The INVITE could not be sent at all."""
        self._disconnected(503, reason)

    def _state_changed(self, state: int, code: int, reason: str) -> None:
        """`state`: an InviteState."""
        if state == InviteState.DISCONNECTED:
            self._disconnected(code, reason)
            return
        happened = self.dialog.state_changed(state, code, reason)
        if happened is not None:
            self.emit(happened)
            if isinstance(happened, LegAnswered):
                self._confirmed.set_result("")
        if (headers := self.dialog.due_release) is not None:
            self.release(headers)

    def _media_changed(self, slot: int, codec: str, remote: str, *, held: bool) -> None:
        dialog = self.dialog
        if slot < 0 or native.call_slot(dialog.pj_id) != slot:
            # No audio, or gone since, by a BYE in the same batch: the slot may be a stranger's now.
            self.audio.detach()
            return
        self.audio.attach(slot, dialog.pj_id)
        self.audio.codec = codec.partition("/")[0]
        address, _, suite = remote.partition(" ")
        self.emit(MediaStarted(dialog.label, codec, address, suite))
        if (changed := dialog.hold_changed(held=held)) is not None:
            self.emit(changed)
        if not self._audible.done():
            self._audible.set_result("")

    def _disconnected(self, code: int, reason: str) -> None:
        self.dialog.end(code, reason)
        if self.succession is not None:
            self.audio.detach()
        else:
            self._vacate()

    def _vacate(self) -> None:
        """If the dialog has ended, this place ends with it."""
        if self.dialog.final is None:
            return
        code, reason = self.dialog.final
        self.audio.close()
        for waiting in (self._audible, self._confirmed):
            if not waiting.done():
                waiting.set_result(f"{code} {reason}")
        if self.dialog.ending:
            asyncio.get_running_loop().call_later(RELEASE_LIMIT, self._end)
        else:
            self._end()

    def _end(self) -> None:
        if self.succession is not None or self._ended.done():
            return
        ended = self.dialog.ended()
        if ended is None:
            return
        if self.caller is not self:
            self.caller.beside.remove(self)
        self._ended.set_result(ended)
        self._on_end(self)
        self.emit(ended)

    def _here(self) -> None:
        if self.gone:
            raise CallEnded(f"the {self.label} leg has ended")


async def _come_true(hope: asyncio.Future[str]) -> None:
    """Wait for `_confirmed` or `_audible`. Raises CallEnded, a new one each time: the traceback of
    one that the leg kept would lead back to it."""
    lost = hope.result() if hope.done() else await asyncio.shield(hope)
    if lost:
        raise CallEnded(lost)
