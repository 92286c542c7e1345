"""The course of an order: what each event means for it, decided purely. `tasking.worker` acts, `tasking.store` records.

      received ─► accepted ─► scheduled ─► tasked ─► processing ─► completed
                   ▲   │ no pass left        │           │
                   │   └─► expired           │ failed    │ too cloudy, or a part is left
                   └─────────────────────────┴───────────┘

With several attempts under way the order stands where the most advanced of them stands; what happens to another one is
a remark in the history.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from catalog.extent import Footprint, TimeWindow, format_time
from tasking.errors import IllegalTransitionError
from tasking.order import FINAL, TRANSITIONS, Attempt, AttemptStatus, Order, OrderStatus, StatusChange
from tasking.step import Credit, Dossier, NewStep, Outcome, StepKind

COMPLETE_SHARE = 0.99
"""Share of the ordered area at which an order is completed. The outline of a scene's valid pixels is a ring of whole
pixels, simplified, in another projection than the order: along the edge a small order loses up to a per cent of its
area without lacking a pixel, and no second pass is worth that ring."""

REPLAN_AFTER = timedelta(hours=1)
"""An order without a pass looks again: another order's cancelled attempt sets a satellite free."""

DELIVERY_GRACE = timedelta(days=3)
"""How long after the window's end a delivery is waited for: what was acquired in time may arrive later."""

SAME_CLOUDS = timedelta(minutes=30)
"""After a pass, before another one is worth a try: the pass itself is over (15 min from horizon to horizon at 800 km)
and the clouds have moved."""

STALE_DELIVERY_WAIT = timedelta(minutes=1)
"""A provider that still offers a delivery which was judged already is asked again after this."""


def first_steps(order: Order) -> tuple[NewStep, ...]:
    """What a new order asks for: a plan now, an end after its window."""
    end = order.window.end
    steps: tuple[NewStep, ...] = (_plan_step(order.id, "submitted", order.created),)
    if end is not None:
        steps += (NewStep(kind=StepKind.EXPIRE, key=f"expire:{order.id}", due=end, order_id=order.id),)
    return steps


def ingest_step(folder: Path, collection: str, now: datetime) -> NewStep:
    """The work on an accepted delivery that nobody ordered here; once for each delivery's id."""
    payload = {"folder": str(folder), "collection": collection}
    return NewStep(kind=StepKind.INGEST, key=f"ingest:{folder.name}", due=now, payload=payload)


def open_area(dossier: Dossier) -> Footprint | None:
    """What of the ordered area is neither covered nor under way; None when that is no more than the tolerance."""
    left: Footprint | None = dossier.order.area
    taken = [attempt.area for attempt in dossier.in_flight()]
    for area in [dossier.covered, *taken] if dossier.covered else taken:
        left = left.minus(area) if left and area else left
    # A little less than what completion forgives, so that rounding leaves no order between the two.
    least_km2 = 0.999 * (1 - COMPLETE_SHARE) * dossier.order.area.area_km2
    return None if left is None or left.area_km2 <= least_km2 else left


def covered_share(dossier: Dossier, credit: Footprint | None = None) -> float:
    """Share of the ordered area that is in the catalog, 0 to 1, with what is about to be credited."""
    area = dossier.order.area
    parts = [part for part in (dossier.covered, credit) if part is not None]
    if not parts:
        return 0.0
    covered = parts[0] if len(parts) == 1 else parts[0].union(parts[1])
    inside = area.intersection(covered)
    return min(1.0, inside.area_km2 / area.area_km2) if inside else 0.0


def search_window(dossier: Dossier, now: datetime) -> TimeWindow | None:
    """When passes may still be used: not before now, nor before a pass that has brought its result; None when over.

    The sandbox's fast clock brings tomorrow's pass today: without the second rule a cloudy pass would be flown again.
    """
    ends = (attempt.window.end for attempt in dossier.attempts if attempt.satellite_id and _is_over(attempt))
    after = [end + SAME_CLOUDS for end in ends if end is not None]
    start = max([now, dossier.order.window.start or now, *after])
    end = dossier.order.window.end
    return None if end is not None and end <= start else TimeWindow(start=start, end=end)


def _is_over(attempt: Attempt) -> bool:
    return attempt.status not in (AttemptStatus.PLANNED, AttemptStatus.TASKED)


def window_is_over(dossier: Dossier, now: datetime) -> bool:
    """Whether nothing can be acquired for the order any more."""
    end = dossier.order.window.end
    return end is not None and end <= now


# ── planning ────────────────────────────────────────────────────────────────────────────────────────────────────────


def planned(dossier: Dossier, attempts: Sequence[Attempt], *, versions: Mapping[str, int], now: datetime) -> Outcome:
    """New attempts: each gets its step, the order is scheduled."""
    passes = "; ".join(_pass_of(attempt) for attempt in attempts)
    last = StatusChange(
        status=_standing((*dossier.attempts, *attempts)),
        at=now,
        reason_code="pass_planned",
        reason_text=f"{passes}.",
        details={"attempts": [attempt.id for attempt in attempts]},
    )
    steps = tuple(_attempt_step(StepKind.TASK, attempt, now) for attempt in attempts)
    return Outcome(changes=_way(dossier, last), planned=tuple(attempts), versions=versions, steps=steps)


def new_attempt(
    dossier: Dossier,
    place: int,
    *,
    area: Footprint,
    window: TimeWindow,
    satellite_id: str | None = None,
    off_nadir_deg: float | None = None,
) -> Attempt:
    """The attempt `place` (from 0) of a new plan."""
    order = dossier.order
    return Attempt(
        id=f"{order.id}-{len(dossier.attempts) + 1 + place}",
        order_id=order.id,
        product_id=order.product_id,
        satellite_id=satellite_id,
        area=area,
        window=window,
        off_nadir_deg=off_nadir_deg,
        status=AttemptStatus.PLANNED,
    )


def refused(dossier: Dossier, text: str, *, now: datetime) -> Outcome:
    """No satellite could ever fulfil the order as it is written."""
    new = dossier.order.status is OrderStatus.RECEIVED
    last = StatusChange(
        status=OrderStatus.REJECTED if new else OrderStatus.FAILED,
        at=now,
        reason_code="invalid_geometry" if text.startswith("geometry") else "invalid_order",
        reason_text=text,
    )
    return Outcome(changes=_way(dossier, last), attempts=_ended(dossier.in_flight()))


def without_pass(dossier: Dossier, *, now: datetime) -> Outcome:
    """No pass is left now: the order waits as it is and looks again, until it expires."""
    end = dossier.order.window.end
    again = now + REPLAN_AFTER if end is None else min(now + REPLAN_AFTER, end)
    if dossier.last.reason_code == "no_opportunity" or dossier.in_flight():
        return Outcome(again=again)
    text = "No pass that meets the order's conditions is left"
    if end is not None:
        text += f" before {format_time(end)}; it expires then unless one comes free"
    last = StatusChange(status=OrderStatus.ACCEPTED, at=now, reason_code="no_opportunity", reason_text=f"{text}.")
    return Outcome(changes=_way(dossier, last), again=again)


def expired(dossier: Dossier, *, now: datetime) -> Outcome:
    """The window is over: wait for what was acquired in time, call off the rest, end the order."""
    if dossier.order.status in FINAL:
        return Outcome()
    end = dossier.order.window.end
    if end is None or now < end:
        return Outcome(again=end)
    coming = [attempt for attempt in dossier.in_flight() if attempt.status is not AttemptStatus.PLANNED]
    if coming and now < end + DELIVERY_GRACE:
        called_off = _ended([a for a in dossier.in_flight() if a not in coming])
        return Outcome(attempts=called_off, again=end + DELIVERY_GRACE)
    stuck = [attempt for attempt in coming if attempt.status is AttemptStatus.DELIVERED]
    text = f"The window ended at {format_time(end)}; {covered_share(dossier):.0%} of the area was covered"
    if stuck:
        code, text = "production_failed", f"{text}, a delivered scene could not be produced"
    else:
        code = "window_ended"
    cause = dossier.last.reason_text if dossier.last.reason_code in _SETBACKS else None
    last = StatusChange(
        status=OrderStatus.FAILED if stuck else OrderStatus.EXPIRED,
        at=now,
        reason_code=code,
        reason_text=f"{text}. Before that: {cause}" if cause else f"{text}.",
    )
    return Outcome(changes=_way(dossier, last), attempts=_ended(dossier.in_flight()))


_SETBACKS = ("no_opportunity", "cloud_cover", "acquisition_failed", "invalid_delivery", "partial_delivery")


def cancelled(dossier: Dossier, *, now: datetime) -> Outcome:
    """The customer cancels; refused by the table once an attempt is tasked."""
    last = StatusChange(
        status=OrderStatus.USER_CANCELLED, at=now, reason_code="user_request", reason_text="Cancelled by the customer."
    )
    if last.status not in TRANSITIONS[dossier.order.status]:
        raise IllegalTransitionError(
            f"order {dossier.order.id} is {dossier.order.status}; it can be cancelled while it is received, accepted or"
            " scheduled"
        )
    return Outcome(changes=(last,), attempts=_ended(dossier.in_flight()))


def _ended(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Called off; what is delivered already has failed instead."""
    return tuple(
        replace(a, status=AttemptStatus.FAILED if a.status is AttemptStatus.DELIVERED else AttemptStatus.CANCELLED)
        for a in attempts
    )


# ── an attempt's life ───────────────────────────────────────────────────────────────────────────────────────────────


def tasked(dossier: Dossier, attempt: Attempt, *, now: datetime) -> Outcome:
    """The provider has the command."""
    after = replace(attempt, status=AttemptStatus.TASKED)
    whom = attempt.satellite_id or "The provider"
    text = f"{whom} is tasked with {attempt.area.area_km2:.4g} km²."
    return _progress(dossier, after, now=now, code="attempt_tasked", text=text, follows=StepKind.COLLECT)


def delivered(dossier: Dossier, attempt: Attempt, folder: Path, *, now: datetime) -> Outcome:
    """The raw scene is here; one that another attempt of the order has taken is not looked at twice."""
    if any(other.delivery == folder.name for other in dossier.attempts):
        return Outcome(again=now + STALE_DELIVERY_WAIT)
    after = replace(attempt, status=AttemptStatus.DELIVERED, delivery=folder.name)
    text = "The raw scene was delivered and is being produced."
    outcome = _progress(dossier, after, now=now, code="scene_delivered", text=text, follows=StepKind.PRODUCE)
    return replace(outcome, steps=tuple(replace(step, payload={"folder": str(folder)}) for step in outcome.steps))


def _progress(dossier: Dossier, after: Attempt, *, now: datetime, code: str, text: str, follows: StepKind) -> Outcome:
    last = StatusChange(
        status=_standing_with(dossier, after), at=now, reason_code=code, reason_text=text, details=_details(after)
    )
    return Outcome(changes=_way(dossier, last), attempts=(after,), steps=(_attempt_step(follows, after, now),))


def attempt_failed(dossier: Dossier, attempt: Attempt, *, code: str, text: str, now: datetime) -> Outcome:
    """The attempt brought nothing: the order keeps what is covered and plans the rest."""
    after = replace(attempt, status=AttemptStatus.FAILED)
    if dossier.order.status in FINAL:
        return Outcome(attempts=(after,))
    last = StatusChange(
        status=_standing_with(dossier, after), at=now, reason_code=code, reason_text=text, details=_details(after)
    )
    # A vendor who refuses at once would refuse the same request again at once; a pass is never asked for twice.
    refused = attempt.satellite_id is None and attempt.status is not AttemptStatus.DELIVERED
    plan = _plan_step(dossier.order.id, attempt.id, now + REPLAN_AFTER if refused else now)
    return Outcome(changes=_way(dossier, last), attempts=(after,), steps=(plan,))


def unasked(order: Order, acquired: TimeWindow) -> str | None:
    """Why a scene does not answer the order, as a sentence; None when it does."""
    if order.window.overlaps(acquired):
        return None
    return f"The scene was acquired {acquired}, outside the ordered {order.window}."


def too_cloudy(order: Order, cloud_cover_pct: float | None) -> str | None:
    """Why a scene does not meet the order, as a sentence; None when it does. Unknown clouds are taken as none."""
    most = order.constraints.max_cloud_cover_pct
    if cloud_cover_pct is None or cloud_cover_pct <= most:
        return None
    return f"Clouds cover {cloud_cover_pct:.1f} % of the area, at most {most:g} % were ordered."


def published(
    dossier: Dossier, attempt: Attempt, *, item_id: str, collection: str, footprint: Footprint, now: datetime
) -> Outcome:
    """The attempt's item is in the catalog: its area is credited, the order is completed or its rest planned."""
    after = replace(attempt, status=AttemptStatus.COMPLETED, item_id=item_id)
    gained = dossier.order.area.intersection(footprint)
    credit = None if gained is None else Credit(attempt_id=attempt.id, area=gained)
    if dossier.order.status in FINAL:
        return Outcome(attempts=(after,), credit=credit)
    share = covered_share(dossier, gained)
    details = {**_details(after), "item": item_id, "collection": collection, "covered_share": round(share, 4)}
    if share >= COMPLETE_SHARE:
        text = f"Item {item_id} is in the catalog; {share:.1%} of the area is covered."
        last = StatusChange(
            status=OrderStatus.COMPLETED, at=now, reason_code="area_covered", reason_text=text, details=details
        )
        others = tuple(other for other in dossier.in_flight() if other.id != attempt.id and not _is_over(other))
        return Outcome(changes=_way(dossier, last), attempts=(after, *_ended(others)), credit=credit)
    text = f"Item {item_id} is in the catalog; {share:.1%} of the area is covered, the rest is still to be acquired."
    last = StatusChange(
        status=_standing_with(dossier, after),
        at=now,
        reason_code="partial_delivery",
        reason_text=text,
        details=details,
    )
    plan = _plan_step(dossier.order.id, attempt.id, now)
    return Outcome(changes=_way(dossier, last), attempts=(after,), credit=credit, steps=(plan,))


# ── words and ways ──────────────────────────────────────────────────────────────────────────────────────────────────


def _pass_of(attempt: Attempt) -> str:
    if attempt.satellite_id is None:
        return f"The provider chooses the pass, {attempt.window}"
    start, end = attempt.window.start, attempt.window.end
    moment = f" at {format_time((start + (end - start) / 2).replace(microsecond=0))}" if start and end else ""
    angle = "" if attempt.off_nadir_deg is None else f", {attempt.off_nadir_deg:.1f}° off nadir"
    return f"{attempt.satellite_id} passes{moment}{angle}"


def _details(attempt: Attempt) -> dict[str, Any]:
    return {"attempt": attempt.id}


def _standing(attempts: Sequence[Attempt]) -> OrderStatus:
    """Where an order stands that is not at its end: where the most advanced of its attempts stands."""
    states = {attempt.status for attempt in attempts}
    for state, standing in (
        (AttemptStatus.DELIVERED, OrderStatus.PROCESSING),
        (AttemptStatus.TASKED, OrderStatus.TASKED),
        (AttemptStatus.PLANNED, OrderStatus.SCHEDULED),
    ):
        if state in states:
            return standing
    return OrderStatus.ACCEPTED


def _standing_with(dossier: Dossier, after: Attempt) -> OrderStatus:
    return _standing([after if attempt.id == after.id else attempt for attempt in dossier.attempts])


def _way(dossier: Dossier, last: StatusChange) -> tuple[StatusChange, ...]:
    """The lines of history from where the order stands to `last`, through the fewest states that the table allows."""
    before = dossier.order.status
    if before == last.status:
        return (last,)
    ways: deque[tuple[OrderStatus, ...]] = deque([(before,)])
    seen = {before}
    while ways:
        way = ways.popleft()
        for state in sorted(TRANSITIONS[way[-1]] - seen):
            if state == last.status:
                return (*(_between(state_, last) for state_ in way[1:]), last)
            if state not in FINAL:
                seen.add(state)
                ways.append((*way, state))
    raise IllegalTransitionError(f"order status: no way leads from {before} to {last.status}")


def _between(state: OrderStatus, last: StatusChange) -> StatusChange:
    text = "The order keeps within the limits of its product." if state is OrderStatus.ACCEPTED else None
    return StatusChange(status=state, at=last.at, reason_text=text)


def _plan_step(order_id: str, cause: str, now: datetime) -> NewStep:
    return NewStep(kind=StepKind.PLAN, key=f"plan:{order_id}:{cause}", due=now, order_id=order_id)


def _attempt_step(kind: StepKind, attempt: Attempt, now: datetime) -> NewStep:
    return NewStep(kind=kind, key=f"{kind}:{attempt.id}", due=now, order_id=attempt.order_id, attempt_id=attempt.id)
