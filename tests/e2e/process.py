"""The gateway as operators have it: `switchhook run` in a process of its own, seen from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.world import GATEWAY, World
from tests.peers import network

READY_LIMIT = 40.0
STOP_LIMIT = 30.0
"""Seconds. Far above what it takes: two cores may be busy with something else."""

KEEP_ALIVE = 1.0
"""Seconds without a request until a connection is left: the server, which waits for five, must not
close one that a request has just been written to."""

SWITCHHOOK = str(Path(sys.executable).with_name("switchhook"))
"""The command of the environment that runs the tests."""


@dataclass(frozen=True)
class Footprint:
    """What the gateway holds of the machine."""

    open_files: int
    children: tuple[int, ...]
    rtp_ports: frozenset[int]
    threads: int


class GatewayProcess:
    """A running gateway; `start` returns when it is ready."""

    def __init__(self, world: World, environment: Mapping[str, str] | None = None) -> None:
        self.world = world
        self._environment = {**os.environ, **(environment or {})}
        self.log = world.folder / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    def start(self, within: float = READY_LIMIT) -> None:
        """Start and wait until `/readyz` says so."""
        command = (SWITCHHOOK, "run", str(self.world.configuration))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        limit = time.monotonic() + within
        while not self.ready():
            if self._process.poll() is not None:
                raise AssertionError(f"the gateway ended at its start\n{self.log_tail()}")
            if time.monotonic() > limit:
                self.stop()
                raise AssertionError(f"not ready in {within} s\n{self.log_tail()}")
            time.sleep(network.LOOK_EVERY)

    def ready(self) -> bool:
        """What `/readyz` says."""
        try:
            return (
                httpx.get(f"{self.world.api}/readyz", timeout=network.PATIENCE).status_code == 200
            )
        except httpx.TransportError:
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, within: float = STOP_LIMIT) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._process is not None
        return self._process.wait(within)

    def stop(self) -> int:
        """SIGTERM, and SIGKILL if that does not end it; its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"SIGTERM did not end it\n{self.log_tail()}") from None

    def log_since(self, offset: int) -> list[str]:
        """Lines of its log from this byte on."""
        return self.log.read_bytes()[offset:].decode(errors="replace").splitlines()

    def faults_since(self, offset: int) -> list[str]:
        """Those lines that tell of a fault of the gateway's own, or are none of its log at all."""
        return [
            line
            for line in self.log_since(offset)
            if not line.startswith("{") or '"level":"error"' in line or "Traceback" in line
        ]

    def log_tail(self, lines: int = 80) -> str:
        """The end of its log."""
        return "\n".join(self.log_since(0)[-lines:])

    def footprint(self) -> Footprint:
        """What it holds now."""
        proc = Path(f"/proc/{self.pid}")
        children = (task / "children" for task in (proc / "task").iterdir())
        first, last = self.world.rtp
        ports = network.bound_udp_ports(GATEWAY)
        return Footprint(
            open_files=len([*(proc / "fd").iterdir()]),
            children=tuple(int(pid) for file in children for pid in file.read_text().split()),
            rtp_ports=frozenset(port for port in ports if first <= port <= last),
            threads=len([*(proc / "task").iterdir()]),
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `switchhook` command on the same configuration."""
        return subprocess.run(
            (SWITCHHOOK, *arguments),
            capture_output=True,
            text=True,
            timeout=STOP_LIMIT,
            check=False,
        )


def served(world: World) -> Iterator[GatewayProcess]:
    """A fixture's gateway, of a world that is not written yet; it must end well."""
    world.write()
    process = GatewayProcess(world)
    process.start()
    yield process
    assert process.stop() == 0, process.log_tail()


class Api:
    """The control API, as a test uses it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.earlier: set[str] = set()

    @classmethod
    @asynccontextmanager
    async def of(cls, world: World) -> AsyncIterator[Api]:
        """That of the gateway of this world, from now on."""
        limits = httpx.Limits(keepalive_expiry=KEEP_ALIVE)
        async with httpx.AsyncClient(
            base_url=world.api, timeout=network.PATIENCE, limits=limits
        ) as client:
            api = cls(client)
            await api.begin()
            yield api

    async def begin(self) -> None:
        """From here on `record` means calls that end later."""
        self.earlier = {call["id"] for call in await self.ended()}

    async def live(self) -> list[dict[str, Any]]:
        """Calls in progress."""
        calls: list[dict[str, Any]] = (await self._get("/v1/calls"))["calls"]
        return calls

    async def only_call(self) -> dict[str, Any]:
        """The one call in progress."""
        await network.until(self._one_lives, "one call is in progress")
        return (await self.live())[0]

    async def event(self, name: str, text: str = "") -> dict[str, Any]:
        """The first event of this name in the one call in progress, once it has happened.

        `text`: what it begins with; of a `sip.message` its method or status.
        """
        call = (await self.only_call())["id"]
        found: list[dict[str, Any]] = []

        async def happened() -> bool:
            timeline = (await self._get(f"/v1/calls/{call}"))["timeline"]
            named = [event for event in timeline if event["name"] == name]
            found[:] = [event for event in named if event.get("text", "").startswith(text)]
            return bool(found)

        await network.until(happened, f"{name} {text} is in the call's timeline")
        return found[0]

    async def seen(self, message: str) -> None:
        """Wait until a SIP message that begins so was sent or received in the one live call."""
        await self.event("sip.message", message)

    async def goes_on(self, seconds: float) -> None:
        """Wait until the one call in progress has lasted so much longer."""
        live = await self.only_call()

        async def later() -> bool:
            now = (await self._get(f"/v1/calls/{live['id']}"))["call"]["duration_ms"]
            return bool(now > live["duration_ms"] + 1000 * seconds)

        await network.until(later, f"the call goes on for {seconds} s")

    async def record(self, within: float = network.PATIENCE) -> dict[str, Any]:
        """The record of the one call that has ended since `begin`, with its `timeline`."""
        found: list[dict[str, Any]] = []

        async def stored() -> bool:
            found[:] = [call for call in await self.ended() if call["id"] not in self.earlier]
            return bool(found)

        await network.until(stored, "the call's record is stored", within)
        assert len(found) == 1, found
        detail = await self._get(f"/v1/calls/{found[0]['id']}")
        return {**detail["call"], "timeline": detail["timeline"]}

    async def attempt(self) -> dict[str, Any]:
        """The one attempt in that record to transfer the call."""
        (attempt,) = (await self.record())["attempts"]
        return dict(attempt)

    async def ended(self) -> list[dict[str, Any]]:
        """Records, the newest first."""
        calls: list[dict[str, Any]] = (await self._get("/v1/calls", state="ended", limit="200"))[
            "calls"
        ]
        return calls

    async def decide(self, call: str, action: str, /, **body: Any) -> httpx.Response:
        """Order something for a call."""
        return await self._client.post(f"/v1/calls/{call}/{action}", json=body)

    async def get(self, path: str) -> httpx.Response:
        """Any resource."""
        return await self._client.get(path)

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Anything else."""
        return await self._client.request(method, path, **options)

    async def metrics(self) -> dict[str, float]:
        """Every sample without labels, by name; labelled ones as `name{labels}`."""
        text = (await self._client.get("/metrics")).text
        rows = (line.rpartition(" ") for line in text.splitlines() if line[:1] not in ("#", ""))
        return {name: float(value) for name, _, value in rows}

    async def _one_lives(self) -> bool:
        return len(await self.live()) == 1

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer = await self._client.get(path, params=query)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body
