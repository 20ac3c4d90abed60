"""For probes and Prometheus: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from gateway.api.keys import Gatekeeper
from gateway.api.models import Health, Readiness
from gateway.api.problems import documented
from gateway.api.service import Service


def router(service: Service, gatekeeper: Gatekeeper) -> APIRouter:
    """The endpoints, for one gateway. Health and readiness need no key: they tell nothing else."""
    health = APIRouter(tags=["health"])

    @health.get("/healthz")
    async def healthz() -> Health:
        """The process is alive and its loop answers."""
        return Health()

    @health.get(
        "/readyz",
        responses={503: {"model": Readiness, "description": "New calls are refused; why is said."}},
    )
    async def readyz(response: Response) -> Readiness:
        """Whether new calls are taken; 503 while starting and draining."""
        readiness = service.readiness()
        if not readiness.ready:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return readiness

    @health.get(
        "/metrics",
        dependencies=[Depends(gatekeeper.read)],
        responses=documented(HTTPStatus.UNAUTHORIZED)
        | {200: {"content": {"text/plain": {"example": "switchhook_calls_active 3.0\n"}}}},
        response_class=Response,
    )
    async def metrics() -> Response:
        """Prometheus' text format. Needs a key with `read` where keys are configured."""
        return Response(service.metrics.expose(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return health
