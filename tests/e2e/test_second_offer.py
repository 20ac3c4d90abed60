"""A peer that refuses our offer and takes a plainer one (RFC 3261 sections 21.4.26 and 21.6.4).

The PBX is SIPp: it refuses what is long, and answers what is short. Each INVITE is a call of its
own to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api, GatewayProcess, served
from tests.e2e.world import CARRIER, PBX, World, transfer_node
from tests.peers import network
from tests.peers.agent import Agent
from tests.peers.caller import Caller

OTHER = "127.0.0.5"
OTHER_PORT = network.free_port(OTHER)

SDP_TYPE = "Content-Type: application/sdp"
TAKES_G722 = """v=0
o=pbx 1 1 IN IP4 127.0.0.3
s=-
c=IN IP4 127.0.0.3
t=0 0
m=audio 9 RTP/AVP 9
a=ptime:30"""
"""A refusal may say what would be taken."""

SRTP = """v=0
o=pbx 1 1 IN IP4 127.0.0.3
s=-
c=IN IP4 127.0.0.3
t=0 0
m=audio [media_port] RTP/SAVP 0
a=rtpmap:0 PCMU/8000
a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"""
"""What a peer takes, and answers with, that speaks nothing but SRTP (RFC 4568 section 9.1)."""

LONG = "opus|a=ptime:40|a=crypto"


def _flow(name: str, target: str, **node: Any) -> dict[str, Any]:
    nodes = {"to_them": transfer_node(target=target, timeout=20, **node)}
    return {"flow": name, "start": "to_them", "nodes": nodes}


def trunk(port: int, **more: Any) -> dict[str, Any]:
    """A trunk to the PBX."""
    wide = ["opus", "G722", "PCMA", "PCMU"]
    return {
        "sources": ["127.0.0.99/32"],
        "proxy": f"sip:{PBX}:{port}",
        "codecs": wide,
        **more,
    }


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with a trunk for each kind of offer."""
    world = World(tmp_path_factory.mktemp("offers"))
    port = world.pbx_port
    optional = {"use": "optional", "keys_in_clear": True}
    required = {"use": "required", "keys_in_clear": True}
    kinds: dict[str, dict[str, Any]] = {
        "wide": {},
        "slow": {"codecs": ["PCMU"], "ptime": 40},
        "never": {"fallback_codecs": []},
        "keys": {"codecs": ["PCMU"], "srtp": optional},
        "secure": {"srtp": required},
    }
    trunks = {
        name: {**trunk(port, **more), "sources": [f"127.0.0.{90 + at}/32"]}
        for at, (name, more) in enumerate(kinds.items())
    }
    trunks["other"] = {"sources": [f"{OTHER}/32"], "proxy": f"sip:{OTHER}:{OTHER_PORT}"}
    targets = {
        name: {
            "kind": "internal",
            "destination": f"sip:{name}@{OTHER}:{OTHER_PORT}"
            if name == "other"
            else f"sip:{name}@{PBX}:{port}",
            "trunk": name,
        }
        for name in trunks
    }
    flows = [_flow(name, name) for name in kinds] + [_flow("both", "both")]
    world = World(
        world.folder,
        settings={
            "trunks": trunks,
            "targets": targets,
            "groups": {"both": {"strategy": "parallel", "members": ["wide", "other"]}},
        },
        flows=tuple(flows),
        numbers={str(690 + at): flow["flow"] for at, flow in enumerate(flows)},
        pbx_port=port,
    )
    yield from served(world)


NUMBERS = {"wide": "690", "slow": "691", "never": "692", "keys": "693", "secure": "694"}
BOTH = "695"


@dataclass(frozen=True)
class Transferred:
    """What became of it."""

    attempt: dict[str, Any]
    offers: list[str]
    """The SDP of each INVITE that left."""

    @property
    def steps(self) -> list[str]:
        return [step["what"] for step in self.attempt["steps"] if step["what"] != "provisional"]

    def formats(self, number: int) -> list[str]:
        """Codecs of an offer, in its order."""
        return re.findall(r"a=rtpmap:\d+ ([\w-]+)/", self.offers[number])


async def told(api: Api) -> Transferred:
    record = await api.record()
    (attempt,) = record["attempts"]
    rows = [row for row in record["timeline"] if row["name"] == "sip.message"]
    sent = [row["text"] for row in rows if row["direction"] == "sent"]
    offers = [text for text in sent if text.startswith("INVITE ")]
    return Transferred(attempt, list(dict.fromkeys(offers)))


async def transferred(
    script: Agent, world: World, peer: StartPeer, api: Api, number: str, calls: int = 2
) -> Transferred:
    """A caller's transfer to the PBX."""
    caller = Caller("waits").dials().is_answered().is_hung_up_on()
    async with (
        await peer(script, address=PBX, port=world.pbx_port, calls=calls),
        await peer(caller, address=CARRIER, gateway=world.address, number=number),
    ):
        pass
    return await told(api)


def particular(name: str, text: str = LONG) -> Agent:
    """Refuses such an offer, and answers another."""
    script = Agent(name).is_called().refuses_offer_of(text, 488, "Not Acceptable Here")
    return script.rings().answers().talks(0.2).hangs_up()


class TestASecondOffer:
    """Plain telephone codecs follow, and the call is made."""

    async def test_holds_g711_where_the_refusal_says_nothing(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        done = await transferred(particular("refuses Opus"), world, peer, api, NUMBERS["wide"])
        assert done.attempt["outcome"] == "connected"
        assert done.steps[:5] == [
            "invite_sent",
            "final",
            "offered_again",
            "invite_sent",
            "answered",
        ]
        assert {"opus", "G722"} < set(done.formats(0))
        assert sorted(done.formats(1)) == ["PCMA", "PCMU", "telephone-event"]
        again = next(each for each in done.attempt["steps"] if each["what"] == "offered_again")
        assert again["detail"] == "PCMA PCMU, 20 ms"

    async def test_holds_what_the_refusal_names(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Agent("names G.722").is_called()
        script.refuses_offer_of("opus", 606, "Not Acceptable", (SDP_TYPE,), TAKES_G722)
        script.answers(sdp=TAKES_G722).talks(0.2).hangs_up()
        done = await transferred(script, world, peer, api, NUMBERS["wide"])
        assert done.attempt["outcome"] == "connected"
        assert done.formats(1) == ["G722", "telephone-event"]
        assert "a=ptime:30" in done.offers[1]

    async def test_has_packets_of_20_ms(self, world: World, peer: StartPeer, api: Api) -> None:
        done = await transferred(particular("refuses 40 ms"), world, peer, api, NUMBERS["slow"])
        assert done.attempt["outcome"] == "connected"
        assert ["a=ptime:40" in done.offers[0], "a=ptime:20" in done.offers[1]] == [True, True]

    async def test_has_no_optional_keys(self, world: World, peer: StartPeer, api: Api) -> None:
        done = await transferred(particular("refuses keys"), world, peer, api, NUMBERS["keys"])
        assert done.attempt["outcome"] == "connected"
        assert ["a=crypto" in offer for offer in done.offers] == [True, False]

    async def test_is_encrypted_where_the_refusal_asks_for_that(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Agent("speaks SRTP").is_called()
        script.refuses_offer_of("RTP/AVP", 488, "Not Acceptable Here", (SDP_TYPE,), SRTP)
        script.answers(sdp=SRTP).talks(0.2).hangs_up()
        done = await transferred(script, world, peer, api, NUMBERS["keys"])
        assert done.attempt["outcome"] == "connected"
        assert ["RTP/SAVP " in offer for offer in done.offers] == [False, True]
        started = [
            row for row in (await api.record())["timeline"] if row["name"] == "media.started"
        ]
        assert [row.get("srtp", "") for row in started] == ["", "AES_CM_128_HMAC_SHA1_80"]

    async def test_keeps_srtp_that_is_required(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Agent("refuses Opus").is_called()
        script.refuses_offer_of("opus", 488, "Not Acceptable Here").refuses(486, "Busy Here")
        done = await transferred(script, world, peer, api, NUMBERS["secure"])
        assert (done.attempt["outcome"], done.attempt["code"]) == ("busy", 486)
        assert all("RTP/SAVP " in offer and "a=crypto" in offer for offer in done.offers)


class TestNoThird:
    """A second refusal, or nothing else to offer, is the outcome."""

    async def test_a_second_refusal_stands(self, world: World, peer: StartPeer, api: Api) -> None:
        script = Agent("refuses all").is_called().refuses(488, "Not Acceptable Here")
        done = await transferred(script, world, peer, api, NUMBERS["wide"])
        assert (done.attempt["outcome"], done.attempt["code"]) == ("media_incompatible", 488)
        assert len(done.offers) == 2

    async def test_a_trunk_may_have_none(self, world: World, peer: StartPeer, api: Api) -> None:
        script = Agent("refuses all").is_called().refuses(488, "Not Acceptable Here")
        done = await transferred(script, world, peer, api, NUMBERS["never"], calls=1)
        assert done.attempt["outcome"] == "media_incompatible"
        assert done.steps == ["invite_sent", "final"]


class TestMeanwhile:
    """What ends an attempt ends it during the second INVITE too."""

    async def test_a_caller_who_hangs_up_has_it_cancelled(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Agent("rings").is_called()
        script.refuses_offer_of(LONG, 488, "Not Acceptable Here").rings().is_cancelled()
        caller = Caller("leaves").dials().is_answered()
        pbx = await peer(script, address=PBX, port=world.pbx_port, calls=2)
        where = {"address": CARRIER, "gateway": world.address, "number": NUMBERS["wide"]}
        async with pbx, await peer(caller.waits().hangs_up(), **where) as sipp:
            await pbx.said("SIP/2.0 180")
            sipp.go_on()
        done = await told(api)
        assert (done.attempt["outcome"], len(done.offers)) == ("abandoned", 2)

    async def test_another_target_that_answers_first_has_it_cancelled(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = Agent("rings").is_called()
        script.refuses_offer_of(LONG, 488, "Not Acceptable Here").rings().is_cancelled()
        answers = Agent("answers").is_called().waits().answers().talks(0.2).hangs_up()
        caller = Caller("waits").dials().is_answered().is_hung_up_on()
        async with (
            await peer(script, address=PBX, port=world.pbx_port, calls=2) as pbx,
            await peer(answers, address=OTHER, port=OTHER_PORT) as other,
            await peer(caller, address=CARRIER, gateway=world.address, number=BOTH),
        ):
            await pbx.said("SIP/2.0 180")
            await other.said("INVITE")
            other.go_on()
        attempts = {each["target"]: each for each in (await api.record())["attempts"]}
        assert attempts["other"]["outcome"] == "connected"
        assert attempts["wide"]["outcome"] == "cancelled"
        assert "offered_again" in [step["what"] for step in attempts["wide"]["steps"]]
