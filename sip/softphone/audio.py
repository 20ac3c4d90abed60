"""The sound of one call: what it sends, and the file of what it hears."""

from __future__ import annotations

from pathlib import Path

import pjsua2 as pj
import soundfile

from sip.softphone.hearing import Hearing

RATE = 8000
"""The bridge's clock rate: that of G.711, so that nothing is resampled."""

TICKS = 0.06
"""Seconds that a port outlives its last connection: the bridge may still be in its last frame."""

_LEVEL = 8000
"""Amplitude of tones, of 32767: -15 dBFS RMS, loud enough for any path."""

_TONE_MS = 30_000
"""One period of the looped tone; the generator's field is 16 bits."""


class CallAudio:
    """Tone or file towards the peer, recording from it. Ports live until `destroy`."""

    def __init__(self, record: Path | None) -> None:
        self.record = record
        self.hearing: Hearing | None = None
        self._call: pj.AudioMedia | None = None
        self._source: pj.AudioMedia | None = None
        self._recorder: pj.AudioMediaRecorder | None = None
        self._retired: list[pj.AudioMedia] = []

    def connect(self, call: pj.AudioMedia) -> None:
        """Link to the call's audio, anew after each negotiation: its port changes."""
        self._call = call
        if self._source is None:
            self.send_tone(None)
        else:
            self._source.startTransmit(call)
        if self.record is not None and self._recorder is None:
            self._recorder = pj.AudioMediaRecorder()
            self._recorder.createRecorder(str(self.record))
            self.hearing = Hearing(self.record, RATE)
        if self._recorder is not None:
            call.startTransmit(self._recorder)

    def disconnect(self) -> None:
        """The call's audio is gone; a source keeps its place for the next `connect`."""
        self._call = None

    def send_tone(self, hertz: int | None) -> None:
        """Send a sine wave in place of what was sent; None for silence.

        Silence has a source too: without one PJSIP sends no RTP, and its digits no timestamps.
        """
        generator = pj.ToneGenerator()
        generator.createToneGenerator(RATE)
        if hertz is not None:
            tone = pj.ToneDesc()
            tone.freq1, tone.freq2 = hertz, 0
            tone.on_msec, tone.off_msec, tone.volume = _TONE_MS, 0, _LEVEL
            generator.play(pj.ToneDescVector([tone]), True)
        self._send(generator)

    def send_file(self, path: Path) -> float:
        """Send a WAV file once; returns its length in seconds."""
        seconds: float = soundfile.info(path).duration
        player = pj.AudioMediaPlayer()
        player.createPlayer(str(path), pj.PJMEDIA_FILE_NO_LOOP)
        self._send(player)
        return seconds

    def _send(self, source: pj.AudioMedia) -> None:
        if self._source is not None:
            if self._call is not None:
                self._source.stopTransmit(self._call)
            self._retired.append(self._source)
        self._source = source
        if self._call is not None:
            source.startTransmit(self._call)

    def destroy(self) -> None:
        """Free every port, and finish the recording. Not within `TICKS` of the call's end."""
        for port in (*self._retired, self._source, self._recorder):
            if port is not None:
                type(port).__swig_destroy__(port)
        self._retired.clear()
        self._source = self._recorder = self._call = None
