"""The softphone's process: commands from stdin, reports to stdout, PJSIP's log to stderr."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import pjsua2 as pj
from pydantic import ValidationError

from sip.softphone import commands, reports
from sip.softphone.phone import Line, Phone

_CHUNK = 65_536
"""Bytes read from stdin at once."""


class _Stop:
    """Set by SIGTERM and SIGINT; an exception could be raised inside a PJSIP callback."""

    asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def main() -> int:
    """Run one softphone until it is stopped; 0, or 1 if its address cannot be had."""
    line = _line()
    # PJSIP prints on stdout before its log can be configured: that goes to stderr instead.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    stop = _Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    def tell(report: reports.Report) -> None:
        out.write(reports.render(report) + "\n")

    phone = Phone(line, tell)
    try:
        phone.start()
    except pj.Error as error:
        where = f"{line.address}:{line.port} ({line.transport})"
        sys.stderr.write(f"cannot listen on {where}: {error.reason}\n")
        return 1
    stdin = _lines(0)
    while not stop.asked:
        phone.poll()
        try:
            for text in next(stdin):
                command = commands.parse(text)
                if isinstance(command, commands.Quit):
                    stop.asked = True
                else:
                    phone.do(command)
        except ValidationError as error:
            tell(reports.Report("refused", facts={"do": "", "message": str(error)}))
        except StopIteration:
            break
    phone.stop()
    return 0


def _lines(fd: int) -> Iterator[list[bytes]]:
    """The whole lines that have come in, each time it is asked; ends with the input."""
    pending = b""
    while True:
        ready, _, _ = select.select([fd], [], [], 0)
        if not ready:
            yield []
            continue
        chunk = os.read(fd, _CHUNK)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        yield [line for line in lines if line.strip()]


def _line() -> Line:
    parser = argparse.ArgumentParser(prog="python -m sip.softphone", description=__doc__)
    parser.add_argument(
        "--bind", required=True, metavar="ADDRESS:PORT", help="where it listens; port 0: any"
    )
    parser.add_argument("--name", default="phone", help="its user part (default: phone)")
    parser.add_argument("--transport", choices=("udp", "tcp", "tls"), default="udp")
    parser.add_argument("--certificate", default="", help="PEM file, for TLS")
    parser.add_argument("--key", default="", help="PEM file of the certificate's private key")
    parser.add_argument("--ca", default="", help="PEM file of who may sign peers' certificates")
    parser.add_argument("--srtp", choices=("off", "optional", "required"), default="off")
    parser.add_argument("--username", default="", help="of its digest credentials, for any realm")
    parser.add_argument("--password", default="", help="of its digest credentials")
    parser.add_argument("--rtp-port", type=int, default=0, help="first audio port; 0: any")
    parser.add_argument("--codecs", default="PCMU,PCMA", help="in order of preference")
    parser.add_argument("--max-calls", type=int, default=64)
    parser.add_argument("--log-level", type=int, default=0, choices=range(5), help="PJSIP's, 0-4")
    given = parser.parse_args()
    address, _, port = given.bind.rpartition(":")
    if not address or not port.isdigit():
        parser.error(f"--bind: {given.bind!r} is not ADDRESS:PORT, e.g. 127.0.0.2:5070")
    return Line(
        address=address,
        port=int(port),
        name=given.name,
        transport=given.transport,
        rtp_port=given.rtp_port,
        codecs=tuple(given.codecs.split(",")),
        certificate=given.certificate,
        key=given.key,
        ca=given.ca,
        srtp=given.srtp,
        username=given.username,
        password=given.password,
        max_calls=given.max_calls,
        log_level=given.log_level,
    )


if __name__ == "__main__":
    sys.exit(main())
