"""The command line: what it prints, and how it fails."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import cli
from gateway.api import client
from gateway.api.examples import LIVE_CALL
from gateway.api.models import CallDetail, LiveCall
from gateway.command_line import CONFIG_VARIABLE, FAILED, NOT_FOUND, USAGE
from gateway.database import default_url
from gateway.doctor import Finding, Verdict
from gateway.store import CallStore
from ivr.disposition import Disposition
from tests.unit.gateway.scene import finished_call

SETTINGS = """
sip:
  listen: [{address: 127.0.0.1}]
  rtp: {address: 127.0.0.1}
trunks:
  carrier:
    sources: [127.0.0.2/32]
    routes: [{flow: main}]
"""
FLOW = """
flow: main
start: bye
nodes:
  bye: {type: hangup, prompt: Goodbye}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, which is the current one; no gateway runs."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "switchhook.yaml").write_text(SETTINGS)
    (tmp_path / "flows" / "main.yaml").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.setattr(client, "live_calls", lambda _: [])
    monkeypatch.setattr(client, "live_call", lambda *_: None)
    return tmp_path


@pytest.fixture
def recorded(folder: Path) -> Path:
    """A database with two finished calls."""

    async def record() -> None:
        store = CallStore(default_url(folder / "data"))
        await store.open()
        store.put(finished_call(0xAB << 56))
        store.put(finished_call(7, disposition=Disposition.CONTAINED, attempts=()))
        await store.close()

    asyncio.run(record())
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


class TestConfiguration:
    def test_a_good_one_is_ok(self, folder: Path) -> None:
        result = run("config", "check")
        assert result.exit_code == 0
        assert result.stdout.endswith("switchhook.yaml: ok; flows: main\n")

    def test_every_mistake_is_one_line(self, folder: Path) -> None:
        (folder / "switchhook.yaml").write_text(SETTINGS.replace("trunks:", "trunk:"))
        result = run("config", "check", "switchhook.yaml")
        assert result.exit_code == USAGE
        assert "trunk" in result.stderr.splitlines()[0]
        assert result.stderr.splitlines()[-1].startswith("switchhook: ")
        assert "Traceback" not in result.output

    def test_a_recording_that_is_no_audio_is_found_before_a_start(self, folder: Path) -> None:
        flow = folder / "flows" / "main.yaml"
        flow.write_text(FLOW.replace("prompt: Goodbye", "prompt: {file: hello.wav}"))
        (flow.parent / "hello.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt broken")
        result = run("config", "check")
        assert result.exit_code == USAGE
        assert "hello.wav" in result.stderr.splitlines()[0]
        assert "main.yaml:" in result.stderr.splitlines()[0]

    def test_none_is_an_error_that_says_what_to_do(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "elsewhere").mkdir()
        monkeypatch.chdir(folder / "elsewhere")
        result = run("calls")
        assert result.exit_code == USAGE
        assert "set $SWITCHHOOK_CONFIG" in result.stderr

    def test_the_environment_names_one(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "elsewhere").mkdir()
        monkeypatch.chdir(folder / "elsewhere")
        monkeypatch.setenv(CONFIG_VARIABLE, str(folder / "switchhook.yaml"))
        assert run("config", "check").exit_code == 0

    def test_a_file_that_is_not_there(self, folder: Path) -> None:
        result = run("run", "nowhere.yaml")
        assert result.exit_code == USAGE
        assert "nowhere.yaml" in result.stderr


class TestCalls:
    def test_nothing_recorded_yet_is_an_empty_list(self, folder: Path) -> None:
        assert json.loads(run("calls", "--json").stdout) == []
        assert run("calls").exit_code == 0
        assert not (folder / "data").exists()

    def test_a_table_that_can_be_piped(self, recorded: Path) -> None:
        result = run("calls")
        lines = result.stdout.splitlines()
        assert "\x1b" not in result.stdout
        assert lines[0].split()[:2] == ["id", "started"]
        assert lines[1].startswith("ab00000000000000")
        assert "refer:busy" in lines[1]
        assert "greet > desk" in lines[1]
        assert "contained" in lines[2]

    def test_filters(self, recorded: Path) -> None:
        def ids(*options: str) -> list[str]:
            return [call["id"] for call in json.loads(run("calls", "--json", *options).stdout)]

        assert len(ids()) == 2
        assert ids("--disposition", "contained") == ["0000000000000007"]
        assert len(ids("--limit", "1")) == 1
        assert ids("--since", "2100-01-01") == []
        assert len(ids("--since", "2020-01-01T00:00:00+00:00")) == 2

    def test_an_age_is_counted_from_now(self, recorded: Path) -> None:
        assert run("calls", "--since", "5m").exit_code == 0
        result = run("calls", "--since", "tomorrow")
        assert result.exit_code == USAGE
        assert "--since tomorrow" in result.stderr

    def test_an_age_before_all_time_is_no_age(self, recorded: Path) -> None:
        for age in ("99999999999d", "9999999d"):
            result = run("calls", "--since", age)
            assert result.exit_code == USAGE
            assert f"--since {age}: write" in result.stderr

    def test_calls_in_progress_come_first(
        self, recorded: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live = LiveCall.model_validate(LIVE_CALL)
        monkeypatch.setattr(client, "live_calls", lambda _: [live])
        first = run("calls").stdout.splitlines()[1]
        assert first.startswith(live.id)
        assert "answered" in first

    def test_a_gateway_that_refuses_us_is_said_on_stderr(
        self, recorded: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: object) -> list[LiveCall]:
            raise client.ApiRefused("the gateway answered 401")

        monkeypatch.setattr(client, "live_calls", refuse)
        result = run("calls")
        assert result.exit_code == 0
        assert "401" in result.stderr


class TestCall:
    def test_everything_about_a_call(self, recorded: Path) -> None:
        result = run("call", "ab")
        assert result.exit_code == 0
        for text in (
            "disposition  failed",
            "path         greet > desk",
            "t1 refer billing: busy, 486 Busy Here, NOTIFY 100 Trying | 486 Busy Here",
            "BYE by target, verdict after 1234 ms",
            "node.entered         flow=main node=greet type=play",
            "caller <- 192.0.2.5:5060 INVITE",
            "|---------------- INVITE ---------------->|",
        ):
            assert text in result.stdout

    def test_one_part_alone(self, recorded: Path) -> None:
        timeline = run("call", "ab", "--timeline").stdout
        ladder = run("call", "ab", "--ladder").stdout
        assert "node.entered" in timeline
        assert "disposition" not in timeline
        assert "gateway" in ladder
        assert "node.entered" not in ladder

    def test_why_in_sentences(self, recorded: Path) -> None:
        result = run("call", "ab", "--why")
        assert result.stdout.startswith("t1: REFER to billing (sip:billing@192.0.2.9) ")
        assert "What to do: the called party is on the phone." in result.stdout
        assert "node.entered" not in result.stdout

    def test_the_ladder_as_a_file(self, recorded: Path) -> None:
        result = run("call", "ab", "--svg", "ladder.svg")
        assert (result.exit_code, result.stdout) == (0, "")
        assert (recorded / "ladder.svg").read_text().startswith("<svg ")
        refused = run("call", "ab", "--svg", "no/such/folder.svg")
        assert refused.exit_code == FAILED
        assert "no/such/folder.svg cannot be written" in refused.stderr

    def test_as_json(self, recorded: Path) -> None:
        found = CallDetail.model_validate_json(run("call", "ab", "--json").stdout)
        assert found.call.id == "ab00000000000000"
        assert len(found.timeline) == 2

    def test_a_call_in_progress_is_asked_of_the_gateway(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live = CallDetail(call=LiveCall.model_validate(LIVE_CALL), timeline=[])
        monkeypatch.setattr(client, "live_call", lambda _, prefix: live)
        result = run("call", "9f3c")
        assert "at node      billing_desk" in result.stdout
        assert "billing: ringing" in result.stdout

    def test_an_unknown_call(self, recorded: Path) -> None:
        result = run("call", "beef")
        assert result.exit_code == NOT_FOUND
        assert result.stderr == "switchhook: no call begins with beef\n"

    def test_an_id_that_is_too_short(self, recorded: Path) -> None:
        asyncio.run(_another(recorded))
        result = run("call", "ab")
        assert result.exit_code == FAILED
        assert "more than one call" in result.stderr


async def _another(folder: Path) -> None:
    store = CallStore(default_url(folder / "data"))
    await store.open()
    store.put(finished_call((0xAB << 56) + 1))
    await store.close()


class TestDoctor:
    def test_a_fit_machine(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        findings = [Finding("clock", Verdict.OK, "now")]
        monkeypatch.setattr(cli, "examine", lambda _: findings)
        result = run("doctor")
        assert (result.exit_code, result.stdout) == (0, "ok       clock          now\n")

    def test_an_unfit_machine(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        findings = [
            Finding("SIP engine", Verdict.UNFIT, "4 calls"),
            Finding("clock", Verdict.WARNING, "1970"),
        ]
        monkeypatch.setattr(cli, "examine", lambda _: findings)
        result = run("doctor")
        assert result.exit_code == FAILED
        assert result.stderr == "switchhook: unfit: SIP engine\n"


def test_the_version() -> None:
    assert re.fullmatch(r"switchhook \d+\.\d+\.\d+\n", run("version").stdout)


def test_help_lists_the_exit_codes() -> None:
    assert "3 no such call" in run("--help").stdout
