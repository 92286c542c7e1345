"""What a customer does: submit an order, cancel it."""

import json
import math
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from catalog.extent import Footprint, TimeWindow, format_time
from tasking.course import cancelled, first_steps
from tasking.errors import InvalidOrderError
from tasking.idempotency import SubmissionKey
from tasking.order import Constraints, Order, OrderStatus, StatusChange
from tasking.product import Product
from tasking.store import Store

FURTHEST = timedelta(days=366)
"""Nobody can tell the passes of a later day: an element set ages by kilometres a week."""


def submit_order(
    store: Store,
    product: Product,
    *,
    area: Footprint,
    window: TimeWindow,
    constraints: Constraints,
    request: Mapping[str, Any],
    user: str,
    now: datetime,
    key: str | None = None,
) -> Order:
    """Judge an order against its product and record it; once this returns, it survives everything but the disk.

    An open start means now; an open end means as late as the product allows. A `key` that the user has sent before with
    the same request gives the order of that time as it is now.

    Raises
    ------
    IdempotencyError
        The key was used for another request.
    InvalidOrderError
        The area is too large or too small, the window lies in the past or is too long, or the request is no JSON.
    """
    _check_request(request)
    known = None if key is None else SubmissionKey.of(key, product.id, request)
    earlier = None if known is None else store.submitted(user, known)
    if earlier is not None:
        return store.order(earlier)
    _check_area(product, area)
    order = Order(
        id=str(uuid.uuid4()),
        product_id=product.id,
        area=area,
        window=_closed(product, window, now),
        constraints=constraints,
        request=request,
        user=user,
        created=now,
        status=OrderStatus.RECEIVED,
    )
    first = StatusChange(status=OrderStatus.RECEIVED, at=now, reason_text="The order is stored and will be planned.")
    recorded = store.submit(order, first, first_steps(order), key=known)
    return order if recorded == order.id else store.order(recorded)


def cancel_order(store: Store, order_id: str, *, now: datetime) -> Order:
    """Cancel an order for its customer; its planned attempts are called off.

    Raises
    ------
    UnknownOrderError
        There is no order of that id.
    IllegalTransitionError
        It is tasked already, or has ended.
    ConflictError
        It changed at this very moment; look at it again.
    """
    dossier = store.dossier(order_id)
    store.record(dossier, cancelled(dossier, now=now), now=now)
    return store.order(order_id)


def _check_area(product: Product, area: Footprint) -> None:
    if not product.min_area_km2 <= area.area_km2 <= product.max_area_km2:
        raise InvalidOrderError(
            f"geometry: {area.area_km2:.6g} km²; {product.id} takes"
            f" {product.min_area_km2:g} to {product.max_area_km2:g} km² an order"
        )


def _closed(product: Product, window: TimeWindow, now: datetime) -> TimeWindow:
    """The window with both ends, judged."""
    longest = timedelta(days=product.max_days)
    start = window.start or now
    if start > now + FURTHEST:
        raise InvalidOrderError(f"datetime: {format_time(start)} is more than {FURTHEST.days} days ahead; order later")
    end = window.end or max(start, now) + longest
    if end <= now:
        raise InvalidOrderError(f"datetime: it ended at {format_time(end)}, before now ({format_time(now)})")
    if end <= start:
        raise InvalidOrderError("datetime: a single moment; give an interval in which a satellite can pass")
    if end - max(start, now) > longest:
        raise InvalidOrderError(
            f"datetime: {math.ceil((end - start).total_seconds() / 86400)} days; {product.id} takes at most"
            f" {product.max_days:g} an order"
        )
    return TimeWindow(start=start, end=end)


def _check_request(request: Mapping[str, Any]) -> None:
    try:
        json.dumps(request, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidOrderError(f"request: it cannot be kept as JSON ({error})") from None
