"""The doctor names what is unfit, and what to do."""

from __future__ import annotations

import resource
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import doctor as under_test
from gateway import open_files, priority
from gateway.doctor import Finding, Verdict, examine
from sip import engine_facts
from sip.engine_facts import EngineFacts
from sip.errors import EngineError
from tests.unit.gateway.scene import configuration

FIT = EngineFacts(
    version="2.17",
    path="/somewhere/pjsua2.py",
    max_calls=4096,
    max_sockets=16384,
    polling="epoll",
    tls="OpenSSL",
    openssl="OpenSSL 3.0",
    codecs=("PCMU/8000", "PCMA/8000", "G722/16000", "opus/48000"),
)


@pytest.fixture(autouse=True)
def fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lacks nothing."""
    monkeypatch.setattr(engine_facts, "describe", lambda: FIT)
    monkeypatch.setattr("shutil.which", lambda _: "/bin/echo")
    monkeypatch.setattr(open_files, "allowed", lambda: 20_000)
    monkeypatch.setattr(priority, "allowed", lambda: True)


def unfit() -> list[Finding]:
    return [finding for finding in examine(None) if finding.verdict is Verdict.UNFIT]


def test_a_fit_machine_has_a_line_for_everything() -> None:
    subjects = [finding.subject for finding in examine(None)]
    assert unfit() == []
    assert {"SIP engine", "engine limits", "TLS", "codecs", "speech", "SQLite"} <= {*subjects}
    assert {"uvloop", "open files", "clock", "Python"} <= {*subjects}


def test_an_unfit_engine_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = replace(FIT, tls="", polling="select")
    monkeypatch.setattr(engine_facts, "describe", lambda: facts)
    assert [finding.detail for finding in unfit()] == list(facts.problems)
    assert len(facts.problems) == 2


def test_no_engine_at_all_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> EngineFacts:
        raise EngineError("the SIP engine cannot be loaded; build it with `make engine`")

    monkeypatch.setattr(engine_facts, "describe", missing)
    [finding] = unfit()
    assert "make engine" in finding.detail


def test_an_engine_smaller_than_the_configuration(tmp_path: Path) -> None:
    small = configuration(tmp_path).settings
    settings = small.model_copy(update={"sip": small.sip.model_copy(update={"max_calls": 5000})})
    found = {finding.subject: finding for finding in examine(settings)}
    assert found["engine limits"].verdict is Verdict.UNFIT
    assert "`sip.max_calls` asks for 5000" in found["engine limits"].detail


def test_too_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "allowed", lambda: 1024)
    [finding] = unfit()
    assert finding.subject == "open files"
    assert "ulimit" in finding.detail


def test_no_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    [finding] = unfit()
    assert "espeak-ng is not installed" in finding.detail


def test_an_old_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.22.0")
    [finding] = unfit()
    assert finding.subject == "SQLite"


def test_a_clock_that_stands_wrong_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "BUILT", under_test.BUILT.replace(year=2100))
    [finding] = [found for found in examine(None) if found.verdict is Verdict.WARNING]
    assert finding.subject == "clock"


def test_what_may_not_go_first_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priority, "allowed", lambda: False)
    [finding] = [found for found in examine(None) if found.verdict is Verdict.WARNING]
    assert finding.subject == "priority"
    assert "docs/operations.md" in finding.detail


def test_the_limit_is_raised_as_far_as_calls_need() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert open_files.raise_limit(100) == open_files.needed(100)
        assert open_files.raise_limit(1) == open_files.needed(100)  # never lowered
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
