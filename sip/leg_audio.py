"""The audio of one leg: what feeds it, what listens to it, and whom it is joined with.

The call's conference slot comes and goes (no media before the answer, a new stream after each
re-INVITE); the wishes stay. Each time the slot changes, every wish is connected anew.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from config.media import Samples
from sip.audio import Pcm
from sip.frame_pump import AudioPort, FramePump
from sip.pass_through import PassThrough
from sip.pjsip import native
from sip.players import Player, Players
from sip.recorder import Recorder

# Prompts are stored at the rate of G.711; a bridge at another rate resamples them.
PROMPT_RATE = 8000

# The bridge's master port: with no sound device behind it, a source of silence. Connected to every
# leg, so that RTP and its timestamps go on when nobody speaks; digits by RFC 4733 depend on them.
# Every leg is connected to it as well: the bridge reads a leg only while somebody hears it, and an
# unread jitter buffer fills, so that whoever hears the leg next hears it half a second late (517 ms
# measured) until the buffer has shed that, 10 ms at a time, each with a click.
SILENCE_SLOT = 0

# How much longer than its length a prompt may take before it counts as played: the caller may have
# put us on hold, or the media clock may be late.
UNHEARD_GRACE = 2.0

# A prompt whose last sample has left still stands in the network and in the peer's jitter buffer. A
# BYE right behind it would cut the last syllable (5 to 30 ms were missing at a telephone).
PLAYOUT_TAIL = 0.06


class LegAudio:
    """Everything that is heard on one leg, both ways."""

    def __init__(self, players: Players, pump: FramePump, pass_through: PassThrough) -> None:
        self._players = players
        self._pump = pump
        self._pass_through = pass_through
        self.slot: int | None = None
        """The call's place on the bridge; None: no audio is negotiated."""
        self.call: int | None = None
        """PJSIP's id of the call that stands there; None: no call does."""
        self.codec = ""
        """Encoding name of what the peer was heard in last; empty: it never was."""
        self.hears: LegAudio | None = None
        self.heard_by: LegAudio | None = None
        self._playing: set[Player] = set()
        self._idle: list[Player] = []
        self._background: Player | None = None
        self.last_loop: Pcm | None = None
        """What was looped last, running or not."""
        self._looping = False
        self._hushed = False
        self._ports: list[AudioPort] = []
        self._recorder: Recorder | None = None
        self._keys_end: asyncio.TimerHandle | None = None
        """The bridge is needed until then for what the stream itself sends; None: it is not."""

    def attach(self, slot: int, call: int | None = None) -> None:
        """The audio of a call, or of a port that is no call, stands at this slot from now on."""
        self.slot, self.call = slot, call
        for source in (SILENCE_SLOT, *self._source_slots()):
            native.connect(source, slot)
        native.connect(slot, SILENCE_SLOT)
        for sink in self._sink_slots():
            native.connect(slot, sink)
        self._settle()

    def detach(self) -> None:
        """The call has no audio any more; PJSIP has taken its slot off the bridge."""
        self._mix()
        self.slot = self.call = None

    def leave(self) -> tuple[int, int | None] | None:
        """Leave the slot to somebody else: nothing of this leg is heard there any more, and nothing
        from there. What is played, joined and connected waits for the next `attach`.

        Returns:
            What to `attach` there; None: there was nothing.
        """
        self._mix()
        slot, call = self.slot, self.call
        self.slot = self.call = None
        if slot is None:
            return None
        with suppress(OSError):  # what stands at the other end is leaving the bridge already
            for source in self._source_slots():
                native.disconnect(source, slot)
            for sink in self._sink_slots():
                native.disconnect(slot, sink)
        return slot, call

    async def play(self, audio: Pcm) -> None:
        """Play once, mixed with whatever else is played; cancelling stops it.

        Raises:
            CallEnded: the leg ended meanwhile.
        """
        player = self._idle.pop() if self._idle else self._new_player()
        self._playing.add(player)
        self._settle()
        # A port that nothing hears is never asked for audio, so its end would never come.
        unheard = asyncio.get_running_loop().call_later(audio.seconds + UNHEARD_GRACE, player.stop)
        try:
            await player.play(audio)
            await asyncio.sleep(PLAYOUT_TAIL)
        except asyncio.CancelledError:
            if player in self._playing:
                player.stop()
            raise
        finally:
            unheard.cancel()
            if player in self._playing:
                self._playing.remove(player)
                self._idle.append(player)
            self._settle()

    def loop(self, audio: Pcm) -> None:
        """Play again and again below everything else, until `stop_loop`."""
        self.last_loop, self._looping = audio, True
        if self._hushed:
            return
        if self._background is None:
            self._background = self._new_player()
        self._background.loop(audio)
        self._settle()

    def stop_loop(self) -> None:
        """End the background sound."""
        self._looping = False
        if self._background is not None:
            self._background.stop()
        self._settle()

    def hush(self) -> None:
        """Silence the background sound, until `unhush`."""
        self._hushed = True
        if self._background is not None:
            self._background.stop()
        self._settle()

    def unhush(self) -> None:
        """Let the background sound, if there is one, be heard again."""
        self._hushed = False
        if self._looping and self.last_loop is not None:
            self.loop(self.last_loop)

    def open_port(self, rate: int, samples: Samples) -> AudioPort:
        """Connect a bot both ways. The port leaves the bridge with `close` or with the leg."""
        port = self._pump.open(rate, samples)
        self._ports.append(port)
        port.on_close = lambda: self._forget_port(port)
        self._feed(port.slot)
        if self.slot is not None:
            native.connect(self.slot, port.slot)
        self._settle()
        return port

    def record(self) -> Recorder:
        """Keep what this leg says and what it hears, until the recorder or the leg leaves."""
        recorder = Recorder()
        self.begin_recording(recorder)
        return recorder

    def begin_recording(self, recorder: Recorder) -> None:
        """Let this one hear what is said and heard here."""
        self._recorder = recorder
        recorder.on_leave = self._forget_recorder
        if self.slot is not None:
            native.connect(self.slot, recorder.left)
        for source in self._source_slots():
            native.connect(source, recorder.right)
        self._settle()

    def part_from_recorder(self) -> Recorder | None:
        """Give the recorder away. The slot has been left."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            for source in self._source_slots():
                with suppress(OSError):  # it is leaving the bridge already
                    native.disconnect(source, recorder.right)
        return recorder

    def hear(self, other: LegAudio) -> None:
        """Let this leg hear the other one."""
        self.hears, other.heard_by = other, self
        if other.slot is not None:
            self._feed(other.slot)
        self._settle()

    def unhear(self) -> None:
        """Undo `hear`."""
        other, self.hears = self.hears, None
        if other is None:
            return
        other.heard_by = None
        self._mix()
        if other.slot is not None:
            for sink in self.heard_at():
                with suppress(OSError):  # one of the two is leaving the bridge already
                    native.disconnect(other.slot, sink)

    def join(self, other: LegAudio) -> None:
        """Let both legs hear each other."""
        self.hear(other)
        other.hear(self)

    def part(self) -> None:
        """Undo every `hear` that this leg takes part in."""
        self.unhear()
        if self.heard_by is not None:
            self.heard_by.unhear()

    @property
    def keys_waiting(self) -> float:
        """Seconds until the keys that the stream has been given are sent."""
        if self._keys_end is None:
            return 0.0
        return max(0.0, self._keys_end.when() - asyncio.get_running_loop().time())

    def mix_for(self, seconds: float) -> None:
        """Let the stream itself send for so long, behind what it has been given before: keys."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.keys_waiting + seconds
        if self._keys_end is not None:
            self._keys_end.cancel()
        self._keys_end = loop.call_at(end, self._keys_sent)
        self._settle()

    def _keys_sent(self) -> None:
        self._keys_end = None
        self._settle()

    def close(self) -> None:
        """The leg is gone: give everything back."""
        self.part()
        self._mix()
        for port in list(self._ports):
            port.close()
        if self._recorder is not None:
            self._recorder.leave()
        players = self._players_on_bridge()
        self._playing.clear()
        self._idle.clear()
        self._background = None
        self.slot = self.call = None
        for player in players:
            player.close()

    def _settle(self) -> None:
        """Let what two parties say to each other pass undecoded, if nobody else takes part."""
        other = self.hears
        if (
            other is not None
            and other.hears is self
            and self.call is not None
            and other.call is not None
            and self.is_alone
            and other.is_alone
        ):
            self._pass_through.join(self.call, other.call)
        else:
            self._mix()

    def _mix(self) -> None:
        if self.call is not None:
            self._pass_through.part(self.call)

    @property
    def is_alone(self) -> bool:
        """Whether nobody listens and speaks to this leg but the one that it is joined with."""
        return not (
            self._playing
            or (self._looping and not self._hushed)
            or self._ports
            or self._recorder is not None
            or self._keys_end is not None
        )

    def _new_player(self) -> Player:
        player = Player(self._players, PROMPT_RATE)
        self._feed(player.slot)
        return player

    def _feed(self, source: int) -> None:
        for sink in self.heard_at():
            native.connect(source, sink)

    def heard_at(self) -> list[int]:
        """Where what this leg hears goes."""
        sinks = [] if self.slot is None else [self.slot]
        return sinks if self._recorder is None else [*sinks, self._recorder.right]

    def _sink_slots(self) -> list[int]:
        """Where what this leg says goes."""
        sinks = [port.slot for port in self._ports]
        if self._recorder is not None:
            sinks.append(self._recorder.left)
        return sinks if self.heard_by is None else [*sinks, *self.heard_by.heard_at()]

    def _forget_recorder(self) -> None:
        self._recorder = None
        self._settle()

    def _forget_port(self, port: AudioPort) -> None:
        self._ports.remove(port)
        self._settle()

    def _source_slots(self) -> list[int]:
        sources = [player.slot for player in self._players_on_bridge()]
        sources += [port.slot for port in self._ports]
        if self.hears is not None and self.hears.slot is not None:
            sources.append(self.hears.slot)
        return sources

    def _players_on_bridge(self) -> list[Player]:
        background = [self._background] if self._background is not None else []
        return [*self._playing, *self._idle, *background]
