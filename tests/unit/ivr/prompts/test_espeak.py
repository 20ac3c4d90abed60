"""espeak-ng speaks; when it cannot, the error says what to do."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import pytest

from ivr.prompts import espeak
from ivr.prompts.errors import PromptError
from ivr.prompts.espeak import Espeak
from ivr.prompts.recording import decode
from sip.audio import Pcm
from tests.unit.ivr.prompts.sounds import rms, samples_of


async def said(words: str, voice: str | None = None) -> Pcm:
    """Words as audio."""
    return decode(await Espeak("en-gb", 155).speak(words, voice), 8000)


async def test_words_become_audible_speech() -> None:
    audio = await said("Please hold the line. We are connecting you.")
    assert 1 < audio.seconds < 8
    assert 0.02 < rms(samples_of(audio)) < 0.5


async def test_speech_has_no_long_silence_at_its_end() -> None:
    samples = samples_of(await said("Goodbye."))
    assert rms(samples[-2400:]) > 0.001


@pytest.mark.parametrize(
    "words",
    [
        "-v xx --version",
        "$(reboot); `reboot` | cat",
        "Größe, café, naïve",
        "One.\n\nTwo.",
        "<b>5 < 6</b>",
    ],
)
async def test_words_are_words_whatever_they_look_like(words: str) -> None:
    assert rms(samples_of(await said(words))) > 0.01


async def test_another_voice_says_the_same_otherwise() -> None:
    assert (await said("Guten Tag", "de")).samples != (await said("Guten Tag")).samples


async def test_the_speed_is_that_of_the_settings() -> None:
    words = "We will be with you shortly"
    slow = decode(await Espeak("en-gb", 100).speak(words, None), 8000)
    fast = decode(await Espeak("en-gb", 300).speak(words, None), 8000)
    assert slow.seconds > 1.5 * fast.seconds


async def test_voice_and_speed_and_version_are_the_engines_identity() -> None:
    identity = await Espeak("en-gb", 155).identity()
    assert identity.startswith("eSpeak NG")
    assert identity.endswith("en-gb 155")


async def test_an_unknown_voice_is_named_as_the_reason() -> None:
    with pytest.raises(PromptError, match="voice does not exist") as caught:
        await said("Hello", "klingon-x")
    assert caught.value.hint == "`espeak-ng --voices` lists the voices"
    with pytest.raises(PromptError, match="voice does not exist"):
        await Espeak("klingon-x", 155).identity()


async def test_a_missing_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak, "PROGRAM", "no-such-espeak")
    with pytest.raises(PromptError, match="is not installed") as caught:
        await Espeak("en-gb", 155).identity()
    assert "apt install" in caught.value.hint


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of espeak-ng, a program that never ends."""
    program = tmp_path / "hangs"
    program.write_text("#!/bin/sh\nexec sleep 3600\n")
    program.chmod(0o755)
    monkeypatch.setattr(espeak, "PROGRAM", str(program))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[Process]:
    """The processes that are started."""
    processes: asyncio.Queue[Process] = asyncio.Queue()
    start = asyncio.create_subprocess_exec

    async def watched(*command: str, **options: Any) -> Process:
        process = await start(*command, **options)
        processes.put_nowait(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    return processes


@pytest.mark.usefixtures("hanging")
async def test_a_program_that_hangs_is_ended(
    started: asyncio.Queue[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak, "SPEAKING_LIMIT", 0.0)
    with pytest.raises(PromptError, match="does not end within 0 s"):
        await said("Hello")
    assert (await started.get()).returncode == -signal.SIGKILL


@pytest.mark.usefixtures("hanging")
async def test_cancelling_ends_the_program(started: asyncio.Queue[Process]) -> None:
    speaking = asyncio.create_task(said("Hello"))
    process = await started.get()
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    assert process.returncode == -signal.SIGKILL
