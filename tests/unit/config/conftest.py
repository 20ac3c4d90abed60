"""Fixtures of the configuration's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.files import Files


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A small valid configuration; problems name its files relative to its folder."""
    monkeypatch.chdir(tmp_path)
    return Files(tmp_path)
