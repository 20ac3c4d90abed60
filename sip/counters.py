"""What the SIP side has seen, in figures: for the metrics."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

from sip.engine import Engine
from sip.pjsip import native


@dataclass(frozen=True, slots=True)
class Counters:
    """What the SIP side has seen; all but the first three only grow."""

    legs_active: int
    bot_ports_active: int
    refers_active: int
    gate_admitted: int
    gate_challenged: int
    gate_refused_source: int
    gate_refused_transport: int
    gate_refused_scanner: int
    gate_refused_credentials: int
    gate_refused_rate: int
    gate_refused_trunk_limit: int
    gate_refused_unencrypted: int
    gate_refused_shape: int
    gate_refused_method: int
    gate_refused_draining: int
    gate_refused_limit: int
    gate_refused_transfer: int
    gate_refused_call_id: int
    wire_events_dropped: int
    wire_malformed: int
    pjsip_lines: int
    clock_ticks: int
    clock_late_ticks: int
    rtp_strangers: int
    rtp_moved: int
    rtp_malformed: int
    rtp_unauthenticated: int
    rtp_replayed: int
    rtp_keys_refused: int
    rtp_keys_lost: int
    pump_rx_frames: int
    pump_rx_dropped: int
    pump_tx_bytes: int
    pump_tx_dropped_bytes: int
    pump_tx_underruns: int
    pump_rx_high_frames: int
    pump_tx_high_bytes: int

    @classmethod
    def read(cls, engine: Engine, *, legs_active: int) -> Self:
        """As they stand now."""
        strangers, moved, malformed, unauthenticated, replayed, keys_refused = native.rtp_counters()
        return cls(
            legs_active=legs_active,
            bot_ports_active=engine.pump.open_ports,
            refers_active=native.refer_count(),
            wire_events_dropped=native.events_dropped(),
            wire_malformed=native.malformed_packets(),
            pjsip_lines=native.log_lines(),
            clock_ticks=engine.clock.ticks,
            clock_late_ticks=engine.clock.late,
            rtp_strangers=strangers,
            rtp_moved=moved,
            rtp_malformed=malformed,
            rtp_unauthenticated=unauthenticated,
            rtp_replayed=replayed,
            rtp_keys_refused=keys_refused,
            rtp_keys_lost=engine.keys_lost,
            **{f"gate_{name}": count for name, count in native.gate_counters().items()},
            **{f"pump_{name}": count for name, count in asdict(engine.pump.counters).items()},
        )
