"""The floor: a bare pjsua2 answerer in the asyncio loop, with nothing of the gateway around it.

What one call costs here is PJSIP and the machine: no gate, no flow, no events, no record. The
gateway's figure is told as a multiple of it, because that multiple is nearly the same on every
machine while milliseconds are not.
"""

from __future__ import annotations

import asyncio
import ctypes
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from sip.pjsip import native, pj

TIMER_INTERVAL = 0.010
"""Seconds between two looks at PJSIP's timers."""


class _Call(pj.Call):  # type: ignore[misc]
    def __init__(self, account: _Account, call_id: int) -> None:
        super().__init__(account, call_id)
        self._account = account

    def onCallState(self, _: Any) -> None:
        if self.getInfo().state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._account.ended.append(self)


class _Account(pj.Account):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.calls: set[_Call] = set()
        self.ended: list[_Call] = []

    def onIncomingCall(self, prm: Any) -> None:
        call = _Call(self, prm.callId)
        self.calls.add(call)
        answer = pj.CallOpParam()
        answer.statusCode = 200
        call.answer(answer)

    def forget_ended(self) -> None:
        """Outside of PJSIP's callbacks, as an ended call may be destroyed only there."""
        for call in self.ended:
            self.calls.discard(call)
            pj.Call.__swig_destroy__(call)
        self.ended.clear()


def serve(address: str, port: int, first_rtp_port: int, max_calls: int, pipe: Connection) -> None:
    """The answerer's process: `ready`, then answers each INVITE with 200 until it is ended."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        endpoint = _endpoint(max_calls)
        listen = pj.TransportConfig()
        listen.boundAddress = address
        listen.port = port
        endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, listen)
        endpoint.libStart()
        endpoint.audDevManager().setNullDev()
        account = _Account()
        account.create(_account_config(address, port, first_rtp_port, max_calls))

        def poll() -> None:
            while endpoint.libHandleEvents(0) > 0:
                pass
            account.forget_ended()

        def on_timer() -> None:
            poll()
            loop.call_later(TIMER_INTERVAL, on_timer)

        handle = int(endpoint.libGetSipIoqueueHandle())
        loop.add_reader(ctypes.c_int.from_address(handle).value, poll)
        on_timer()
        pipe.send("ready")
        await loop.run_in_executor(None, pipe.recv)

    uvloop.run(run())


def _endpoint(max_calls: int) -> Any:
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.maxCalls = max_calls
    config.medConfig.threadCnt = 1
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    config.medConfig.maxMediaPorts = max_calls + 2
    config.medConfig.noVad = True
    config.medConfig.ecTailLen = 0
    config.logConfig.level = config.logConfig.consoleLevel = 1
    config.logConfig.msgLogging = 0
    native.log_errors_only()
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    endpoint.libInit(config)
    return endpoint


def _account_config(address: str, port: int, first_rtp_port: int, max_calls: int) -> Any:
    config = pj.AccountConfig()
    config.idUri = f"sip:floor@{address}:{port}"
    media = config.mediaConfig.transportConfig
    media.boundAddress = media.publicAddress = address
    media.port, media.portRange = first_rtp_port, 2 * max_calls + 2
    config.mediaConfig.streamKaEnabled = False
    config.mediaConfig.lockCodecEnabled = False
    return config
