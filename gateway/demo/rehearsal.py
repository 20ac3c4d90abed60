"""The demo's last part: every failure that the example's transfers can meet, rehearsed."""

from __future__ import annotations

import asyncio
from io import StringIO
from pathlib import Path

from rich.console import Console

from config.configuration import Configuration
from gateway.demo.promises import Promises
from gateway.rehearsal import report, scene
from gateway.rehearsal.loopback import QUICK
from gateway.rehearsal.printing import printing_to
from gateway.rehearsal.result import Rehearsed
from gateway.rehearsal.stage import open_stage

FLOW = "reception"
NODES = {"to_billing": "", "to_anyone": "expert"}
"""The example's two ways to hand over, by INVITE and by REFER, and whom the bot asks for."""

LIMIT = 60.0
"""Seconds for all failures of one node; it takes about five."""

WIDTH = 120


async def rehearse(configuration: Configuration, promises: Promises, log: Path) -> None:
    """Play every failure against the example, and promise that each caller is looked after.

    What PJSIP has to say about malformed messages goes to `log`.
    """
    for node, target in NODES.items():
        chosen = scene.choose(configuration, FLOW, node, target)
        with log.open("ab") as output, printing_to(output.fileno()):
            async with asyncio.timeout(LIMIT), open_stage(configuration, chosen, QUICK) as stage:
                played = await stage.play_all(scene.failures(chosen))
        promises.tell(f"\n  {report.title(chosen)}")
        promises.tell(_drawn(played))
        promises.check(
            f"each of {len(played)} failures of {node} leads to what the flow says",
            kept=all(one.good for one in played),
            seen=report.summary(played),
        )


def _drawn(played: list[Rehearsed]) -> str:
    page = StringIO()
    Console(file=page, width=WIDTH).print(report.table(played, report.SHORT))
    return "\n".join(f"  {line.rstrip()}" for line in page.getvalue().splitlines())
