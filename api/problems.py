"""Every error as a problem document (RFC 9457): the one table from what went wrong to what HTTP says."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from catalog.errors import (
    CatalogError,
    ExistsError,
    InvalidExtentError,
    InvalidItemError,
    InvalidSearchError,
    NotFoundError,
    PreconditionError,
    UnavailableError,
)
from processing.errors import DeliveryError, HeightsError, NoDetailError, OutputError, ProcessingError, SensorModelError
from tasking.errors import (
    ConflictError,
    ElementSetError,
    IdempotencyError,
    IllegalTransitionError,
    InvalidOrderError,
    InvalidSatelliteError,
    InvalidTokenError,
    PlanError,
    ProviderError,
    TaskingError,
    UnknownOrderError,
    UnknownProductError,
    UnknownSatelliteError,
)

log = logging.getLogger("overflight.api")

MEDIA_TYPE = "application/problem+json"

REFUSALS: dict[int | str, dict[str, Any]] = {"4XX": {"description": "Problem document", "content": {MEDIA_TYPE: {}}}}
"""What a router declares in its OpenAPI description for every request that it refuses."""

PROBLEMS: Mapping[type[Exception], tuple[int, str, str]] = {
    InvalidExtentError: (400, "invalid-extent", "No such place or time"),
    InvalidSearchError: (400, "invalid-search", "A search that cannot be answered"),
    InvalidItemError: (400, "invalid-item", "No valid STAC document"),
    NotFoundError: (404, "not-found", "Not in the catalog"),
    ExistsError: (409, "exists", "It is there already"),
    PreconditionError: (412, "precondition", "It is not what you took it for"),
    UnavailableError: (503, "unavailable", "The catalog does not answer"),
    CatalogError: (500, "catalog", "The catalog failed"),
    InvalidOrderError: (422, "invalid-order", "An order that cannot be fulfilled as written"),
    IdempotencyError: (422, "idempotency", "A key that belongs to another request"),
    UnknownProductError: (404, "unknown-product", "No such product"),
    UnknownOrderError: (404, "unknown-order", "No such order"),
    IllegalTransitionError: (409, "illegal-transition", "The order's state does not allow this"),
    ConflictError: (409, "conflict", "It changed at this very moment"),
    InvalidTokenError: (400, "invalid-token", "No such page"),
    InvalidSatelliteError: (422, "invalid-satellite", "The satellite cannot be as it is described"),
    UnknownSatelliteError: (404, "unknown-satellite", "No such satellite"),
    ElementSetError: (422, "element-set", "Orbits are not known for that time"),
    PlanError: (422, "plan", "A plan that cannot be made of this"),
    ProviderError: (502, "provider", "The provider refused or cannot be reached"),
    TaskingError: (500, "tasking", "Tasking failed"),
    DeliveryError: (422, "delivery", "A delivery that cannot be accepted"),
    HeightsError: (422, "heights", "Heights are unknown"),
    SensorModelError: (422, "sensor-model", "The sensor model does not serve"),
    NoDetailError: (422, "no-detail", "Nothing to sharpen by"),
    OutputError: (507, "output", "The product could not be written"),
    ProcessingError: (500, "processing", "Processing failed"),
}
"""Error → status, last part of the problem's type, title. A subclass that is not listed answers as its parent."""


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A refusal that only a door can know: a header that names no host, a range that no file has."""

    def __init__(self, status: int, kind: str, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail


def problem_response(
    status: int, kind: str, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: object
) -> JSONResponse:
    """Build a problem document; ``kind`` ``about:blank`` says no more than the status does."""
    type_uri = kind if kind == "about:blank" else f"urn:overflight:problem:{kind}"
    body = {"type": type_uri, "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    for kind in PROBLEMS:
        app.add_exception_handler(kind, _on_domain_error)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unexpected)


def problem_of(request: Request, error: Exception) -> Response | None:
    """The answer to an error that has one; None for what is our bug."""
    if any(parent in PROBLEMS for parent in type(error).__mro__):
        return _on_domain_error(request, error)
    if isinstance(error, Problem):
        return _on_problem(request, error)
    return _on_http_error(request, error) if isinstance(error, HTTPException) else None


def _on_domain_error(_request: Request, error: Exception) -> Response:
    status, kind, title = next(PROBLEMS[parent] for parent in type(error).__mro__ if parent in PROBLEMS)
    if status >= 500:
        log.error("%s", error, exc_info=error)
    return problem_response(status, kind, title, str(error))


def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error.status, error.kind, error.title, error.detail)


def _on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"pointer": _pointer(one["loc"]), "detail": _plain(one["msg"])} for one in error.errors()[:20]]
    detail = "; ".join(f"{one['pointer']}: {one['detail']}" for one in errors[:3])
    if len(error.errors()) > 3:
        detail += f"; and {len(error.errors()) - 3} more"
    return problem_response(400, "invalid-request", "The request is not valid", detail, errors=errors)


def _pointer(location: tuple[Any, ...]) -> str:
    """``("body", "geometry", "type")`` → ``body/geometry/type``."""
    return "/".join(str(part)[:60] for part in location)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    detail = str(error.detail)
    if detail == title:
        detail = f"{request.method} {request.url.path}: {title}"
    if error.status_code in (204, 304):
        return Response(status_code=error.status_code, headers=error.headers)
    return problem_response(error.status_code, "about:blank", title, detail, headers=error.headers)


def _on_unexpected(_request: Request, error: Exception) -> Response:
    """Tell the log, not the client, what the bug looks like; the server writes the traceback."""
    return problem_response(
        500, "about:blank", "Internal Server Error", f"an unexpected {type(error).__name__}; the server's log says more"
    )
