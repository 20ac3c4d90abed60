"""The control API, put together."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import FastAPI

from gateway.api import calls, evidence, health, problems, targets, trunks
from gateway.api.bodies import BodyLimit
from gateway.api.keys import Doorstep, Gatekeeper, Key
from gateway.api.service import Service

DESCRIPTION = """
Watch calls and decide for them. Errors are problem details (RFC 9457). Where keys are configured,
send one as `Authorization: Bearer …` or `X-API-Key: …`; decisions need `scope: control`.
"""


def build(service: Service, keys: Sequence[Key]) -> FastAPI:
    """The application. Without keys it answers only to a loopback Host."""
    app = FastAPI(
        title="Switchhook",
        version=version("switchhook"),
        description=DESCRIPTION,
        docs_url=None,  # the page would load its scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    gatekeeper = Gatekeeper(keys)
    app.include_router(calls.router(service, gatekeeper))
    app.include_router(evidence.router(service, gatekeeper))
    app.include_router(trunks.router(service, gatekeeper))
    app.include_router(targets.router(service, gatekeeper))
    app.include_router(health.router(service, gatekeeper))
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Doorstep, loopback_only=not keys)
    return app
