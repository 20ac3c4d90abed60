"""The demo bot: what it says and asks for, frame by frame."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.demo import bot
from gateway.demo.bot import Conversation


class Gateway:
    """The gateway's end of the connection: frames for the bot, and what the bot sent."""

    def __init__(self, *frames: object) -> None:
        self.sent: list[object] = []
        self._frames = frames

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        for frame in self._frames:
            yield frame if isinstance(frame, bytes) else json.dumps(frame)

    async def send(self, frame: str | bytes) -> None:
        self.sent.append(json.loads(frame) if isinstance(frame, str) else frame.decode())


@pytest.fixture(autouse=True)
def words_instead_of_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    async def speak(text: str, sample_rate: int) -> bytes:
        return f"{sample_rate}: {text}".encode()

    monkeypatch.setattr(bot, "speak", speak)


def start(**facts: Any) -> dict[str, Any]:
    message = {"type": "start", "call_id": "c", "from": "sip:a@b", "handover": None}
    return {**message, "audio": {"sample_rate": 8000}, "reconnected": False, **facts}


def digit(pressed: str) -> dict[str, str]:
    return {"type": "dtmf", "digit": pressed}


async def answers(*frames: object) -> list[object]:
    gateway = Gateway(*frames)
    await Conversation(gateway).run()  # type: ignore[arg-type]
    return gateway.sent


async def test_greets_at_the_rate_of_the_call() -> None:
    wideband = start(audio={"sample_rate": 16000})
    assert await answers(wideband, bytes(640)) == [f"16000: {bot.GREETING}"]


async def test_does_not_greet_again_after_a_reconnection() -> None:
    assert await answers(start(reconnected=True)) == [f"8000: {bot.BACK_AGAIN}"]


async def test_says_what_became_of_a_transfer() -> None:
    handover = {"status": "error", "outcome": "busy", "target": "billing"}
    (words,) = await answers(start(handover=handover))
    assert str(words).startswith("8000: I am sorry about billing: the line is busy.")


async def test_an_unexplained_failure_has_words_too() -> None:
    assert "cannot be reached" in bot.after_transfer(
        {"status": "error", "outcome": "glare", "target": "billing"}
    )


@pytest.mark.parametrize("pressed", ["1", "2", "3", "4"])
async def test_a_digit_asks_for_its_transfer_at_once(pressed: str) -> None:
    assert await answers(start(), digit(pressed)) == [
        f"8000: {bot.GREETING}",
        {"type": "clear"},
        bot.DECISIONS[pressed],
    ]


async def test_hangs_up_once_the_goodbye_was_heard() -> None:
    mark = {"type": "mark", "name": "goodbye"}
    before = [f"8000: {bot.GREETING}", {"type": "clear"}, f"8000: {bot.GOODBYE}", mark]
    assert await answers(start(), digit("9")) == before
    heard = mark | {"played": True}
    assert await answers(start(), digit("9"), heard) == [*before, {"type": "hangup"}]


async def test_another_digit_takes_the_goodbye_back() -> None:
    cleared = {"type": "mark", "name": "goodbye", "played": False}
    sent = await answers(start(), digit("9"), digit("7"), cleared)
    assert {"type": "hangup"} not in sent
    assert sent[-1] == f"8000: {bot.UNKNOWN_DIGIT}"
