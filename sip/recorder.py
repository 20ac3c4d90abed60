"""What a caller says and what it hears, side by side: Python's side of sip/native/recorder.c.

Stereo PCM16 little-endian at 8000 Hz, in frames of 20 ms: left what the caller says, right what it
hears. Between the media clock and whoever reads stands a native ring of five seconds.
"""

from __future__ import annotations

from collections.abc import Callable

from sip.errors import MediaError
from sip.pjsip import native

RATE = 8000
"""Samples per second and channel; a bridge at another rate resamples."""

FRAME_SECONDS = 0.02


class Recorder:
    """Two places on the bridge whose audio is kept. Made by `Leg.record`.

    `read`, `frames` and `lost` may be asked for on any thread; the rest on the loop. Raises
    MediaError where the bridge has no place left.
    """

    def __init__(self) -> None:
        self.on_leave: Callable[[], None] | None = None
        try:
            self._id, self.left, self.right = native.recorder_open()
        except OSError as error:
            raise MediaError(str(error)) from error
        self._on_bridge = True

    @property
    def frames(self) -> int:
        """Frames of 20 ms recorded so far, without those of pauses, with those that were lost."""
        return self._state()[0]

    @property
    def lost(self) -> int:
        """Of those, how many found the ring full."""
        return self._state()[1]

    def pause(self) -> None:
        """Keep nothing, from the frame on that is just being heard."""
        native.recorder_pause(self._id, True)

    def resume(self) -> None:
        """Keep what is heard again, right behind what was kept before."""
        native.recorder_pause(self._id, False)

    def read(self, buffer: bytearray | memoryview) -> int:
        """Take what was kept, silence where it was lost. Returns the bytes filled in."""
        return native.recorder_read(self._id, buffer)

    def leave(self) -> None:
        """Hear no more. What was kept can still be read."""
        if not self._on_bridge:
            return
        self._on_bridge = False
        native.recorder_leave(self._id)
        if self.on_leave:
            self.on_leave()

    def close(self) -> None:
        """Forget what was kept. Nothing may be asked afterwards."""
        self.leave()
        native.recorder_free(self._id)

    def _state(self) -> tuple[int, int]:
        return native.recorder_state(self._id) or (0, 0)
