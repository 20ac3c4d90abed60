"""The process: how it stops, which transports it speaks, how it makes itself known."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from gateway import priority
from sip.softphone import commands
from sip.softphone.tones import tone_name
from tests.e2e.bot import ScriptedBot
from tests.e2e.conftest import StartGateway, StartPeer, StartPhone
from tests.e2e.world import AGENT_TONE, CALLER_TONE, CARRIER, PBX, World
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.registrar import Registrar


class TestDraining:
    """SIGTERM: calls in progress go on, new ones go elsewhere."""

    async def test_a_call_in_progress_is_finished_and_a_new_one_gets_503(
        self, start_gateway: StartGateway, start_phone: StartPhone, peer: StartPeer, tmp_path: Path
    ) -> None:
        world = World(tmp_path / "gateway")
        gateway = start_gateway(world)
        bot = ScriptedBot()
        await bot.start(world.bot_port)
        try:
            caller = await start_phone(CARRIER, name="caller")
            await caller.send(commands.Dial(call="a", to=world.number("100"), tone=CALLER_TONE))
            talk = await bot.conversation()
            gateway.signal(signal.SIGTERM)
            await network.until(lambda: not gateway.ready(), "it is not ready any more")
            refused = Caller("comes too late").dials().is_refused(503, {"Retry-After": "[0-9]+"})
            async with await peer(refused, address=CARRIER, gateway=world.address, number="100"):
                pass
            ping = Caller("pings").asks("OPTIONS").gets(503)
            async with await peer(ping, address=CARRIER, gateway=world.address, number="100"):
                pass
            talk.audio.clear()
            await talk.hears(CALLER_TONE)
            await caller.send(commands.HangUp(call="a"))
            await caller.expect("disconnected", "a")
            assert gateway.wait() == 0
        finally:
            await bot.stop()

    async def test_a_second_signal_hangs_up_at_once(
        self, start_gateway: StartGateway, start_phone: StartPhone, tmp_path: Path
    ) -> None:
        world = World(tmp_path / "gateway")
        gateway = start_gateway(world)
        pbx = await start_phone(PBX, world.pbx_port, name="pbx")
        await pbx.send(commands.Policy(user="sales"))
        caller = await start_phone(CARRIER, name="caller")
        await caller.send(commands.Dial(call="a", to=world.number("200")))
        await pbx.expect("confirmed", "in-1")
        gateway.signal(signal.SIGTERM)
        await network.until(lambda: not gateway.ready(), "it is not ready any more")
        gateway.signal(signal.SIGTERM)
        await caller.expect("disconnected", "a", by="peer")
        await pbx.expect("disconnected", "in-1", by="peer")
        assert gateway.wait() == 0
        listed = gateway.command("calls", "--config", str(world.configuration))
        assert listed.stdout.count("to_sales") or "200" in listed.stdout


class TestPriority:
    """What a caller hears waits for no other process, where Linux allows it (sched(7))."""

    def test_the_loop_and_the_audio_go_first(
        self, start_gateway: StartGateway, tmp_path: Path
    ) -> None:
        gateway = start_gateway(World(tmp_path / "gateway"))
        tasks = Path(f"/proc/{gateway.pid}/task").iterdir()
        [clock] = [int(task.name) for task in tasks if "clock" in (task / "comm").read_text()]
        if priority.allowed():
            assert os.getpriority(os.PRIO_PROCESS, gateway.pid) == priority.NICE
            assert os.sched_getscheduler(clock) == os.SCHED_RR
        else:
            assert os.sched_getscheduler(clock) == os.SCHED_OTHER
            assert "audio has no real-time priority" in gateway.log_tail()


class TestLimits:
    """`max_calls` counts legs, whoever they belong to."""

    async def test_a_call_beyond_max_calls_gets_503_with_retry_after(
        self, start_gateway: StartGateway, start_phone: StartPhone, peer: StartPeer, tmp_path: Path
    ) -> None:
        """RFC 3261 section 21.5.4."""
        world = World(tmp_path / "gateway", settings={"sip": {"max_calls": 2}})
        start_gateway(world)
        pbx = await start_phone(PBX, world.pbx_port, name="pbx")
        caller = await start_phone(CARRIER, name="caller")
        await caller.send(commands.Dial(call="a", to=world.number("200")))
        await pbx.expect("confirmed", "in-1")
        refused = Caller("is one too many").dials().is_refused(503, {"Retry-After": "[0-9]+"})
        async with await peer(refused, address=CARRIER, gateway=world.address, number="100"):
            pass
        await caller.send(commands.HangUp(call="a"))
        await pbx.expect("disconnected", "in-1", by="peer")


class TestTcp:
    """RFC 3261 section 18: the same calls over TCP."""

    async def test_a_call_comes_in_and_goes_out_over_tcp(
        self, start_gateway: StartGateway, start_phone: StartPhone, tmp_path: Path
    ) -> None:
        world = World(tmp_path / "gateway", transport="tcp")
        start_gateway(world)
        pbx = await start_phone(PBX, world.pbx_port, name="pbx", transport="tcp")
        await pbx.send(
            commands.Policy(user="sales", tone=AGENT_TONE, record=tmp_path / "agent.wav")
        )
        caller = await start_phone(CARRIER, name="caller", transport="tcp")
        await caller.send(
            commands.Dial(
                call="a", to=world.number("200"), tone=CALLER_TONE, record=tmp_path / "a.wav"
            )
        )
        await caller.expect("heard", "a", sound=tone_name(AGENT_TONE))
        await pbx.expect("heard", sound=tone_name(CALLER_TONE))
        assert "/TCP" in pbx.seen("incoming")[0].headers["Via"]
        await pbx.send(commands.HangUp(call="in-1"))
        await caller.expect("disconnected", "a", by="peer")


class TestRegistration:
    """RFC 3261 section 10 and 22: known to a provider that demands a digest."""

    async def test_the_challenge_is_answered_and_its_end_takes_it_back(
        self, start_gateway: StartGateway, start_phone: StartPhone, peer: StartPeer, tmp_path: Path
    ) -> None:
        port = network.free_port(CARRIER)
        secret = tmp_path / "secret"
        secret.write_text("s3cret\n")
        registration = {
            "registrar": f"sip:{CARRIER}:{port}",
            "username": "gateway",
            "password": {"file": str(secret)},
            "expires": 60,
        }
        provider = {"registration": registration, "routes": [{"flow": "handback"}]}
        registrar = Registrar("challenges", "gateway", "s3cret").challenges().grants(60)
        # At its end the gateway takes its registration back (section 10.2.2).
        registrar.receives("REGISTER", {"Expires": "^ *0"}).replies(200, "OK")
        async with await peer(registrar, address=CARRIER, port=port):
            world = World(tmp_path / "gateway", settings={"trunks": {"provider": provider}})
            gateway = start_gateway(world)
            await network.until(
                lambda: '"registered"' in gateway.log.read_text(), "the 200 was taken"
            )
            assert gateway.stop() == 0
