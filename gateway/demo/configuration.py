"""The shipped example configuration, laid out in a folder, on ports that are free."""

from __future__ import annotations

import re
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

import config
from config.configuration import Configuration
from config.loader import load

EXAMPLE = Path(config.__file__).parent / "example"

_PLACE = re.compile(r"(?P<address>127\.\d+\.\d+\.\d+):(?P<port>\d+)")
_API = ("127.0.0.1", 8080)


def lay_out(folder: Path) -> Configuration:
    """Copy the example into `folder`, and load it.

    A port of the example that is taken on this machine is replaced by a free one wherever the
    example names it; all else stays as it is shipped.

    Raises:
        ConfigError: the example is broken.
    """
    settings = yaml.safe_load((EXAMPLE / "switchhook.yaml").read_text(encoding="utf-8"))
    ports = _Ports()
    settings = ports.replace(settings)
    for listen in settings["sip"]["listen"]:
        listen["port"] = ports.free(listen["address"], listen["port"])
    settings["api"] = {"port": ports.free(*_API)}
    shutil.copytree(EXAMPLE / "flows", folder / "flows", dirs_exist_ok=True)
    path = folder / "switchhook.yaml"
    path.write_text(
        "# config/example as `switchhook demo` ran it, on the ports that were free.\n"
        + yaml.safe_dump(settings, sort_keys=False),
        encoding="utf-8",
    )
    return load(path, environ={})


class _Ports:
    """Which port stands for each port of the example."""

    def __init__(self) -> None:
        self._chosen: dict[tuple[str, int], int] = {}

    def replace(self, value: Any) -> Any:
        """`value` with a free port in every `127.x.x.x:port` of its strings."""
        if isinstance(value, dict):
            return {key: self.replace(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.replace(inner) for inner in value]
        if isinstance(value, str):
            return _PLACE.sub(
                lambda at: f"{at['address']}:{self.free(at['address'], int(at['port']))}", value
            )
        return value

    def free(self, address: str, port: int) -> int:
        """This port if it is free, else another; the same answer for the same question."""
        if (address, port) not in self._chosen:
            taken = set(self._chosen.values())
            chosen = _bindable(address, port)
            while chosen is None or chosen in taken:
                chosen = _bindable(address, 0)
            self._chosen[address, port] = chosen
        return self._chosen[address, port]


def _bindable(address: str, port: int) -> int | None:
    """`port`, or any where it is 0, if it is free for TCP and UDP; None if not."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        suppress(OSError),
    ):
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is no obstacle
        tcp.bind((address, port))
        found: int = tcp.getsockname()[1]
        udp.bind((address, found))
        return found
    return None
