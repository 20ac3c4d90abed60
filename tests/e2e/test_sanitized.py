"""sip/native under AddressSanitizer, UBSan and ThreadSanitizer: its unit tests, and whole calls."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random

import httpx
import pytest

from sip.softphone import commands
from sip.softphone.tones import tone, tone_name
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartPeer, StartPhone
from tests.e2e.parties import joined
from tests.e2e.process import Api, GatewayProcess
from tests.e2e.world import AGENT_TONE, CALLER_TONE, CARRIER, PBX, World
from tests.fuzz.audio import reported, thrown
from tests.peers.caller import Caller

ROOT = Path(__file__).parents[2]
REPORT = "report"
"""Where a sanitizer writes what it has found, with its process id behind it."""

UNSEEN = "race:pj_mutex_destroy\nrace:pj_pool_reset\n"
"""PJSIP counts who holds a lock by C11 atomics, and the last one destroys it with the memory that
it guards. It is not built with the sanitizer, which sees the mutex and the memory and not the
count. Memory that is used after it was freed is AddressSanitizer's to find."""

FOUND = 99
"""Exit code of a process in which something was found."""

START_LIMIT = 80.0
"""Seconds for a watched gateway to be ready: an idle machine takes six."""

UNIT_LIMIT = 240.0
"""Seconds for the tests of a path: the sanitizers make them several times slower."""

THROWN, SEED = 100, 4475
"""Mutated packets that each party sends at once, and which."""

WATCHED = ["tests/unit/sip", "tests/e2e/test_gate.py", "tests/e2e/test_tables_swapped.py"]
"""Unit tests, hostile requests, and tables swapped under load."""


@pytest.fixture(params=["address", "thread"])
def sanitizer(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    """The environment of a process whose sip/native is watched."""
    build = [sys.executable, ROOT / "docker/pjsip/build.py", "--sanitize", request.param]
    built = subprocess.run(build, capture_output=True, text=True, check=True, timeout=UNIT_LIMIT)
    runtime, modules = built.stdout.splitlines()
    options = f"exitcode={FOUND}:log_path={tmp_path / REPORT}"
    suppressed = tmp_path / "suppressed"
    suppressed.write_text(UNSEEN)
    return {
        "LD_PRELOAD": runtime,
        "PYTHONPATH": modules,
        # Python itself leaves memory behind at its end.
        "ASAN_OPTIONS": f"detect_leaks=0:{options}",
        "UBSAN_OPTIONS": f"print_stacktrace=1:{options}",
        # PJSIP takes its own locks in either order, all of them on the one thread of SIP.
        "TSAN_OPTIONS": f"detect_deadlocks=0:suppressions={suppressed}:{options}",
    }


def reports(folder: Path) -> str:
    """Everything that was found."""
    return "\n".join(path.read_text() for path in folder.glob(f"{REPORT}.*"))


@pytest.mark.parametrize("path", WATCHED)
def test_what_has_the_engine_in_its_own_process_passes_under_it(
    sanitizer: Mapping[str, str], path: str, tmp_path: Path
) -> None:
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path]
    run = subprocess.run(
        tests,
        cwd=ROOT,
        env={**os.environ, **sanitizer},
        capture_output=True,
        text=True,
        check=False,
        timeout=UNIT_LIMIT,
    )
    assert reports(tmp_path) == ""
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]


async def test_calls_pass_under_it(
    sanitizer: Mapping[str, str], start_phone: StartPhone, tmp_path: Path
) -> None:
    """A bot that talks and clears, digits, a transfer that is joined, a hand-back by BYE."""
    world = World(tmp_path / "gateway")
    world.write()
    gateway = GatewayProcess(world, sanitizer)
    gateway.start(START_LIMIT)
    bot = ScriptedBot()
    await bot.start(world.bot_port)
    try:
        caller = await start_phone(CARRIER, world.carrier_port, name="caller")
        pbx = await start_phone(PBX, world.pbx_port, name="pbx")
        await pbx.send(
            commands.Policy(user="sales", tone=AGENT_TONE, record=tmp_path / "agent.wav")
        )
        await caller.send(
            commands.Dial(
                call="a", to=world.number("100"), tone=CALLER_TONE, record=tmp_path / "a.wav"
            )
        )
        talk = await bot.conversation()
        await talk.hears(CALLER_TONE)
        await talk.say(tone(AGENT_TONE, 3))
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await talk.send("clear")
        await caller.send(commands.Dtmf(call="a", digits="42"))
        await talk.expect("dtmf", digit="2")
        await talk.send("transfer", target="sales")
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        await pbx.send(commands.HangUp(call="in-1"))
        again = await bot.conversation()
        await again.send("transfer", target="billing")
        await caller.expect("disconnected", "a", by="peer")
    finally:
        await bot.stop()
        code = gateway.stop()
    assert reports(tmp_path) == ""
    assert code == 0, gateway.log_tail()


async def test_audio_that_passes_now_and_then_does_under_it(
    sanitizer: Mapping[str, str], peer: StartPeer, tmp_path: Path
) -> None:
    """Begun and ended by recordings, a hold and keys, while the media clock sends; and harmed."""
    rng = Random(SEED)

    def holds(caller: Caller) -> None:
        caller.waits().holds("sendonly").waits().holds("sendrecv")

    world = World(tmp_path / "gateway", settings={"recordings": {"folder": "kept"}})
    world.write()
    gateway = GatewayProcess(world, sanitizer)
    gateway.start(START_LIMIT)
    try:
        async with httpx.AsyncClient(base_url=world.api) as client:
            api = Api(client)
            await api.begin()
            async with joined(world, api, peer, meanwhile=holds) as talk:
                await talk.agent.hears(untouched=True)
                for _ in range(3):
                    await api.decide(talk.id, "recording", action="start")
                    await talk.agent.hears(untouched=False)
                    talk.caller.press(5, frames=8)
                    await api.decide(talk.id, "recording", action="stop")
                    await talk.agent.hears(untouched=True)
                    talk.caller.press(6, frames=8)
                    for party in (talk.caller, talk.agent):
                        for _ in range(THROWN):
                            party.throw(thrown(party.ssrc, party.events, rng))
                            party.throw_report(reported(party.ssrc, rng))
                talk.calling.go_on()
                await talk.agent.hears(untouched=False, packets=30)
                talk.calling.go_on()
                await talk.caller.hears(untouched=True)
    finally:
        code = gateway.stop()
    assert reports(tmp_path) == ""
    assert code == 0, gateway.log_tail()
