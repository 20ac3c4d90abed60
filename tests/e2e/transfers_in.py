"""A gateway whose PBX may transfer calls by REFER and by Replaces; the carrier may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sip.message import Message
from sip.softphone import commands
from sip.softphone.driver import Softphone
from tests.e2e.conftest import StartPhone
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import REFER_TIMERS, World, prompt, transfer_node
from tests.peers import network
from tests.peers.sipp import Sipp

COLLEAGUE = "127.0.0.4"
COLLEAGUE_PORT = network.free_port(COLLEAGUE)
COLLEAGUE_URI = f"sip:colleague@{COLLEAGUE}:{COLLEAGUE_PORT}"
COLLEAGUE_TONE = 1375

BRANCH = "127.0.0.5"
"""Of a trunk that may refer, and replace nothing."""

BYE_GRACE = 3
"""Seconds that a referrer has for its BYE, before it gets ours."""

ALLOWED = {"refer": True, "replaces": True}

FLOWS: tuple[dict[str, Any], ...] = (
    {
        "flow": "referred",
        "start": "to_sales",
        "nodes": {
            "to_sales": transfer_node(target="sales", timeout=20, waiting="music", next="bye"),
            "bye": {"type": "hangup", "headers": {"X-End": "completed"}},
        },
    },
    {
        # An agent's telephone asks a colleague, in a call of its own.
        "flow": "consulted",
        "start": "to_colleague",
        "nodes": {
            "to_colleague": transfer_node(target="colleague", timeout=20, next="bye"),
            "bye": {"type": "hangup", "prompt": prompt("goodbye")},
        },
    },
    {
        # One who is there for the PBX alone.
        "flow": "inside",
        "start": "to_inside",
        "nodes": {"to_inside": transfer_node(target="inside", timeout=20)},
    },
    {
        "flow": "held",
        "start": "hello",
        "nodes": {"hello": {"type": "play", "prompt": prompt("welcome"), "next": "hello"}},
    },
)


async def once_joined(sipp: Sipp, api: Api) -> None:
    """Its script, which waits for it, goes on once caller and agent talk."""
    await api.event("transfer.joined")
    sipp.go_on()


async def reaches_agent(caller: Softphone, world: World, sipp: Sipp, api: Api, **talk: Any) -> None:
    """The caller's call `a`; the agent's script goes on once both talk."""
    await caller.send(commands.Dial(call="a", to=world.number("670"), **talk))
    await once_joined(sipp, api)


async def dialog(api: Api, leg: str) -> str:
    """The Replaces value for the dialog that the gateway has on a leg of the live call."""
    call = await api.only_call()
    answer = None

    async def answered() -> bool:
        nonlocal answer
        timeline = (await api.get(f"/v1/calls/{call['id']}")).json()["timeline"]
        for event in timeline:
            if event["name"] == "sip.message" and event["leg"] == leg:
                message = Message(event["text"])
                if "tag=" in message.header("To") and message.method == "INVITE":
                    answer = message, event["direction"]
        return answer is not None

    await network.until(answered, f"{leg} has a dialog")
    assert answer is not None
    message, direction = answer
    tags = [message.header(name).rpartition("tag=")[2] for name in ("From", "To")]
    ours, theirs = tags if direction == "received" else reversed(tags)
    return f"{message.header('Call-ID')};to-tag={ours};from-tag={theirs}"


@pytest.fixture
async def colleague(start_phone: StartPhone, tmp_path: Path) -> Softphone:
    """Whom an agent asks, or refers the caller to."""
    phone = await start_phone(COLLEAGUE, COLLEAGUE_PORT, name="colleague")
    await phone.send(commands.Policy(tone=COLLEAGUE_TONE, record=tmp_path / "colleague.wav"))
    return phone


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose PBX may refer."""
    world = World(
        tmp_path_factory.mktemp("gateway"),
        settings={
            "recordings": {"folder": "kept"},
            "trunks": {
                "pbx": {
                    "refer": {**REFER_TIMERS, "bye_grace": BYE_GRACE},
                    "transfers_in": ALLOWED,
                    "routes": [
                        {"number": "670", "flow": "referred"},
                        {"number": "671", "flow": "held"},
                        {"number": "672", "flow": "consulted"},
                        {"number": "673", "flow": "inside"},
                        {"number": "100", "flow": "conversation"},
                    ],
                },
                "branch": {
                    "sources": [f"{BRANCH}/32"],
                    "transfers_in": {"refer": True},
                    "routes": [{"number": "671", "flow": "held"}],
                },
            },
            "targets": {
                "colleague": {"kind": "external", "destination": COLLEAGUE_URI},
                "inside": {
                    "kind": "internal",
                    "destination": COLLEAGUE_URI.replace("colleague@", "inside@"),
                    "from_trunks": ["pbx"],
                },
            },
        },
        flows=FLOWS,
        numbers={"670": "referred", "671": "held"},
    )
    world.settings["targets"]["colleague"]["method"] = "invite"
    yield from served(world)
