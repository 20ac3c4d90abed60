"""The demo's processes: ready or explained, and never left behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gateway.demo.programs import DemoError, running

SLEEPER = "import time; print('here', flush=True); time.sleep(600)"


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def test_runs_until_the_block_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = f"import os; print(os.getpid(), flush=True); {SLEEPER}"

    async def ready() -> bool:
        return "here" in log.read_text()

    async with running("a sleeper", python(code), log, ready, 30.0):
        pid = int(log.read_text().split()[0])
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_one_that_ends_early_is_explained(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(DemoError, match="no port for me") as early:
        async with running(
            "a failure", python("raise SystemExit('no port for me')"), tmp_path / "log", never, 30.0
        ):
            pass
    assert "a failure ended at its start with 1" in str(early.value)


async def test_one_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(DemoError, match="a sleeper is ready: not within"):
        async with running("a sleeper", python(SLEEPER), tmp_path / "log", never, 0.1):
            pass


async def test_settings_of_another_gateway_do_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHHOOK_API__PORT", "1")
    log = tmp_path / "log"

    async def ready() -> bool:
        return "here" in log.read_text()

    code = f"import os; print([k for k in os.environ if k.startswith('SWITCH')]); {SLEEPER}"
    async with running("a sleeper", python(code), log, ready, 30.0):
        assert log.read_text().startswith("[]")
