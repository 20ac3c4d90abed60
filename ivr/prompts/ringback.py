"""Ringing tones as the caller's country sounds them (ITU-T E.180, supplement 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ivr.prompts.recording import pcm16
from sip.audio import Pcm

LEVEL = 0.08
"""RMS of the tone as a fraction of full scale: -16 dBm0, as a full-scale sine is +3.14 (G.711)."""

RAMP = 0.005
"""Seconds in which a burst swells and fades, so that it does not click."""


@dataclass(frozen=True, slots=True)
class _Ringing:
    frequencies: tuple[int, ...]
    """Hz, sounded together."""
    bursts: tuple[tuple[float, float], ...]
    """Seconds of tone and of silence, for one period."""


_RINGING = {
    "eu": _Ringing((425,), ((1.0, 4.0),)),
    "us": _Ringing((440, 480), ((2.0, 4.0),)),
    "uk": _Ringing((400, 450), ((0.4, 0.2), (0.4, 2.0))),
}


def ringback(country: Literal["eu", "us", "uk"], rate: int) -> Pcm:
    """One period of a country's ringing tone, tone first; made to be looped."""
    ringing = _RINGING[country]
    parts = []
    for tone, silence in ringing.bursts:
        at = np.arange(round(tone * rate)) / rate
        wave = sum(np.sin(2 * np.pi * hertz * at) for hertz in ringing.frequencies)
        edge = np.minimum(1.0, np.minimum(at, tone - at) / RAMP)
        parts += [wave * edge, np.zeros(round(silence * rate))]
    amplitude = LEVEL * np.sqrt(2 / len(ringing.frequencies))
    return Pcm(pcm16(amplitude * np.concatenate(parts)), rate)
