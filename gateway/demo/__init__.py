"""`switchhook demo`: real calls through a whole gateway on this machine, each promise checked.

configuration.py   the shipped example, on free ports
stage.py           the processes: gateway, bot, telephones (sip.softphone)
scenes.py          the five calls
rehearsal.py       every failure of the example's transfers, rehearsed
evidence.py        what the recordings prove, by hearing.py
promises.py        the ✓ and ✗ lines
bot.py             the demo bot, a model for bots of your own
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from io import TextIOWrapper
from pathlib import Path

from config.errors import SwitchhookConfigError
from gateway import report
from gateway.api.models import CallDetail
from gateway.demo.programs import DemoError
from gateway.demo.promises import Promises
from gateway.demo.rehearsal import rehearse
from gateway.demo.scenes import SCENES, Played
from gateway.demo.stage import open_stage
from gateway.log import Format, configure
from gateway.why import why
from sip.errors import SipError
from sip.events import SipMessage
from sip.softphone.driver import SoftphoneError

SHOWN_LADDER = "2. INVITE: a busy agent, then the second one"

LADDER = "2-busy-agent.svg"

REHEARSED = "6. Rehearsal: every failure, before production meets it"

SCENE_LIMIT = 60.0
"""Seconds for one call. The longest takes about twenty; each step has its own, shorter limit."""


def run(folder: Path) -> int:
    """Play every scene; recordings, logs and the database stay in `folder`.

    Returns:
        Exit code: 0 if every promise was kept.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without ✓ still shows the rest
    configure(logging.WARNING, Format.AUTO)
    promises = Promises()
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        promises.tell(f"{folder} cannot be made: {error.strerror}")
        return 1
    try:
        asyncio.run(_play(folder, promises))
    except (DemoError, SoftphoneError, SipError, SwitchhookConfigError) as error:
        promises.check("everybody is there", kept=False, seen=error)
    except (asyncio.CancelledError, KeyboardInterrupt):
        promises.check("the demo was not interrupted", kept=False)
    promises.tell(f"\n{promises.kept} promises kept, {len(promises.broken)} broken")
    for broken in promises.broken:
        promises.tell(f"  ✗ {broken}")
    return 1 if promises.broken else 0


async def _play(folder: Path, promises: Promises) -> None:
    if (this := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    promises.tell("Starting a gateway, a bot and the telephones of callers and agents ...")
    async with open_stage(folder) as stage:
        for title, scene in SCENES.items():
            promises.scene(title)
            played = None
            try:
                async with asyncio.timeout(SCENE_LIMIT):
                    played = await scene(stage, promises)
            except (DemoError, SoftphoneError, TimeoutError) as error:
                promises.check("the call went as told", kept=False, seen=error)
            if played is not None:
                _show(played, promises, folder, ladder=title == SHOWN_LADDER)
        promises.scene(REHEARSED)
        await rehearse(stage.configuration, promises, folder / "rehearsal.log")
        promises.tell(f"\nWhat the callers heard: {folder}/*.wav")
        promises.tell(f"Every call in full: switchhook calls -c {stage.configuration.path}")


def _show(played: Played, promises: Promises, folder: Path, *, ladder: bool) -> None:
    """Timeline, and why the transfers ended so; the messages as a picture where that is asked."""
    messages = [row for row in played.timeline if row.name == SipMessage.name]
    events = [row for row in played.timeline if row.name != SipMessage.name]
    promises.tell(f"\n  Timeline of call {played.call.id}, without {len(messages)} SIP messages")
    promises.tell(_indented(report.timeline(events)))
    detail = CallDetail(call=played.call, timeline=played.timeline)
    promises.tell(f"\n  switchhook call {played.call.id} --why")
    promises.tell(_indented(why(detail).text()))
    if ladder:
        picture = folder / LADDER
        picture.write_text(report.svg_ladder(detail), encoding="utf-8")
        promises.tell(f"\n  Its SIP messages, as a picture in {picture}")
        promises.tell(_indented(report.sip_ladder(played.timeline)))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
