"""What the tests of the service act with: a configuration in memory, events, a finished call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from config.configuration import Configuration
from config.flows import Flow
from config.settings import Settings
from gateway.agent import CallerLeg
from gateway.availability import Availability
from gateway.call import CallSession, Tokens
from gateway.capabilities import TrunkCapabilities
from gateway.database import open_engine
from gateway.memory import Memory
from gateway.records import CallRecord, FinishedCall, encode_events
from gateway.timeline import CallEvent, Timeline
from ivr.disposition import Disposition
from ivr.events import NodeEntered
from ivr.ports import PromptSource
from ivr.result import EndReason
from sip.events import Direction, MediaQuality, SipMessage
from sip.outcome import Attempt, Method, Outcome, Side, Step
from tests.unit.gateway.agent_twin import TwinTokens

DEADLINE = 10.0
"""Seconds after which a test that waits has failed."""

STARTED = 1_790_000_000.0

ATTEMPT = Attempt(
    id="t1",
    method=Method.REFER,
    target="billing",
    uri="sip:billing@192.0.2.9",
    outcome=Outcome.BUSY,
    code=486,
    reason="Busy Here",
    bye_by=Side.TARGET,
    sipfrags=("100 Trying", "486 Busy Here"),
    steps=(Step(1, "refer_accepted", 202), Step(9, "notify", 486)),
    verdict_ms=1234,
)

NODES: dict[str, Any] = {
    "greet": {"type": "play", "prompt": "Welcome", "next": "desk"},
    "desk": {
        "type": "agent_transfer",
        "target": "billing",
        "fallback": {"busy": {"prompt": "Busy", "node": "bye"}, "default": {"node": "bye"}},
        "next": "bye",
    },
    "bye": {"type": "hangup", "prompt": "Goodbye"},
}


def configuration(
    folder: Path,
    *,
    nodes: dict[str, Any] | None = None,
    flow: dict[str, Any] | None = None,
    **keys: Any,
) -> Configuration:
    """One trunk, one target and the flow `main`; `keys` are further settings."""
    settings = {
        "data": folder / "data",
        "sip": {"listen": [{"address": "127.0.0.1"}], "rtp": {"address": "127.0.0.1"}},
        "trunks": {"carrier": {"sources": ["192.0.2.0/24"], "routes": [{"flow": "main"}]}},
        "targets": {"billing": {"kind": "internal", "destination": "sip:billing@192.0.2.9"}},
        "api": {"port": 0},
        **keys,
    }
    main = {"flow": "main", "start": "greet", "transfer_node": "desk", "nodes": nodes or NODES}
    return Configuration(
        settings=Settings.model_validate(settings),
        flows={"main": Flow.model_validate(main | (flow or {}))},
        path=folder / "switchhook.yaml",
        flow_paths={"main": folder / "main.yaml"},
    )


def session_of(
    leg: CallerLeg,
    configured: Configuration,
    prompts: PromptSource,
    publish: Callable[[CallEvent], None],
    tokens: Tokens | None = None,
) -> CallSession:
    """A call in the service, whose memory is never written."""
    memory = Memory(open_engine("sqlite+aiosqlite:///:memory:"))
    settings = configured.settings
    availability = Availability(settings, memory)
    capabilities = TrunkCapabilities(settings.trunks, memory)
    return CallSession(
        leg,
        configured,
        prompts,
        publish,
        tokens or TwinTokens(),
        availability=availability,
        capabilities=capabilities,
    )


def ignore(_: CallEvent) -> None:
    """A listener that has nothing to do."""


def finished_call(number: int = 1, **facts: Any) -> FinishedCall:
    """A call of half a minute that was referred to somebody busy. Its id is `number` in hex."""
    call_id = f"{number:016x}"
    clock = iter((100.0, 100.001, 100.002))
    timeline = Timeline(call_id, ignore, monotonic=lambda: next(clock), wall=lambda: STARTED)
    timeline.record(
        SipMessage(
            "caller",
            Direction.RECEIVED,
            "udp",
            "192.0.2.5:5060",
            "INVITE sip:1000@x SIP/2.0\r\n\r\n",
        )
    )
    timeline.record(NodeEntered("main", "greet", "play"))
    known: dict[str, Any] = {
        "id": call_id,
        "direction": "inbound",
        "trunk": "carrier",
        "caller": "+4930123",
        "number": "1000",
        "sip_call_id": "abc@192.0.2.5",
        "started_at": STARTED + number % 1000,
        "answered_at": STARTED + number % 1000 + 0.25,
        "ended_at": STARTED + number % 1000 + 30,
        "flow": "main",
        "path": ("greet", "desk"),
        "disposition": Disposition.FAILED,
        "end": EndReason.FALLBACK,
        "message": "",
        "attempts": (ATTEMPT,),
        "media": {"caller": MediaQuality(codec="PCMU/8000", rx_packets=1500)},
    }
    return FinishedCall(CallRecord(**known | facts), encode_events(timeline.events))
