"""Speech by the program espeak-ng: a process for each prompt, words by stdin, WAV by stdout."""

from __future__ import annotations

import asyncio

from ivr.prompts.errors import PromptError

PROGRAM = "espeak-ng"

SPEAKING_LIMIT = 30.0
"""Seconds for one prompt; it takes milliseconds, so this is a program that hangs."""


class Espeak:
    """`ivr.prompts.tts.Synthesizer` by espeak-ng."""

    def __init__(self, voice: str, words_per_minute: int) -> None:
        self._voice = voice
        self._words_per_minute = words_per_minute

    async def identity(self) -> str:
        """Version, voice and speed. Fails where the program or the voice is not installed."""
        version = await _run("--version")
        await _run("-q", "-v", self._voice)
        return f"{version.decode(errors='replace').strip()} {self._voice} {self._words_per_minute}"

    async def speak(self, text: str, voice: str | None) -> bytes:
        """The words as WAV at 22 050 Hz, without the pause that ends a sentence."""
        return await _run(
            "--stdin",
            "--stdout",
            *("-b", "1"),  # stdin is UTF-8
            "-z",
            *("-v", voice or self._voice),
            *("-s", str(self._words_per_minute)),
            words=text,
        )


async def _run(*options: str, words: str = "") -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *options,
            # Without words there is no pipe: uvloop fails where the program ends before it is fed.
            stdin=asyncio.subprocess.PIPE if words else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise PromptError(
            f"{PROGRAM} is not installed, and text prompts need it",
            f"Install it (`apt install {PROGRAM}`), or use recordings only",
        ) from None
    except OSError as error:
        raise PromptError(f"{PROGRAM} cannot be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(SPEAKING_LIMIT):
            output, errors = await process.communicate(words.encode() or None)
    except TimeoutError:
        raise PromptError(f"{PROGRAM} does not end within {SPEAKING_LIMIT:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        reason = errors.decode(errors="replace").strip().removeprefix("Error: ").rstrip(".")
        hint = f"`{PROGRAM} --voices` lists the voices" if "voice" in reason else ""
        raise PromptError(f"{PROGRAM} failed: {reason or process.returncode}", hint)
    return output
