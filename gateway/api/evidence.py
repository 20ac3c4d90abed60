"""`/v1/calls/{id}/…`: what explains a call: its SIP ladder, and why its transfers ended so."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse

from gateway import report
from gateway.api.keys import Gatekeeper
from gateway.api.lookup import detail, find
from gateway.api.models import Reasons
from gateway.api.problems import LOOK
from gateway.api.service import Service
from gateway.ladder import text
from gateway.why import why

_NO_SCRIPT = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""Opened by itself an SVG is a page: peers' words in it are text, and this holds them to that."""


def router(service: Service, gatekeeper: Gatekeeper) -> APIRouter:
    """The endpoints, for one gateway."""
    evidence = APIRouter(
        prefix="/v1/calls/{call_id}",
        tags=["calls"],
        dependencies=[Depends(gatekeeper.read)],
    )

    @evidence.get(
        "/ladder",
        responses=LOOK | {200: {"content": {"text/plain": {"example": text.__doc__}}}},
        response_class=PlainTextResponse,
    )
    async def show_ladder(call_id: str) -> str:
        """The call's SIP messages as a picture in text."""
        call = detail(await find(service, call_id))
        return await asyncio.to_thread(lambda: report.sip_ladder(call().timeline))

    @evidence.get(
        "/ladder.svg",
        responses=LOOK | {200: {"content": {"image/svg+xml": {"example": "<svg …>…</svg>"}}}},
        response_class=Response,
    )
    async def show_ladder_svg(call_id: str) -> Response:
        """The same picture as SVG: one file without script, for light and dark pages."""
        call = detail(await find(service, call_id))
        picture = await asyncio.to_thread(lambda: report.svg_ladder(call()))
        return Response(picture, media_type="image/svg+xml", headers=_NO_SCRIPT)

    @evidence.get("/why", responses=LOOK)
    async def show_why(call_id: str) -> Reasons:
        """Why each transfer ended as it did, what the fallback did, and what helps."""
        call = detail(await find(service, call_id))
        found = await asyncio.to_thread(lambda: why(call()))
        return Reasons(sentences=list(found.sentences), advice=list(found.advice))

    return evidence
