"""OPTIONS to a trunk's proxies (RFC 3261 section 11): a dead one is known before a call finds it.

Both proxies are SIPp. They refuse calls with a code of their own, which tells where a call went.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import CARRIER, World, transfer_node
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.caller import Caller
from tests.peers.sipp import Sipp

FIRST, SECOND = "127.0.0.5", "127.0.0.6"
AT_FIRST, AT_SECOND = 486, 603

FLOW = {
    "flow": "pinged",
    "start": "to_number",
    "nodes": {"to_number": transfer_node(target="pinged", timeout=20)},
}


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Where the proxies listen."""
    return {address: network.free_port(address) for address in (FIRST, SECOND)}


@pytest.fixture(scope="module")
def shared_gateway(
    tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]
) -> Iterator[GatewayProcess]:
    """A gateway that asks both proxies every second."""
    first, second = (f"sip:{address}:{port}" for address, port in ports.items())
    settings: dict[str, Any] = {
        "trunks": {
            "provider": {
                "sources": [f"{FIRST}/32", f"{SECOND}/32"],
                "proxy": first,
                "fallback_proxies": [second],
                "ping": {"interval": 1, "timeout": 2},
            }
        },
        "targets": {
            "pinged": {
                "kind": "external",
                "destination": "+493099",
                "trunk": "provider",
                "method": "invite",
            }
        },
    }
    world = World(
        tmp_path_factory.mktemp("ping"),
        settings=settings,
        flows=(FLOW,),
        numbers={"697": "pinged"},
    )
    yield from served(world)


async def proxy(peer: StartPeer, address: str, ports: dict[str, int], options: int = 200) -> Sipp:
    """Answers OPTIONS, and refuses calls."""
    code = AT_FIRST if address == FIRST else AT_SECOND
    script = Agent(f"proxy {address}").is_asked_or_called(options, "As Asked")
    return await peer(
        script.refuses(code, "Refused"), address=address, port=ports[address], calls=100_000
    )


async def is_seen(api: Api, address: str, ports: dict[str, int], *, up: bool) -> None:
    """The gateway knows whether the proxy is in service."""
    name = f'switchhook_hop_up{{hop="sip:{address}:{ports[address]}",trunk="provider"}}'

    async def known() -> bool:
        return (await api.metrics()).get(name) == float(up)

    await network.until(known, f"{address} is {'up' if up else 'down'}")


async def called(gateway: GatewayProcess, peer: StartPeer, api: Api) -> tuple[int, list[str]]:
    """A caller's transfer over the trunk: the code that tells where it went, and its steps."""
    await api.begin()
    caller = Caller("waits").dials().is_answered().is_hung_up_on()
    where = {"address": CARRIER, "gateway": gateway.world.address, "number": "697"}
    async with await peer(caller, **where):
        pass
    attempt = await api.attempt()
    return attempt["code"], [step["what"] for step in attempt["steps"]]


async def test_a_proxy_that_falls_silent_is_passed_over_until_it_answers_again(
    gateway: GatewayProcess, peer: StartPeer, api: Api, ports: dict[str, int]
) -> None:
    first = await proxy(peer, FIRST, ports)
    await proxy(peer, SECOND, ports)
    for address in (FIRST, SECOND):
        await is_seen(api, address, ports, up=True)
    assert (await called(gateway, peer, api))[0] == AT_FIRST

    await first.stop()
    await is_seen(api, FIRST, ports, up=False)
    assert await called(gateway, peer, api) == (AT_SECOND, ["invite_sent", "final"])
    shown = gateway.command("trunk", "status", "-c", str(gateway.world.configuration)).stdout
    (row,) = [line for line in shown.splitlines() if "no answer" in line]
    assert f"sip:{FIRST}:{ports[FIRST]}" in row, shown
    warnings = (await api.get("/readyz")).json()["warnings"]
    assert f"sip:{FIRST}:{ports[FIRST]} of trunk provider is out of service" in str(warnings)

    await proxy(peer, FIRST, ports)
    await is_seen(api, FIRST, ports, up=True)
    assert (await called(gateway, peer, api))[0] == AT_FIRST
    assert (await api.get("/readyz")).json()["warnings"] == []
    log = gateway.log.read_text()
    assert log.index("hop out of service") < log.index("hop in service")


@pytest.mark.parametrize("code", [404, 405, 503])
async def test_whatever_a_proxy_answers_it_is_in_service(
    code: int, gateway: GatewayProcess, peer: StartPeer, api: Api, ports: dict[str, int]
) -> None:
    await is_seen(api, FIRST, ports, up=False)
    await proxy(peer, FIRST, ports, options=code)
    await is_seen(api, FIRST, ports, up=True)
    assert (await called(gateway, peer, api))[0] == AT_FIRST


async def test_where_none_answers_a_call_is_tried_all_the_same(
    gateway: GatewayProcess, peer: StartPeer, api: Api, ports: dict[str, int]
) -> None:
    for address in (FIRST, SECOND):
        await is_seen(api, address, ports, up=False)
    script = Agent("answers no OPTIONS").is_called().refuses(AT_FIRST, "Refused")
    silent = await peer(script, address=FIRST, port=ports[FIRST])
    code, _ = await called(gateway, peer, api)
    assert code == AT_FIRST
    await silent.ends()
