"""uvicorn as a guest: inside the gateway's loop, without its signals, its log and its exits."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.errors import ApiBindError

BACKLOG = 128
MAX_CONNECTIONS = 100
"""At once. Each takes an open file, of which the calls need three a leg; whoever comes beyond it is
hung up on, before anybody has asked for a key."""
IDLE_LIMIT = 5
"""Seconds that a connection may be open before it asks for something, and between two requests."""
CLOSE_LIMIT = 2
"""Seconds that open requests may take to finish when the gateway stops."""


class _Connection(H11Protocol):
    """A connection of which there are not too many, and that asks for something."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            IDLE_LIMIT, self.timeout_keep_alive_handler
        )


class ApiServer(uvicorn.Server):
    """The HTTP server of the control API."""

    def __init__(self, app: FastAPI, address: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                timeout_keep_alive=IDLE_LIMIT,
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=CLOSE_LIMIT,
            )
        )
        self._app = app
        self._address = address
        self._port = port
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where the API is found."""
        return f"http://{self._address}:{self._port}"

    async def open(self) -> asyncio.Task[None]:
        """Listen, and return the task that serves.

        Raises:
            ApiBindError: the address is taken, or is none of this machine's.
        """
        try:
            listener = socket.create_server((self._address, self._port), backlog=BACKLOG)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise ApiBindError(
                f"cannot listen on {self._address}:{self._port} for the API: {reason}"
            ) from error
        # Made on first demand it would stop the loop, and so all audio, for 50 ms.
        await asyncio.to_thread(self._app.openapi)
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        self._task = asyncio.create_task(self.serve([listener]), name="api")
        await self._listening.wait()
        return self._task

    async def close(self) -> None:
        """Answer what is being asked, and stop listening."""
        if self._task is not None:
            self.should_exit = True
            await asyncio.wait((self._task,))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell `open` when requests are answered."""
        await super().startup(sockets)
        self._listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the gateway's."""
        yield
