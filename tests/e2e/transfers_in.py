"""A gateway whose PBX may transfer calls by REFER and by Replaces; the carrier may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.process import GatewayProcess
from tests.e2e.world import World, prompt, transfer_node
from tests.peers import network

COLLEAGUE = "127.0.0.4"
COLLEAGUE_PORT = network.free_port(COLLEAGUE)
COLLEAGUE_URI = f"sip:colleague@{COLLEAGUE}:{COLLEAGUE_PORT}"
COLLEAGUE_TONE = 1375

BRANCH = "127.0.0.5"
"""Of a trunk that may refer, and replace nothing."""

ALLOWED = {"refer": True, "replaces": True}

FLOWS: tuple[dict[str, Any], ...] = (
    {
        "flow": "referred",
        "start": "to_sales",
        "nodes": {
            "to_sales": transfer_node(target="sales", timeout=5, waiting="music", next="bye"),
            "bye": {"type": "hangup", "headers": {"X-End": "completed"}},
        },
    },
    {
        # An agent's telephone asks a colleague, in a call of its own.
        "flow": "consulted",
        "start": "to_colleague",
        "nodes": {
            "to_colleague": transfer_node(target="colleague", timeout=5, next="bye"),
            "bye": {"type": "hangup", "prompt": prompt("goodbye")},
        },
    },
    {
        # One who is there for the PBX alone.
        "flow": "inside",
        "start": "to_inside",
        "nodes": {"to_inside": transfer_node(target="inside", timeout=5)},
    },
    {
        "flow": "held",
        "start": "hello",
        "nodes": {"hello": {"type": "play", "prompt": prompt("welcome"), "next": "hello"}},
    },
)


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose PBX may refer."""
    world = World(
        tmp_path_factory.mktemp("gateway"),
        settings={
            "trunks": {
                "pbx": {
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
    world.write()
    process = GatewayProcess(world)
    process.start()
    yield process
    assert process.stop() == 0, process.log_tail()
