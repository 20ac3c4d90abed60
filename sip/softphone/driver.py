"""Drives a softphone's process from asyncio: start, send commands, expect reports, stop.

    async with await Softphone.start("127.0.0.2", name="caller") as phone:
        await phone.send(Dial(call="a", to="sip:100@127.0.0.1:5060", tone=440))
        answered = await phone.expect("confirmed", "a", within=10)
        bye = await phone.expect("disconnected", "a", by="peer")
        print(bye.headers.get("X-Reason"))

Reports may be expected in any order: each one is given out once, whatever else came before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sip.softphone import commands, reports
from sip.softphone.reports import Report

READY_LIMIT = 30.0
"""Seconds that a phone may take to listen: two cores may be busy with the gateway's own start."""

STOP_LIMIT = 10.0
"""Seconds between asking a phone to end and killing it."""

REPORT_LIMIT = 20.0
"""Seconds that a report may take, unless the caller knows better."""

STATISTICS_LIMIT = 2.0
"""Seconds that a phone which did not report something may take to tell how its calls fare."""

_STDERR_SHOWN = 2000
"""Characters of a failed phone's stderr that its error quotes."""


class SoftphoneError(Exception):
    """A softphone did not start, ended by itself, or did not report what was expected."""


class Softphone:
    """A running softphone; made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self.name = name
        self.uri = ""
        """Where it is called, e.g. `sip:caller@127.0.0.2:40112`."""
        self.history: list[Report] = []
        """Everything it has reported."""
        self._process = process
        self._unclaimed: list[Report] = []
        self._news = asyncio.Condition()
        self._command = asyncio.Lock()
        self._stderr = bytearray()
        self._ended = False
        self._stdin, stdout, stderr = _pipes(process)
        self._readers = asyncio.gather(self._read_reports(stdout), self._read_log(stderr))

    @classmethod
    async def start(
        cls,
        address: str,
        port: int = 0,
        *,
        name: str = "phone",
        transport: str = "udp",
        rtp_port: int = 0,
        options: tuple[str, ...] = (),
    ) -> Self:
        """Start a phone and wait until it listens.

        Args:
            address: what SIP and audio are bound to, e.g. `127.0.0.2`.
            port: SIP port; 0 for any free one, then `uri` tells which.
            name: its user part, and its name in errors.
            transport: `udp`, `tcp` or `tls`.
            rtp_port: first audio port; 0 for any free ones.
            options: further arguments of `python -m sip.softphone`.

        Raises:
            SoftphoneError: it ended or did not listen within `READY_LIMIT`.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sip.softphone", "--bind", f"{address}:{port}"),
            *("--name", name, "--transport", transport, "--rtp-port", str(rtp_port)),
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # `-m sip.softphone` finds the package from the project, wherever the caller stands.
            cwd=Path(__file__).parents[2],
        )
        phone = cls(process, name)
        try:
            ready = await phone.expect("ready", within=READY_LIMIT)
        except BaseException:
            await phone.stop()
            raise
        phone.uri = ready["uri"]
        return phone

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def send(self, command: commands.Command) -> None:
        """Give it a command and wait until it is carried out: a policy holds from then on.

        Raises:
            SoftphoneError: it was refused; the message says why.
        """
        async with self._command:
            with contextlib.suppress(ConnectionError):  # `expect` says it better
                self._stdin.write(commands.render(command).encode() + b"\n")
                await self._stdin.drain()
            if not isinstance(command, commands.Quit):
                done = Report("done", facts={"do": command.do})
                if await self._next(done, REPORT_LIMIT) is None:
                    raise self._error(_missing(done, REPORT_LIMIT))

    async def expect(
        self, event: str, call: str | None = None, *, within: float = REPORT_LIMIT, **facts: Any
    ) -> Report:
        """The first report of this kind that was not given out yet, waiting for it if need be.

        Args:
            event: the report's name.
            call: name of the call; None for any.
            within: seconds.
            facts: values that the report must carry, e.g. `code=486`.

        Raises:
            SoftphoneError: it did not come in time, or the phone ended or reported an error that
                nobody expected; the message lists what was seen instead, and last the
                `statistics` of each call that is up.
        """
        wanted = Report(event, call or "", facts)
        report = await self._next(wanted, within)
        if report is not None:
            return report
        missing = _missing(wanted, within)
        if not await self._tells_statistics():
            missing += f", and not how its calls fare within {STATISTICS_LIMIT} s"
        raise self._error(missing)

    async def _next(self, wanted: Report, within: float) -> Report | None:
        """The first such report that was not given out yet; None: it did not come in time."""
        call = wanted.call or None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within), self._news:
                while True:
                    for report in self._unclaimed:
                        if report.matches(wanted.event, call, wanted.facts):
                            self._unclaimed.remove(report)
                            return report
                    self._refuse(wanted)
                    await self._news.wait()
        return None

    def _refuse(self, wanted: Report) -> None:
        for report in self._unclaimed:
            if report.event in ("error", "refused") and report.event != wanted.event:
                self._unclaimed.remove(report)
                raise self._error(f"{report['message']} (while {str(wanted)!r} was expected)")
        if self._ended:
            raise self._error(f"ended while {str(wanted)!r} was expected")

    async def _tells_statistics(self) -> bool:
        """Have its history end with them. A phone that hangs is no reason to wait for it, nor one
        that ends meanwhile to say something else than what was missing."""
        with contextlib.suppress(TimeoutError, SoftphoneError):
            async with asyncio.timeout(STATISTICS_LIMIT):
                await self.send(commands.Statistics())
                return True
        return False

    def forget(self, event: str, call: str | None = None) -> None:
        """Leave such reports behind: what is expected from here on has not happened yet."""
        self._unclaimed = [each for each in self._unclaimed if not each.matches(event, call, {})]

    def seen(self, event: str, call: str | None = None, **facts: Any) -> list[Report]:
        """All such reports so far, given out or not."""
        return [report for report in self.history if report.matches(event, call, facts)]

    async def stop(self) -> None:
        """End it: calls are hung up, recordings finished. Killed after `STOP_LIMIT`."""
        self._stdin.close()
        try:
            async with asyncio.timeout(STOP_LIMIT):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._readers

    def _error(self, what: str) -> SoftphoneError:
        lines = [f"softphone {self.name}: {what}"]
        lines += ["it reported:", *(f"  {report}" for report in self.history)]
        if self._stderr:
            lines += ["its log ends:", self._stderr[-_STDERR_SHOWN:].decode(errors="replace")]
        return SoftphoneError("\n".join(lines))

    async def _read_reports(self, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            report = reports.parse(line)
            async with self._news:
                self.history.append(report)
                self._unclaimed.append(report)
                self._news.notify_all()
        async with self._news:
            self._ended = True
            self._news.notify_all()

    async def _read_log(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(4096):
            self._stderr += chunk


def _missing(wanted: Report, within: float) -> str:
    return f"no {str(wanted)!r} within {within} s"


def _pipes(
    process: asyncio.subprocess.Process,
) -> tuple[asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise TypeError("the phone's process has no pipes")
    return process.stdin, process.stdout, process.stderr
