"""Asking an agent that has answered to take the call: a mailbox or a passer-by presses no key."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from sip.errors import MediaError
from sip.events import DtmfReceived, Event
from sip.leg import Leg
from sip.order import Acceptance
from sip.transfer.beside import beside


async def ask(target: Leg, question: Acceptance) -> str | None:
    """Play the prompt until a key is pressed.

    Returns:
        The first key, which cuts the prompt short; None: none was pressed in time.

    Raises:
        CallEnded: the target hung up while the prompt was played.
    """
    keys: asyncio.Queue[str] = asyncio.Queue()

    def pressed(event: Event) -> None:
        if isinstance(event, DtmfReceived) and event.leg == target.label:
            keys.put_nowait(event.digit)

    with target.listening(pressed), beside(keys.get()) as key:
        for _ in range(question.times):
            await _play_until(target, question, key)
            if not key.done():
                await asyncio.wait({key}, timeout=question.timeout)
            if key.done():
                return key.result()
    return None


async def _play_until(target: Leg, question: Acceptance, key: asyncio.Future[Any]) -> None:
    with beside(target.play(question.prompt)) as prompt:
        await asyncio.wait({prompt, key}, return_when=asyncio.FIRST_COMPLETED)
        if prompt.done():
            with suppress(MediaError):  # the bridge is full: the agent may know what to press
                prompt.result()
