"""OPTIONS to a peer, and an INVITE that is taken back as soon as it rings."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from sip.faulty import wording
from sip.message import Message, address
from sip.probe.line import Line

T1 = 0.5
"""Seconds to the first repetition over UDP (RFC 3261 section 17.1.2.2)."""
T2 = 4.0


class NoAnswer(Exception):
    """The peer did not answer in time."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A final response, and how long it took."""

    response: Message
    milliseconds: float
    sdp: str = ""
    """Of an INVITE: the first that the peer sent, in a provisional response or the final one."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks whom."""

    line: Line
    uri: str
    """Of the peer; of the called number for an INVITE."""
    user: str
    """User part of From and Contact."""

    async def options(self, limit: float) -> Heard:
        """Ask what the peer takes. Raises NoAnswer, NoConnection."""
        transaction = _Transaction(self, "OPTIONS")
        began = time.monotonic()
        text = transaction.request("OPTIONS", headers=("Accept: application/sdp",))
        try:
            async with asyncio.timeout(limit):
                response = await transaction.ask(text, _final)
        except TimeoutError:
            raise NoAnswer(f"no answer to OPTIONS in {limit:g} s") from None
        return Heard(response, (time.monotonic() - began) * 1000)

    async def invite(self, sdp: str, limit: float) -> Heard:
        """Call, and take it back once it rings; of an answer at once the call is ended.

        Raises:
            NoAnswer, NoConnection: as `options`.
        """
        transaction = _Transaction(self, "INVITE")
        began = time.monotonic()
        text = transaction.request("INVITE", headers=("Content-Type: application/sdp",), body=sdp)
        try:
            async with asyncio.timeout(limit):
                first = await transaction.ask(text, lambda response: (response.status or 0) > 100)
                took = (time.monotonic() - began) * 1000
                final = first
                if not _final(first):
                    self.line.send(transaction.cancel())
                    final = await transaction.hear(_final)
        except TimeoutError:
            raise NoAnswer(f"no answer to INVITE in {limit:g} s") from None
        transaction.acknowledge(final)
        if (final.status or 0) < 300:
            self.line.send(transaction.bye(final))
        return Heard(final, took, first.body or final.body)


class _Transaction:
    """One request of ours and what belongs to it."""

    def __init__(self, asker: Asker, method: str) -> None:
        self._asker = asker
        self._method = method
        self._branch = wording.BRANCH + secrets.token_hex(8)
        host, port = asker.line.local
        self._here = f"{host}:{port}"
        own = f"sip:{asker.user}@{self._here}"
        self._from = f"From: <{own}>;tag={secrets.token_hex(4)}"
        self._to = f"To: <{asker.uri}>"
        self._call_id = f"Call-ID: {secrets.token_hex(12)}"
        transport = asker.line.transport.lower()
        parameter = "" if transport == "udp" else f";transport={transport}"
        self._contact = f"Contact: <{own}{parameter}>"
        self._heard = False
        """A response came: nothing is repeated any more (RFC 3261 section 17.1.1.2)."""

    def request(
        self,
        method: str,
        *,
        uri: str = "",
        branch: str = "",
        number: int = 1,
        to: str = "",
        headers: tuple[str, ...] = (),
        body: str = "",
    ) -> str:
        """A request of this call."""
        text = wording.request(
            method,
            uri or self._asker.uri,
            via=f"{self._here};branch={branch or self._branch}",
            dialog=(self._from, to or self._to, self._call_id),
            cseq=f"{number} {method}",
            headers=(self._contact, "User-Agent: Switchhook", wording.ALLOW, *headers),
            body=body,
        )
        return text.replace("SIP/2.0/UDP", f"SIP/2.0/{self._asker.line.transport}", 1)

    def cancel(self) -> str:
        """CANCEL of the INVITE (RFC 3261 section 9.1)."""
        return self.request("CANCEL")

    def acknowledge(self, final: Message) -> None:
        """ACK: within the transaction of a refusal, else of its own (RFC 3261 17.1.1.3)."""
        refused = (final.status or 0) >= 300
        uri = "" if refused else address(final.header("Contact"))
        branch = self._branch if refused else wording.BRANCH + secrets.token_hex(8)
        to = f"To: {final.header('To')}"
        self._asker.line.send(self.request("ACK", uri=uri, branch=branch, to=to))

    def bye(self, final: Message) -> str:
        """BYE for an answer that came before the CANCEL."""
        branch = wording.BRANCH + secrets.token_hex(8)
        uri, to = address(final.header("Contact")), f"To: {final.header('To')}"
        return self.request("BYE", uri=uri, branch=branch, number=2, to=to)

    async def ask(self, text: str, enough: Callable[[Message], bool]) -> Message:
        """Send until something comes; the first response that is enough."""
        interval = T1
        while True:
            if not self._heard:
                self._asker.line.send(text)
            if self._asker.line.transport != "UDP" or self._heard:
                return await self.hear(enough)
            try:
                return await asyncio.wait_for(self.hear(enough), interval)
            except TimeoutError:
                interval = min(2 * interval, T2)

    async def hear(self, enough: Callable[[Message], bool]) -> Message:
        """The next response to the request that is enough."""
        while True:
            message = await self._asker.line.receive()
            mine = f"Call-ID: {message.header('Call-ID')}" == self._call_id
            if not mine or message.method != self._method:
                continue
            self._heard = True
            if enough(message):
                return message


def _final(response: Message) -> bool:
    return (response.status or 0) >= 200
