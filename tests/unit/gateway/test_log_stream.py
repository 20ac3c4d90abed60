"""Whoever logs neither waits for the log nor fails by it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from gateway.log import Format, configure

Pipe = tuple[TextIO, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A writing end with room for 8 KB, and the number of its reading end."""
    reader, writer = os.pipe()
    fcntl(writer, F_SETPIPE_SZ, 8192)
    stream = os.fdopen(writer, "w")
    yield stream, reader
    with suppress(BrokenPipeError):
        stream.close()


def test_a_reader_that_stands_still_is_not_waited_for(pipe: Pipe) -> None:
    stream, reader = pipe
    configure(logging.INFO, Format.JSON, stream)
    log = structlog.get_logger()
    for number in range(100):
        log.info("something", number=number, filling="x" * 100)
    came = [json.loads(line) for line in os.read(reader, 65_536).splitlines()]
    assert [line["number"] for line in came] == list(range(len(came)))
    log.info("later")
    logging.getLogger("elsewhere").warning("at last")
    lost, later, last = [json.loads(line) for line in os.read(reader, 65_536).splitlines()]
    assert (lost["event"], lost["level"], lost["lines"]) == (
        "log lines lost",
        "error",
        100 - len(came),
    )
    assert (later["event"], last["event"]) == ("later", "at last")
    os.close(reader)


def test_a_reader_that_is_gone_costs_its_lines_alone(pipe: Pipe) -> None:
    stream, reader = pipe
    os.close(reader)
    configure(logging.INFO, Format.JSON, stream)
    for _ in range(100):
        structlog.get_logger().info("something")
        logging.getLogger("elsewhere").warning("something else")


def test_so_does_a_full_disk() -> None:
    stream = Path("/dev/full").open("w")  # noqa: SIM115 — it cannot be closed in good order
    configure(logging.INFO, Format.JSON, stream)
    structlog.get_logger().info("something")
    with pytest.raises(OSError, match="No space left"):
        stream.close()
