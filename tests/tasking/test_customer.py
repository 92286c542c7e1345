"""What can be ordered and cancelled."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from shapely import box

from catalog.extent import Footprint, TimeWindow
from tasking import course
from tasking.customer import FURTHEST, cancel_order, submit_order
from tasking.errors import IllegalTransitionError, InvalidOrderError, UnknownOrderError
from tasking.order import AttemptStatus, Constraints, OrderStatus
from tasking.step import Outcome, StepKind

AREA = Footprint.of(box(5.0, 44.0, 5.1, 44.1))


@pytest.fixture
def order(store, product, now):
    def submit(**changes):
        fields = {
            "area": AREA,
            "window": TimeWindow(start=now, end=now + timedelta(days=3)),
            "constraints": Constraints(),
            "request": {"datetime": "a/b"},
            "user": "somebody",
            "now": now,
        }
        return submit_order(store, product, **(fields | changes))

    return submit


def test_a_submitted_order_has_a_history_and_work_to_do(store, order, now):
    made = order()
    assert store.order(made.id) == made
    assert [(c.status, c.at) for c in store.history(made.id).changes] == [("received", now)]
    todo = [(step.kind, step.due) for step in store.open_steps(made.id)]
    assert todo == [(StepKind.PLAN, now), (StepKind.EXPIRE, now + timedelta(days=3))]


@pytest.mark.parametrize(
    "area",
    [box(179.9, -10.0, 180.1, -9.9), box(-180, 89.9, 180, 90), box(-180, -90, 180, -89.95), box(0, 0, 0.001, 0.001)],
    ids=["antimeridian", "north pole", "south pole", "a field"],
)
def test_any_place_on_earth_can_be_ordered(store, order, area):
    footprint = Footprint.of(area)
    assert store.order(order(area=footprint).id).area == footprint


def test_open_ends_are_closed(order, now):
    assert order(window=TimeWindow(start=None, end=now + timedelta(days=2))).window.start == now
    later = now + timedelta(days=4)
    assert order(window=TimeWindow(start=later, end=None)).window.end == later + timedelta(days=10)
    begun = order(window=TimeWindow(start=now - timedelta(days=4), end=None)).window
    assert (begun.start, begun.end) == (now - timedelta(days=4), now + timedelta(days=10))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"area": Footprint.of(box(5, 44, 6, 45))}, "geometry: .* km²; test-product takes 0.01 to 500 km²"),
        ({"area": Footprint.of(box(5, 44, 5.0005, 44.0005))}, "geometry: .* takes 0.01 to 500 km²"),
        ({"request": {"a": float("nan")}}, "request"),
        ({"request": {"a": object()}}, "request"),
    ],
)
def test_what_a_product_does_not_allow_is_refused(store, order, changes, reason):
    with pytest.raises(InvalidOrderError, match=reason):
        order(**changes)
    assert store.orders().orders == ()


def test_a_request_of_any_depth_is_kept_or_refused(order):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidOrderError, match="request"):
        order(request={"a": deep})


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (-2, -1, "before now"),
        (-2, 0, "before now"),
        (1, 1, "a single moment"),
        (0, 10.1, "takes at most 10"),
        (None, -1, "before now"),
        (FURTHEST.days + 1, None, "ahead"),
    ],
)
def test_a_window_that_cannot_be_met_is_refused(order, now, start, end, reason):
    start, end = (None if days is None else now + timedelta(days=days) for days in (start, end))
    with pytest.raises(InvalidOrderError, match=reason):
        order(window=TimeWindow(start=start, end=end))


@pytest.mark.parametrize("start", [None, datetime(9999, 12, 31, tzinfo=UTC)])
def test_the_end_of_the_calendar_is_no_trap(order, start):
    with pytest.raises(InvalidOrderError, match="datetime"):
        order(window=TimeWindow(start=start, end=datetime.max.replace(tzinfo=UTC)))


def test_an_order_is_cancelled_with_its_planned_attempts(store, order, now):
    made = order()
    dossier = store.dossier(made.id)
    attempt = course.new_attempt(dossier, 0, area=AREA, window=made.window)
    store.record(dossier, course.planned(dossier, [attempt], versions={}, now=now), now=now)
    cancelled = cancel_order(store, made.id, now=now + timedelta(seconds=5))
    assert cancelled.status is OrderStatus.USER_CANCELLED
    assert [a.status for a in store.attempts(made.id)] == [AttemptStatus.CANCELLED]
    assert {step.due for step in store.open_steps(made.id)} <= {now, now + timedelta(seconds=5)}
    with pytest.raises(IllegalTransitionError, match="is user_cancelled; it can be cancelled while"):
        cancel_order(store, made.id, now=now)


def test_a_tasked_order_cannot_be_cancelled(store, order, now):
    made = order()
    dossier = store.dossier(made.id)
    attempt = course.new_attempt(dossier, 0, area=AREA, window=made.window)
    store.record(dossier, course.planned(dossier, [attempt], versions={}, now=now), now=now)
    dossier = store.dossier(made.id)
    store.record(dossier, course.tasked(dossier, attempt, now=now), now=now)
    before = store.dossier(made.id)
    with pytest.raises(IllegalTransitionError, match="is tasked"):
        cancel_order(store, made.id, now=now)
    assert store.dossier(made.id) == before
    # What called it off would be an attempt that the table lets end.
    gone = replace(before.attempts[0], status=AttemptStatus.CANCELLED)
    store.record(before, Outcome(attempts=(gone,)), now=now)


def test_an_unknown_order_cannot_be_cancelled(store, now):
    with pytest.raises(UnknownOrderError):
        cancel_order(store, "00000000-0000-4000-8000-000000000000", now=now)
