"""Runs a script of `tests.peers.script` with SIPp, in its own process."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers import network
from tests.peers.script import GO_ON, Script

RECEIVE_LIMIT = network.PATIENCE
"""Seconds that each expected message may take."""

RUN_LIMIT = 3 * RECEIVE_LIMIT
"""Seconds that a whole run may take: nothing here talks for long."""

_MESSAGE_HEAD = re.compile("-{40,} .*\n.*:\n")
"""What SIPp writes before each message."""

_MESSAGES_SHOWN = 4000
"""Characters of the message trace that a failure shows."""


class SippFailed(AssertionError):
    """The gateway did something else than the script expects."""


class Sipp:
    """A running SIPp; made by `start`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        script: Script,
        scenario: Path,
        address: tuple[str, int],
    ) -> None:
        self.script = script
        self._scenario = scenario
        self._address = address
        self._process = process

    @classmethod
    async def start(
        cls,
        script: Script,
        folder: Path,
        *,
        address: str,
        port: int | None = None,
        gateway: tuple[str, int] | None = None,
        number: str = "",
        transport: str = "udp",
        calls: int = 1,
        rate: int = 10,
        echo: bool = False,
        fields: Sequence[str] = (),
        measure: bool = False,
        run_limit: float = RUN_LIMIT,
        receive_limit: float = RECEIVE_LIMIT,
    ) -> Self:
        """Start it, and wait until it listens if it is to be called.

        Args:
            script: what it does, once for each call.
            folder: where the scenario and its traces are kept.
            address: its own address.
            port: its own SIP port; None for a free one.
            gateway: whom it calls; None: it waits to be called.
            number: the user part that it dials.
            transport: `udp` or `tcp`.
            calls: it ends after so many.
            rate: calls begun in a second.
            echo: send the audio back that it hears.
            fields: `[field0]` of each call in turn.
            measure: keep counts and response times instead of every message.
            run_limit: seconds after which it gives up.
            receive_limit: seconds that it waits for each message.
        """
        port = port or network.free_port(address)
        media, _ = network.free_udp_range(address, 4)
        scenario = folder / f"{re.sub('[^a-z0-9]+', '-', script.name.lower())}-{port}.xml"
        scenario.write_text(script.xml())
        arguments = [
            *("-sf", str(scenario), "-i", address, "-p", str(port), "-m", str(calls)),
            *("-r", str(rate)),
            *("-mi", address, "-mp", str(media), "-nostdin", "-nd"),
            *("-t", "t1" if transport == "tcp" else "u1"),
            *("-recv_timeout", str(round(receive_limit * 1000))),
            *("-timeout", f"{round(run_limit)}s", "-timeout_error"),
            *("-trace_err", "-error_file", str(scenario.with_suffix(".err"))),
        ]
        if fields:
            rows = scenario.with_suffix(".fields")
            rows.write_text("\n".join(["SEQUENTIAL", *fields, ""]))
            arguments += ["-inf", str(rows)]
        if measure:
            arguments += ["-trace_stat", "-stf", str(scenario.with_suffix(".csv")), "-fd", "1"]
            arguments += ["-trace_rtt", "-rtt_freq", str(min(calls, 100))]
        else:
            arguments += ["-trace_msg", "-message_file", str(scenario.with_suffix(".log"))]
        if echo:
            arguments.append("-rtp_echo")
        if gateway is not None:
            arguments += ["-s", number, f"{gateway[0]}:{gateway[1]}"]
        process = await asyncio.create_subprocess_exec(
            "sipp",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, "TERM": "dumb"},
        )
        sipp = cls(process, script, scenario, (address, port))
        if gateway is None:
            try:
                await network.until(
                    lambda: sipp.ended or network.bound(address, port, transport),
                    f"sipp listens on {address}:{port}",
                )
            except BaseException:
                await sipp.stop()
                raise
        return sipp

    @property
    def ended(self) -> bool:
        """Whether its process has ended."""
        return self._process.returncode is not None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leaving means that the script has succeeded; nothing is left running if it has not."""
        try:
            if error is None:
                await self.succeeds()
        finally:
            await self.stop()

    def messages(self) -> list[str]:
        """Everything that it has sent and received, in order; what was repeated is there once."""
        trace = self._scenario.with_suffix(".log")
        said = trace.read_text(errors="replace") if trace.exists() else ""
        return [*dict.fromkeys(text.strip() for text in _MESSAGE_HEAD.split(said)[1:])]

    async def said(self, start: str, times: int = 1, *, within: str = "") -> None:
        """Wait until it has sent or received a message that begins so.

        Args:
            start: a method, or `SIP/2.0` and a status.
            times: how many such messages.
            within: something else in each of them, e.g. `2 NOTIFY`.
        """

        def was() -> bool:
            found = [text for text in self.messages() if text.startswith(start) and within in text]
            return len(found) >= times

        await network.until(was, f"{self.script.name!r}: {times} of {start} {within}")

    def go_on(self) -> None:
        """The script `waits` no longer. It has come to that step: what stands before it is said."""
        call_id = re.search(r"^Call-ID: *(\S+)", "\n".join(self.messages()), re.MULTILINE)
        assert call_id is not None, "no call yet"
        lines = (
            f"{GO_ON} sip:peer SIP/2.0",
            "From: <sip:test>;tag=test",
            "To: <sip:peer>",
            f"Call-ID: {call_id[1]}",
            f"CSeq: 1 {GO_ON}",
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto("\r\n".join((*lines, "", "")).encode(), self._address)

    def failed_calls(self) -> int:
        """How many calls did not follow the script; for a run with `measure`."""
        *_, last = csv.DictReader(self._scenario.with_suffix(".csv").open(), delimiter=";")
        return int(last["FailedCall(C)"])

    def response_times(self) -> list[float]:
        """Milliseconds from each INVITE to its 200; for a run with `measure`."""
        name = f"{self._scenario.stem}_{self._process.pid}_rtt.csv"
        rows = csv.DictReader(self._scenario.with_name(name).open(), delimiter=";")
        return [float(row["response_time_ms"]) for row in rows]

    async def ends(self) -> None:
        """Wait for its end, however that is."""
        await self._process.wait()

    async def succeeds(self) -> None:
        """Wait for its end.

        Raises:
            SippFailed: with SIPp's own error and the last messages.
        """
        code = await self._process.wait()
        if code != 0:
            raise SippFailed(f"{self.script.name!r}: sipp ended with {code}\n{self._trace()}")

    async def stop(self) -> None:
        """End it if it still runs."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()

    def _trace(self) -> str:
        shown = []
        for suffix in (".err", ".log"):
            trace = self._scenario.with_suffix(suffix)
            if trace.exists():
                shown.append(trace.read_text(errors="replace")[-_MESSAGES_SHOWN:])
        return "\n".join(shown)
