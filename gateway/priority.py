"""How Linux ranks the gateway among the processes of its machine.

A caller hears whatever the loop and the audio have to wait for, so both go first where the system
allows it: the loop by its nice value, the media clock by a real-time priority (sip/native/clock.c).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

NICE = -10
"""Of the loop, and of the threads that are started after it was raised."""


def raise_own() -> int:
    """Let the calling thread go before ordinary processes, if that is allowed.

    Returns:
        The thread's nice value: -20 (first) to 19.
    """
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    return os.getpriority(os.PRIO_PROCESS, 0)


def allowed() -> bool:
    """Whether the loop and the media clock may be raised; found out by a thread that ends."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_may).result()


def _may() -> bool:
    try:
        # Linux takes 0 for the calling thread in both.
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        os.sched_setscheduler(
            0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR))
        )
    except PermissionError:
        return False
    return True
