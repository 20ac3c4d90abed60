"""PJSIP itself, in this process, with a free port: for what only the bridge can show."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from config.media import DEFAULT_CODECS
from config.settings import Sip
from sip.engine import Engine
from sip.names import Names

os.environ.pop("LD_PRELOAD", None)
# A sanitizer (tests/e2e/test_sanitized.py) is for this process only: espeak-ng hangs with it.


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    settings = Sip.model_validate(
        {
            "listen": [{"address": "127.0.0.1", "port": 0}],
            "rtp": {"address": "127.0.0.1"},
            "max_calls": 8,
        }
    )
    engine = Engine(settings, DEFAULT_CODECS, Names({}), lambda _: None, lambda *_: None)
    engine.start()
    yield engine
    engine.stop()
