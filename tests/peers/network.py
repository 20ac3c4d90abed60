"""Ports on loopback, and waiting for something with a deadline."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

LOOK_EVERY = 0.02
"""Seconds between two looks."""

PATIENCE = 20.0
"""Seconds that anything may take which comes by itself. Seldom more than one of them passes; a
machine that is busy with something else may need the others."""

WORKERS = 4
"""Processes that may test side by side; each has ports of its own."""


def _share(first: int, last: int) -> range:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    size = (last - first) // WORKERS // 2 * 2
    return range(first + worker * size, first + (worker + 1) * size)


RANGE_PORTS = _share(10_000, 28_000)
SINGLE_PORTS = _share(28_000, 32_000)
"""Below the ports that the kernel hands out by itself: a free one stays free until it is taken."""

_given: set[int] = set()
"""Handed out by this process already: not every user has taken its port by the next call."""

_TRIES = 50


async def until(
    holds: Callable[[], bool | Awaitable[bool]], what: str, within: float = PATIENCE
) -> None:
    """Wait until `holds()`.

    Raises:
        AssertionError: it did not within `within` seconds; `what` says what was waited for.
    """
    limit = asyncio.get_running_loop().time() + within
    while True:
        held = holds()
        if isinstance(held, Awaitable):
            held = await held
        if held:
            return
        if asyncio.get_running_loop().time() > limit:
            raise AssertionError(f"not within {within} s: {what}")
        await asyncio.sleep(LOOK_EVERY)


def free_port(address: str) -> int:
    """A port of this address that is free for UDP and TCP now, another one each time."""
    for _ in range(_TRIES):
        port = random.choice(SINGLE_PORTS)
        if port in _given:
            continue
        with ExitStack() as held:
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    held.enter_context(socket.socket(socket.AF_INET, kind)).bind((address, port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise AssertionError(f"no free port on {address}")


def free_udp_range(address: str, size: int) -> tuple[int, int]:
    """(first, last) of neighbouring UDP ports that are free now; first is even, for RTP."""
    for _ in range(_TRIES):
        first = random.randrange(RANGE_PORTS.start, RANGE_PORTS.stop - size, 2)
        with ExitStack() as held:
            try:
                for port in range(first, first + size):
                    sock = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    sock.bind((address, port))
            except OSError:
                continue
            return first, first + size - 1
    raise AssertionError(f"no {size} free ports in a row on {address}")


def bound(address: str, port: int, protocol: str) -> bool:
    """Whether some process has this port: `udp` bound, or `tcp` listening."""
    wanted = f"{_kernel_address(address)}:{port:04X}"
    listening = "0A" if protocol == "tcp" else "07"
    return any(fields[1] == wanted and fields[3] == listening for fields in _sockets(protocol))


def bound_udp_ports(address: str) -> set[int]:
    """Every UDP port of this address that some process has."""
    wanted = _kernel_address(address)
    found = (fields[1].split(":") for fields in _sockets("udp"))
    return {int(port, 16) for host, port in found if host == wanted}


def _sockets(protocol: str) -> list[list[str]]:
    return [line.split() for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]]


def _kernel_address(address: str) -> str:
    return socket.inet_aton(address)[::-1].hex().upper()
