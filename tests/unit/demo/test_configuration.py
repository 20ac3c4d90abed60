"""The shipped example on whatever ports this machine has free."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from config.loader import load
from gateway.demo.configuration import EXAMPLE, lay_out


@pytest.fixture
def taken() -> Iterator[None]:
    """The example's ports of the PBX and the bot are somebody else's."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pbx,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bot,
    ):
        bot.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for holder, place in ((pbx, ("127.0.0.3", 5060)), (bot, ("127.0.0.1", 8765))):
            with suppress(OSError):  # taken by another process: all the better
                holder.bind(place)
        bot.listen()
        yield


@pytest.mark.usefixtures("taken")
def test_taken_ports_are_replaced_wherever_they_stand(tmp_path: Path) -> None:
    settings = lay_out(tmp_path).settings
    billing = settings.targets["billing"].destination
    proxy = settings.trunks["pbx"].proxy
    assert proxy is not None
    assert not proxy.endswith(":5060")
    assert billing == proxy.replace("sip:", "sip:billing@")
    assert not settings.bots["demo"].url.endswith(":8765")


def test_all_else_stays_as_it_is_shipped(tmp_path: Path) -> None:
    shipped = load(EXAMPLE / "switchhook.yaml", environ={})
    laid_out = lay_out(tmp_path)
    assert laid_out.flows == shipped.flows
    assert laid_out.settings.trunks.keys() == shipped.settings.trunks.keys()
    assert laid_out.settings.targets.keys() == shipped.settings.targets.keys()
    assert laid_out.settings.sip.listen[0].address == shipped.settings.sip.listen[0].address


def test_records_stay_in_the_demos_folder(tmp_path: Path) -> None:
    assert lay_out(tmp_path).settings.data.is_relative_to(tmp_path)


def test_the_file_can_be_used_by_hand_and_again(tmp_path: Path) -> None:
    lay_out(tmp_path)
    path = lay_out(tmp_path).path
    assert load(path, environ={}).settings.api.port
    assert yaml.safe_load(path.read_text())["api"]["port"]
