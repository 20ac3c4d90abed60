"""JSON as the gateway writes it: records, timelines, the log."""

from __future__ import annotations

import json

import orjson
from pydantic_core import to_jsonable_python


def encode(value: object) -> bytes:
    """JSON of plain values, dataclasses and enums; of anything else what `str` says."""
    try:
        return orjson.dumps(value, default=str)
    except orjson.JSONEncodeError:
        # A peer sent bytes that are no UTF-8; they must not cost the record or the line.
        text = json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False)
        return text.encode("utf-8", "replace")
