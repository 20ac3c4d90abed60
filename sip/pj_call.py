"""pjsua2's call object: what it alone can do, and an explicit end.

The rules that keep it alive: created in onIncomingCall or before makeCall; one strong reference,
held by its leg; destroyed at once when the leg has seen DISCONNECTED, because a call object that is
destroyed late hangs up whatever call has taken its slot since.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sip.pjsip import pj


class PjCall(pj.Call):  # type: ignore[misc]
    """A call to give orders to. What happens to it comes as native events."""

    def onCallRedirected(self, _: Any) -> int:
        """Every redirection is seen as its 3xx, and decided by the transfer that dialled."""
        return int(pj.PJSIP_REDIRECT_REJECT)

    def destroy(self) -> None:
        """Let go of PJSIP's call, after DISCONNECTED. The object is unusable afterwards."""
        pj.Call.__swig_destroy__(self)


def digit_parameters(key: str, duration_ms: int, *, by_info: bool) -> Any:
    """CallSendDtmfParam for one key."""
    parameters = pj.CallSendDtmfParam()
    parameters.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if by_info else pj.PJSUA_DTMF_METHOD_RFC2833
    parameters.digits = key
    parameters.duration = duration_ms
    return parameters


def add_headers(options: Any, headers: Iterable[tuple[str, str]]) -> None:
    """Put headers, name and value, into SipTxOption."""
    for name, value in headers:
        header = pj.SipHeader()
        header.hName = name
        header.hValue = value
        options.headers.push_back(header)
