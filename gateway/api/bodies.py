"""How large a request's body may be: it is read, and held in memory, before a key is looked at."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.problems import Problem

MAX_BODY = 128 * 1024
"""Bytes: what a bot's message may have, too. A megabyte of JSON would stop the loop for 20 ms."""


class BodyLimit:
    """Reads the body of a request that may have one, and refuses what is too large unread."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its whole body, or refuse it."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        while True:
            part = await receive()
            if part["type"] != "http.request":  # the client is gone
                return
            body += part.get("body", b"")
            if len(body) > MAX_BODY:
                await _too_large().response()(scope, receive, send)
                return
            if not part.get("more_body", False):
                break
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def read() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, read, send)


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-large",
        f"a body has at most {MAX_BODY} bytes",
        headers={"Connection": "close"},  # what follows of the body is not waited for
    )
