"""Errors as problem details (RFC 9457): every answer that is not a success has this shape."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from gateway.database import in_words
from ivr.decisions import RefusalReason

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One field that is wrong."""

    field: str = Field(examples=["body.method"])
    """Where it is: `body.…`, `query.…` or `path.…`."""
    message: str


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457 section 3.1)."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:switchhook:problem:decision-refused",
                    "title": "Conflict",
                    "status": 409,
                    "detail": "a transfer to another target is running",
                    "reason": "transfer_running",
                }
            ]
        },
    )

    type: str
    """Names the kind of problem; the same for every occurrence."""
    title: str
    status: int
    detail: str
    """What happened here, and what to do."""
    reason: RefusalReason | None = None
    """Why a decision was refused."""
    errors: list[FieldError] | None = None
    """The fields at fault."""


class Problem(Exception):
    """Raised by an endpoint to answer with problem details."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        reason: RefusalReason | None = None,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.reason = reason
        self.errors = errors
        self.headers = headers

    def response(self) -> JSONResponse:
        """The answer."""
        return _response(
            self.status,
            self.kind,
            self.detail,
            reason=self.reason,
            errors=self.errors,
            headers=self.headers,
        )


def invalid_request(errors: list[FieldError]) -> Problem:
    """The request has fields that are wrong."""
    named = "; ".join(f"{found.field}: {found.message}" for found in errors)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", named, errors=errors)


def _response(
    status: HTTPStatus,
    kind: str,
    detail: str,
    *,
    reason: RefusalReason | None = None,
    errors: list[FieldError] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    details = ProblemDetails(
        type=f"urn:switchhook:problem:{kind}",
        title=status.phrase,
        status=status.value,
        detail=detail,
        reason=reason,
        errors=errors,
    )
    return JSONResponse(
        details.model_dump(mode="json", exclude_none=True),
        status_code=status.value,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The problems that an endpoint can answer with, for its OpenAPI entry."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status.value: {
            "description": status.phrase,
            "model": ProblemDetails,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


LOOK = documented(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""What looking at a call can answer with."""


def install(app: FastAPI) -> None:
    """Answer every kind of error with problem details."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [_field_error(found, error.body) for found in error.errors()]
        return invalid_request(errors).response()

    @app.exception_handler(SQLAlchemyError)
    async def unasked(request: Request, error: SQLAlchemyError) -> JSONResponse:
        reason = in_words(error)
        log.error("database not asked", path=request.url.path, reason=reason)
        detail = f"the database cannot be asked: {reason}"
        return _response(HTTPStatus.SERVICE_UNAVAILABLE, "database", detail)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        kind = status.phrase.lower().replace(" ", "-")
        headers = dict(error.headers) if error.headers else None
        return _response(status, kind, str(error.detail), headers=headers)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", path=request.url.path, exc_info=error)
        return _response(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal-error",
            "an error of the gateway; its log has the reason",
        )


def _field_error(found: dict[str, Any], body: Any) -> FieldError:
    where, *parts = found["loc"]
    if found["type"] == "json_invalid":
        return FieldError(field=where, message=f"is not JSON: {found['ctx']['error']}")
    if where == "body":
        parts = _named(parts, body, missing=found["type"] == "missing")
    message = found["msg"].removeprefix("Value error, ")
    return FieldError(field=".".join(map(str, (where, *parts))), message=message)


def _named(parts: Sequence[str | int], body: Any, *, missing: bool) -> list[str | int]:
    """The keys and indexes of the body in a location that has the tags of unions as well."""
    named: list[str | int] = []
    for part in parts:
        if isinstance(body, dict) and part in body:
            body = body[str(part)]
        elif isinstance(body, list) and isinstance(part, int):
            body = body[part]
        else:
            continue
        named.append(part)
    return [*named, parts[-1]] if missing and parts else named
