"""An order, its attempts, and every state that they can be in.

Decide purely, then act: `tasking.worker` carries out what the functions of this file and of its pure neighbours decide.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import cql2

from catalog.extent import Footprint, TimeWindow
from tasking.errors import IllegalTransitionError, InvalidOrderError


class OrderStatus(StrEnum):
    """STAPI status codes (v0.1.0, order-statuses), and two extensions: tasked and user_cancelled."""

    RECEIVED = "received"
    """Stored, not yet judged."""

    ACCEPTED = "accepted"
    """Will be planned."""

    REJECTED = "rejected"
    """Will not, with the reason."""

    SCHEDULED = "scheduled"
    """An attempt is planned on a named pass."""

    TASKED = "tasked"
    """Commands are at a provider."""

    PROCESSING = "processing"
    """A scene is in production."""

    COMPLETED = "completed"
    """The asked coverage is in the catalog."""

    FAILED = "failed"
    """It could not be produced."""

    EXPIRED = "expired"
    """The window ended without (enough) acquisition."""

    CANCELLED = "cancelled"
    """By the provider's side."""

    USER_CANCELLED = "user_cancelled"
    """By the customer."""


_S = OrderStatus

TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    _S.RECEIVED: frozenset({_S.ACCEPTED, _S.REJECTED, _S.USER_CANCELLED, _S.CANCELLED}),
    _S.ACCEPTED: frozenset({_S.SCHEDULED, _S.EXPIRED, _S.FAILED, _S.USER_CANCELLED, _S.CANCELLED}),
    _S.SCHEDULED: frozenset({_S.TASKED, _S.ACCEPTED, _S.EXPIRED, _S.FAILED, _S.USER_CANCELLED, _S.CANCELLED}),
    _S.TASKED: frozenset({_S.PROCESSING, _S.ACCEPTED, _S.EXPIRED, _S.FAILED, _S.CANCELLED}),
    _S.PROCESSING: frozenset({_S.COMPLETED, _S.TASKED, _S.ACCEPTED, _S.EXPIRED, _S.FAILED, _S.CANCELLED}),
    _S.REJECTED: frozenset(),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.USER_CANCELLED: frozenset(),
}
"""Every change of state that an order can make; a state without successors is final."""

FINAL = frozenset(status for status, successors in TRANSITIONS.items() if not successors)


class AttemptStatus(StrEnum):
    """Life of one tasked acquisition; its end is not the order's end."""

    PLANNED = "planned"
    TASKED = "tasked"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_A = AttemptStatus

ATTEMPT_TRANSITIONS: Mapping[AttemptStatus, frozenset[AttemptStatus]] = {
    _A.PLANNED: frozenset({_A.TASKED, _A.FAILED, _A.CANCELLED}),
    _A.TASKED: frozenset({_A.DELIVERED, _A.FAILED, _A.CANCELLED}),
    _A.DELIVERED: frozenset({_A.COMPLETED, _A.FAILED}),
    _A.COMPLETED: frozenset(),
    _A.FAILED: frozenset(),
    _A.CANCELLED: frozenset(),
}
"""Every change of state that an attempt can make."""


def check_transition(before: OrderStatus, after: OrderStatus) -> None:
    """Raise unless the table allows the change.

    Raises
    ------
    IllegalTransitionError
        The table does not list it.
    """
    if after not in TRANSITIONS[before]:
        allowed = ", ".join(sorted(TRANSITIONS[before])) or "nothing: it is final"
        raise IllegalTransitionError(f"order status: {before} cannot become {after}; from {before} follows {allowed}")


FILTER_PROPERTIES: Mapping[str, float | str] = {
    "view:off_nadir": 12.5,
    "view:incidence_angle": 14.0,
    "view:azimuth": 98.0,
    "view:sun_azimuth": 151.0,
    "view:sun_elevation": 42.0,
    "gsd": 2.1,
    "platform": "sandbox-1",
    "sat:orbit_state": "descending",
}
"""What a filter may speak of, each with an example value: the properties that every opportunity has."""

MAX_FILTER_PARTS = 1000
"""Values, arrays and objects of a filter's JSON: nobody writes one so long, and each costs time on every pass."""

MAX_FILTER_DEPTH = 100
"""Levels of a filter's JSON; cql2 0.6 ends the whole process at some tens of thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What the customer asks beyond place and time."""

    filter: Mapping[str, Any] | None = None
    """CQL2 JSON over the properties of an opportunity; None accepts all. Judged before the acquisition."""

    max_cloud_cover_pct: float = 100.0
    """Most clouds over the ordered area, 0 to 100. Judged on the delivered scene."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_cloud_cover_pct <= 100:
            raise InvalidOrderError(f"max_cloud_cover: {self.max_cloud_cover_pct} is no percentage; give 0 to 100")
        if self.filter is not None:
            _check_filter(self.filter)

    def matches(self, properties: Mapping[str, Any]) -> bool:
        """Whether an opportunity with these properties (at least `FILTER_PROPERTIES`) meets the filter."""
        return self.filter is None or _evaluate(self.filter, properties)


def _evaluate(filter_: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    return bool(cql2.Expr(dict(filter_)).matches(dict(properties)))


def _check_filter(filter_: Mapping[str, Any]) -> None:
    """Refuse a filter that is no CQL2 JSON, names an unknown property, or cannot be decided (an unknown function)."""
    unknown = _properties_of(filter_) - FILTER_PROPERTIES.keys()
    if unknown:
        known = ", ".join(sorted(FILTER_PROPERTIES))
        raise InvalidOrderError(f"filter: unknown property {min(unknown)!r}; opportunities have {known}")
    try:
        text = json.dumps(filter_, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise InvalidOrderError(f"filter: no JSON ({_first_line(error)})") from None
    _check_syntax(text)


@lru_cache(maxsize=1024)
def _check_syntax(filter_json: str) -> None:
    """Validate a filter once: it takes cql2 0.6 some 30 ms, and an order is read far more often than it is made."""
    filter_ = json.loads(filter_json)
    try:
        cql2.Expr(filter_).validate()
        _evaluate(filter_, FILTER_PROPERTIES)
    except (cql2.ValidationError, RecursionError, TypeError, ValueError) as error:
        raise InvalidOrderError(f"filter: no valid CQL2 JSON ({_first_line(error)})") from None
    except Exception as error:  # noqa: BLE001 - cql2 0.6 raises plain Exception for what it cannot reduce
        raise InvalidOrderError(f"filter: cannot be decided for an opportunity ({_first_line(error)})") from None


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _properties_of(filter_: Mapping[str, Any]) -> set[str]:
    """Name the properties that a CQL2 JSON expression mentions; refuse one too deep for its parser's stack."""
    names: set[str] = set()
    nodes: list[tuple[Any, int]] = [(filter_, 0)]
    seen = 0
    while nodes:
        node, depth = nodes.pop()
        seen += 1
        if seen > MAX_FILTER_PARTS:
            raise InvalidOrderError(f"filter: more than {MAX_FILTER_PARTS} parts; write it shorter")
        if depth > MAX_FILTER_DEPTH:
            raise InvalidOrderError(f"filter: nested more than {MAX_FILTER_DEPTH} deep; write it flatter")
        if isinstance(node, Mapping):
            if isinstance(node.get("property"), str):
                names.add(node["property"])
            nodes.extend((child, depth + 1) for child in node.values())
        elif isinstance(node, list | tuple):
            nodes.extend((child, depth + 1) for child in node)
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request for a fresh picture of an area."""

    id: str
    """UUID, made when the order is received."""

    product_id: str
    area: Footprint
    window: TimeWindow
    constraints: Constraints
    request: Mapping[str, Any]
    """The body as the customer sent it, for the STAPI answer."""

    user: str
    """Who ordered."""

    created: datetime
    """When it was received, UTC."""

    status: OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """One line of an order's history."""

    status: OrderStatus
    at: datetime
    """UTC."""

    reason_code: str | None = None
    """Machine-readable: ``cloud_cover``, ``no_opportunity``, …; docs/stapi.md lists them."""

    reason_text: str | None = None
    """One sentence for a person."""

    details: Mapping[str, Any] | None = None
    """Links and figures that belong to the change: the attempt, the item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One tasked acquisition of a part of an order's area. Providers know it by its id; commands repeat safely."""

    id: str
    """Deterministic: the order's id and a running number."""

    order_id: str
    product_id: str
    satellite_id: str | None
    """None where the vendor chooses the pass."""

    area: Footprint
    """What this attempt is to cover: the order's area, or a strip of it."""

    window: TimeWindow
    """When to acquire: the pass, or the order's whole window where the vendor chooses."""

    off_nadir_deg: float | None
    status: AttemptStatus
    delivery: str | None = None
    """Name of the delivery's folder, once it is here: no two attempts of an order take the same one."""

    item_id: str | None = None
    """The item in the catalog, once it is there."""
