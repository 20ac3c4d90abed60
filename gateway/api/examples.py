"""What the OpenAPI description shows as examples."""

from __future__ import annotations

from pydantic.config import JsonDict, JsonValue

_FACTS: JsonDict = {
    "id": "9f3c0a7be21d4458",
    "direction": "inbound",
    "trunk": "carrier",
    "caller": "+493012345",
    "number": "1000",
    "sip_call_id": "a84b4c76e66710@192.0.2.5",
    "flow": "reception",
    "resumed_from": "",
    "started_at": "2026-08-01T09:30:00.000Z",
    "answered_at": "2026-08-01T09:30:00.020Z",
}
LIVE_CALL: JsonDict = _FACTS | {
    "state": "answered",
    "node": "billing_desk",
    "handover": {
        "status": "ringing",
        "outcome": None,
        "error_reason": None,
        "message": "",
        "sip_code": None,
        "target": "billing",
    },
    "duration_ms": 12500,
}
ENDED_CALL: JsonDict = _FACTS | {
    "state": "ended",
    "ended_at": "2026-08-01T09:31:02.480Z",
    "path": ["greeting", "assistant", "billing_desk", "goodbye"],
    "disposition": "contained",
    "end": "hangup",
    "message": "",
    "attempts": [],
    "tags": [],
    "resumed_by": [],
    "media": {},
    "events_dropped": 0,
    "recordings": [],
}
TIMELINE: list[JsonValue] = [
    {
        "name": "leg.answered",
        "offset_ms": 20,
        "at": "2026-08-01T09:30:00.020Z",
        "leg": "caller",
        "setup_ms": 20,
    }
]
