"""Rows of the tables and the values they stand for, and where a page of them ends."""

import base64
import json
import re
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from catalog.extent import TimeWindow
from tasking.errors import InvalidTokenError
from tasking.order import Attempt, AttemptStatus, Constraints, Order, OrderStatus, StatusChange
from tasking.schema import EPOCH
from tasking.step import NewStep, Step, StepKind

MAX_LIMIT = 1000
"""Most orders or statuses of one page."""


def order_row(order: Order) -> dict[str, Any]:
    """Row of a new order."""
    return {
        "id": order.id,
        "version": 0,
        "status": order.status,
        "product_id": order.product_id,
        "customer": order.user,
        "created": order.created,
        "window_start": order.window.start,
        "window_end": order.window.end,
        "area": order.area,
        "filter": order.constraints.filter,
        "max_cloud_cover_pct": order.constraints.max_cloud_cover_pct,
        "request": order.request,
    }


def read_order(row: sa.Row[Any]) -> Order:
    """Order of a row."""
    return Order(
        id=row.id,
        product_id=row.product_id,
        area=row.area,
        window=TimeWindow(start=row.window_start, end=row.window_end),
        constraints=Constraints(filter=row.filter, max_cloud_cover_pct=row.max_cloud_cover_pct),
        request=row.request,
        user=row.customer,
        created=row.created,
        status=OrderStatus(row.status),
    )


def history_row(order_id: str, number: int, change: StatusChange) -> dict[str, Any]:
    """Row of a line of history."""
    return {
        "order_id": order_id,
        "number": number,
        "status": change.status,
        "at": change.at,
        "reason_code": change.reason_code,
        "reason_text": change.reason_text,
        "details": change.details,
    }


def read_change(row: sa.Row[Any]) -> StatusChange:
    """Line of history of a row."""
    return StatusChange(
        status=OrderStatus(row.status),
        at=row.at,
        reason_code=row.reason_code,
        reason_text=row.reason_text,
        details=row.details,
    )


def attempt_row(attempt: Attempt, number: int) -> dict[str, Any]:
    """Row of a new attempt."""
    return {
        "id": attempt.id,
        "order_id": attempt.order_id,
        "number": number,
        "product_id": attempt.product_id,
        "satellite_id": attempt.satellite_id,
        "area": attempt.area,
        "window_start": attempt.window.start,
        "window_end": attempt.window.end,
        "off_nadir_deg": attempt.off_nadir_deg,
        "status": attempt.status,
        "delivery": attempt.delivery,
        "item_id": attempt.item_id,
    }


def read_attempt(row: sa.Row[Any]) -> Attempt:
    """Attempt of a row."""
    return Attempt(
        id=row.id,
        order_id=row.order_id,
        product_id=row.product_id,
        satellite_id=row.satellite_id,
        area=row.area,
        window=TimeWindow(start=row.window_start, end=row.window_end),
        off_nadir_deg=row.off_nadir_deg,
        status=AttemptStatus(row.status),
        delivery=row.delivery,
        item_id=row.item_id,
    )


def step_row(step: NewStep) -> dict[str, Any]:
    """Row of a new step."""
    return {
        "key": step.key,
        "kind": step.kind,
        "order_id": step.order_id,
        "attempt_id": step.attempt_id,
        "payload": step.payload,
        "state": "open",
        "due": step.due,
        "claims": 0,
        "tries": 0,
    }


def read_step(row: sa.Row[Any]) -> Step:
    """Step of a row."""
    return Step(
        id=row.id,
        kind=StepKind(row.kind),
        key=row.key,
        order_id=row.order_id,
        attempt_id=row.attempt_id,
        payload=row.payload,
        due=row.due,
        owner=row.owner,
        claims=row.claims,
        tries=row.tries,
        error=row.error,
    )


def bounded(limit: int) -> int:
    """Give the limit back, or raise InvalidTokenError."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidTokenError(f"limit: {limit} is out of bounds; give 1 to {MAX_LIMIT}")
    return limit


def order_token(order: Order) -> str:
    """Where the page of orders after this one starts."""
    return token((order.created - EPOCH) // timedelta(microseconds=1), order.id)


def token(*values: int | str) -> str:
    """Values as a text that fits into an address."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def read_order_token(text: str) -> tuple[int, str]:
    """Microseconds and id of the order that a page ended with, or raise InvalidTokenError."""
    match _values(text):
        case [int(created), str(order_id)] if is_order_id(order_id):
            return _int64(created), order_id
    raise _foreign()


def read_history_token(text: str) -> int:
    """Number of the line that a page ended with, or raise InvalidTokenError."""
    match _values(text):
        case [int(number)]:
            return _int64(number)
    raise _foreign()


def is_order_id(text: str) -> bool:
    """Whether it could be the id of an order: a UUID, so that nothing else reaches the database."""
    return _UUID.fullmatch(text) is not None


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", flags=re.ASCII)


def _foreign() -> InvalidTokenError:
    return InvalidTokenError("token: not one of this list; follow the link of an earlier page")


def _values(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        raise _foreign() from None


def _int64(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise _foreign()
    return value
