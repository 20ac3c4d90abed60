"""Asterisk for the same calls: a configuration without anything that they do not need.

Numbers are those of the gateway's world: one is answered with a prompt, one led to a bot over
AudioSocket, one to an agent. No module is loaded that these do without; each call's record goes
into a CSV file.
"""

from __future__ import annotations

import asyncio
import shlex
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile

from bench import audiosocket_bot, short_calls
from bench.exchange import Exchange
from bench.talking import AGENT_NUMBER, BOT_NUMBER
from sip.softphone.tones import tone
from tests.e2e.world import CARRIER, GATEWAY, PBX
from tests.peers import network

START_LIMIT = STOP_LIMIT = 20.0
"""Seconds."""

UUID = "5ca1ab1e-0000-4000-8000-000000000000"
"""AudioSocket names calls by one; the bot here does not care."""

MODULES = (
    "app_audiosocket",
    "app_dial",
    "app_playback",
    "bridge_builtin_features",
    "bridge_native_rtp",
    "bridge_simple",
    "cdr_csv",
    "chan_pjsip",
    "codec_ulaw",
    "format_wav",
    "pbx_config",
    "res_audiosocket",
    "res_pjproject",
    "res_pjsip",
    "res_pjsip_authenticator_digest",
    "res_pjsip_caller_id",
    "res_pjsip_endpoint_identifier_ip",
    "res_pjsip_nat",
    "res_pjsip_pubsub",
    "res_pjsip_sdp_rtp",
    "res_pjsip_session",
    "res_rtp_asterisk",
    "res_sorcery_astdb",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_timing_timerfd",
)

FOLDERS = ("agi", "db", "etc", "keys", "lib", "log/cdr-csv", "run", "spool")


class Asterisk:
    """Where it stands, as the gateway's `World` says it; `running` starts it."""

    def __init__(self, folder: Path, command: str, legs: int) -> None:
        """Write its configuration.

        Args:
            folder: new; at the same place for Asterisk, should `command` change its root.
            command: runs it, e.g. `asterisk`.
            legs: there is room for so many; twice, since it looks for free ports at random.
        """
        self.address = GATEWAY, network.free_port(GATEWAY)
        self.bot_port = network.free_port(GATEWAY)
        self.pbx_port = network.free_port(PBX)
        self.folder = folder
        self.command = [*shlex.split(command), "-f", "-C", str(folder / "etc/asterisk.conf")]
        first, last = network.free_udp_range(GATEWAY, 4 * legs)
        for name in FOLDERS:
            (folder / name).mkdir(parents=True)
        for name, seconds in (("short", 0.2), ("prompt", 3.0)):
            heard = np.frombuffer(tone(440, seconds, 8000).samples, "<i2")
            soundfile.write(folder / f"{name}.wav", heard, 8000, subtype="PCM_16")
        files = {
            "asterisk.conf": f"""
[directories]
astetcdir => {folder}/etc
astvarlibdir => {folder}/lib
astdbdir => {folder}/db
astkeydir => {folder}/keys
astagidir => {folder}/agi
astspooldir => {folder}/spool
astrundir => {folder}/run
astlogdir => {folder}/log
""",
            "modules.conf": "[modules]\nautoload = no\n"
            + "".join(f"load = {module}.so\n" for module in MODULES),
            "logger.conf": "[general]\n[logfiles]\nmessages.log => error,warning\n",
            "cdr.conf": "[general]\nenable = yes\n[csv]\nusegmtime = yes\n",
            "rtp.conf": f"[general]\nrtpstart = {first}\nrtpend = {last}\nicesupport = no\n",
            "pjsip.conf": f"""
[udp]
type = transport
protocol = udp
bind = {GATEWAY}:{self.address[1]}
{_endpoint("carrier")}
[carrier]
type = identify
endpoint = carrier
match = {CARRIER}
{_endpoint("pbx")}
aors = pbx
[pbx]
type = aor
contact = sip:sales@{PBX}:{self.pbx_port}
""",
            "extensions.conf": f"""
[in]
exten => {short_calls.NUMBER},1,Answer()
 same => n,Playback({folder}/prompt)
 same => n,Hangup()
exten => {BOT_NUMBER},1,Answer()
 same => n,AudioSocket({UUID},{GATEWAY}:{self.bot_port})
 same => n,Hangup()
exten => {AGENT_NUMBER},1,Answer()
 same => n,Playback({folder}/short)
 same => n,Dial(PJSIP/pbx)
 same => n,Hangup()
""",
        }
        for name, text in files.items():
            (folder / "etc" / name).write_text(text)


def _endpoint(name: str) -> str:
    return f"""
[{name}]
type = endpoint
context = in
disallow = all
allow = ulaw
direct_media = no
timers = no
media_address = {GATEWAY}
"""


@asynccontextmanager
async def running(asterisk: Asterisk) -> AsyncIterator[Exchange]:
    """It, once it takes calls."""
    log = asterisk.folder / "log/output"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *asterisk.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        await network.until(
            lambda: process.returncode is not None or network.bound(*asterisk.address, "udp"),
            "Asterisk has its port",
            START_LIMIT,
        )
        assert process.returncode is None, f"it ended\n{log.read_text(errors='replace')}"
        yield Exchange(
            pid=process.pid,
            address=asterisk.address,
            pbx_port=asterisk.pbx_port,
            bot_port=asterisk.bot_port,
            bot=audiosocket_bot.serve,
        )
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_LIMIT)
            except TimeoutError:
                process.kill()
                await process.wait()
