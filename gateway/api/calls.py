"""`/v1/calls`: look at calls, and decide for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Query, Response
from pydantic import AwareDatetime, BaseModel

from config.context import Word
from config.strict import Name
from gateway.api import lookup
from gateway.api.keys import Gatekeeper
from gateway.api.models import (
    CallDetail,
    CallList,
    CancelTransferBody,
    ContinueAtBody,
    EndedCall,
    GotoBody,
    HangupBody,
    LiveCall,
    PlayBody,
    RecordingBody,
    TransferBody,
    ended_call,
    live_call,
    timeline_events,
)
from gateway.api.problems import LOOK, FieldError, Problem, documented, invalid_request
from gateway.api.service import Service
from gateway.call import CallSession
from gateway.records import CallRecord, FinishedCall
from gateway.store import Filter
from ivr.decisions import Decision, DecisionRefused, RefusalReason
from ivr.disposition import Disposition

MAX_LISTED = 200
"""Calls in one answer."""

_DECIDE = documented(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.GONE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def router(service: Service, gatekeeper: Gatekeeper) -> APIRouter:
    """The endpoints, for one gateway."""
    calls = APIRouter(prefix="/v1/calls", tags=["calls"])
    read = [Depends(gatekeeper.read)]
    control = [Depends(gatekeeper.control)]

    find = partial(lookup.find, service)

    async def decide(call_id: str, decision: Decision) -> LiveCall:
        session = await find(call_id)
        if isinstance(session, FinishedCall):
            raise _gone(call_id)
        try:
            session.decide(decision)
        except DecisionRefused as refused:
            if refused.reason is RefusalReason.CALL_ENDED:
                raise _gone(call_id) from None
            raise Problem(
                HTTPStatus.CONFLICT, "decision-refused", refused.message, reason=refused.reason
            ) from None
        return live_call(session)

    @calls.get("", dependencies=read, responses=LOOK, response_model=CallList)
    async def list_calls(
        *,
        state: Annotated[Literal["live", "ended"], Query()] = "live",
        disposition: Annotated[Disposition | None, Query(description="Ended calls only.")] = None,
        trunk: Annotated[Name | None, Query()] = None,
        since: Annotated[
            AwareDatetime | None,
            Query(description="Calls that began then or later; ISO 8601 with an offset."),
        ] = None,
        tag: Annotated[Word | None, Query(description="Ended calls only.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50,
    ) -> Response:
        """Calls in progress, or finished ones with `state=ended`. The newest come first."""
        began = None if since is None else since.timestamp()
        if state == "ended":
            found = await service.store.list(Filter(disposition, trunk, began, tag, limit))
            later = await _resumed_by(service, [record.id for record in found])
            return await _json(lambda: _ended(found, later))
        for name, given in (("disposition", disposition), ("tag", tag)):
            if given is not None:
                wrong = "only an ended call has one; add `state=ended`"
                raise invalid_request([FieldError(field=f"query.{name}", message=wrong)])
        live = [
            session
            for session in service.calls.values()
            if (trunk is None or session.leg.info.trunk == trunk)
            and (began is None or session.timeline.started_at >= began)
        ]
        live.sort(key=lambda session: session.timeline.started_at, reverse=True)
        now: list[LiveCall | EndedCall] = [live_call(session) for session in live[:limit]]
        return await _json(lambda: CallList(calls=now))

    @calls.get("/{call_id}", dependencies=read, responses=LOOK, response_model=CallDetail)
    async def show_call(call_id: str) -> Response:
        """A call with its timeline: as it stands now, or its record once it has ended."""
        call = await find(call_id)
        facts = await _facts(service, call)
        rows = lookup.rows(call)
        return await _json(lambda: CallDetail(call=facts, timeline=timeline_events(rows())))

    @calls.post("/{call_id}/transfer", status_code=202, dependencies=control, responses=_DECIDE)
    async def transfer(
        call_id: str,
        body: Annotated[
            TransferBody,
            Body(
                openapi_examples={
                    "target": {"summary": "A named target", "value": {"target": "billing"}},
                    "number": {
                        "summary": "A number, by REFER, with a header",
                        "value": {
                            "target": "+493012345",
                            "method": "refer",
                            "headers": {"X-Reason": "vip"},
                        },
                    },
                }
            ),
        ],
    ) -> LiveCall:
        """Hand the caller over, at the flow's `transfer_node`. The timeline tells the verdict."""
        return await decide(call_id, body.decision())

    @calls.post(
        "/{call_id}/cancel_transfer", status_code=202, dependencies=control, responses=_DECIDE
    )
    async def cancel_transfer(
        call_id: str, body: Annotated[CancelTransferBody, Body(examples=[{}])]
    ) -> LiveCall:
        """Take back a transfer that nobody has answered yet."""
        return await decide(call_id, body.decision())

    @calls.post("/{call_id}/hangup", status_code=202, dependencies=control, responses=_DECIDE)
    async def hangup(
        call_id: str,
        body: Annotated[HangupBody, Body(examples=[{}, {"headers": {"X-Reason": "fraud"}}])],
    ) -> LiveCall:
        """End the call with BYE."""
        return await decide(call_id, body.decision())

    @calls.post("/{call_id}/play", status_code=202, dependencies=control, responses=_DECIDE)
    async def play(
        call_id: str,
        body: Annotated[
            PlayBody,
            Body(examples=[{"prompt": "One moment please."}, {"prompt": {"file": "notice.wav"}}]),
        ],
    ) -> LiveCall:
        """Play a prompt to the caller over whatever is going on."""
        return await decide(call_id, body.decision())

    @calls.post("/{call_id}/goto", status_code=202, dependencies=control, responses=_DECIDE)
    async def goto(
        call_id: str, body: Annotated[GotoBody, Body(examples=[{"node": "goodbye"}])]
    ) -> LiveCall:
        """Go on at another node of the flow."""
        return await decide(call_id, body.decision())

    @calls.post("/{call_id}/continue_at", status_code=202, dependencies=control, responses=_DECIDE)
    async def continue_at(
        call_id: str, body: Annotated[ContinueAtBody, Body(examples=[{"node": "survey"}])]
    ) -> LiveCall:
        """Say where the flow goes on once the agent has left, instead of below the transfer."""
        return await decide(call_id, body.decision())

    @calls.post("/{call_id}/recording", status_code=202, dependencies=control, responses=_DECIDE)
    async def recording(
        call_id: str, body: Annotated[RecordingBody, Body(examples=[{"action": "pause"}])]
    ) -> LiveCall:
        """Start, pause, resume or stop the recording, or note the caller's consent to it."""
        return await decide(call_id, body.decision())

    return calls


def _ended(found: Sequence[CallRecord], later: Mapping[str, Sequence[str]]) -> CallList:
    return CallList(calls=[ended_call(record, later.get(record.id, ())) for record in found])


async def _facts(service: Service, call: CallSession | FinishedCall) -> LiveCall | EndedCall:
    if isinstance(call, FinishedCall):
        later = await _resumed_by(service, [call.record.id])
        return ended_call(call.record, later.get(call.record.id, ()))
    return live_call(call)


async def _resumed_by(service: Service, ids: list[str]) -> Mapping[str, Sequence[str]]:
    """Calls that came back, ended or in progress, by the id of the earlier one."""
    later = dict(await service.store.resumed_by(ids))
    for call_id, session in service.calls.items():
        if session.resumed_from in ids:
            later[session.resumed_from] = (*later.get(session.resumed_from, ()), call_id)
    return later


async def _json(model: Callable[[], BaseModel]) -> Response:
    """A large answer, put together beside the loop: a thousand events take 20 ms."""
    content = await asyncio.to_thread(lambda: model().model_dump_json())
    return Response(content, media_type="application/json")


def _gone(call_id: str) -> Problem:
    return Problem(
        HTTPStatus.GONE, "call-ended", f"the call {call_id} has ended; nothing is left to decide"
    )
