"""The tables on real SQLite: what is written is read, leases hold, stale decisions are refused."""

import json
import sqlite3
import threading
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from shapely import box

from catalog.extent import Footprint, TimeWindow
from tasking.errors import (
    ConflictError,
    IllegalTransitionError,
    InvalidTokenError,
    LeaseLostError,
    UnknownOrderError,
)
from tasking.order import Attempt, AttemptStatus, Constraints, Order, OrderStatus, StatusChange
from tasking.schema import EPOCH, Area, UtcTime
from tasking.step import Credit, NewStep, Outcome, StepKind
from tasking.store import MAX_TRIES, Store

LEASE = timedelta(seconds=30)
SQUARE = Footprint.of(box(5.0, 44.0, 5.1, 44.1))


def order_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def make_order(now: datetime, number: int = 1, **changes) -> Order:
    fields = {
        "id": order_id(number),
        "product_id": "test-product",
        "area": SQUARE,
        "window": TimeWindow(start=now, end=now + timedelta(days=3)),
        "constraints": Constraints(max_cloud_cover_pct=20.0),
        "request": {"datetime": "a/b"},
        "user": "somebody",
        "created": now,
        "status": OrderStatus.RECEIVED,
    }
    return Order(**(fields | changes))


def submit(store: Store, order: Order, due: datetime | None = None) -> Order:
    todo = [NewStep(kind=StepKind.PLAN, key=f"plan:{order.id}", due=due or order.created, order_id=order.id)]
    store.submit(order, StatusChange(status=order.status, at=order.created), todo)
    return order


def change(status: OrderStatus, at: datetime, **fields) -> Outcome:
    return Outcome(changes=(StatusChange(status=status, at=at, reason_text="test", **fields),))


def make_attempt(order: Order, number: int = 1, **changes) -> Attempt:
    fields = {
        "id": f"{order.id}-{number}",
        "order_id": order.id,
        "product_id": order.product_id,
        "satellite_id": "sandbox-1",
        "area": order.area,
        "window": TimeWindow(start=order.created, end=order.created + timedelta(seconds=60)),
        "off_nadir_deg": 12.5,
        "status": AttemptStatus.PLANNED,
    }
    return Attempt(**(fields | changes))


# ── orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"area": Footprint.of(box(179.9, -10.0, 180.1, -9.9))},
        {"area": Footprint.of(box(0, 0, 0.3, 0.1).difference(box(0.1, 0.04, 0.2, 0.06)))},
        {"window": TimeWindow(start=None, end=datetime(2026, 4, 1, tzinfo=UTC))},
        {"constraints": Constraints(filter={"op": "<", "args": [{"property": "gsd"}, 3]})},
        {"request": {"deep": [1, None, {"ü": "☃ \ud800 \x00", "big": 10**40, "small": 0.1 + 0.2}]}},
        {"user": "Żółw; DROP TABLE orders--"},
    ],
)
def test_an_order_is_read_as_it_was_written(store, now, changes):
    order = submit(store, make_order(now, **changes))
    assert store.order(order.id) == order


def test_what_was_submitted_is_there_for_another_process(store, tmp_path, now):
    order = submit(store, make_order(now))
    other = Store(f"sqlite:///{tmp_path / 'tasking.db'}")
    assert other.order(order.id) == order
    other.close()


def test_a_submission_is_recorded_whole_or_not_at_all(store, now):
    order = make_order(now)
    twice = NewStep(kind=StepKind.PLAN, key="same", due=now, order_id=order.id)
    with pytest.raises(sa.exc.IntegrityError):
        store.submit(order, StatusChange(status=order.status, at=now), [twice, twice])
    with pytest.raises(UnknownOrderError):
        store.order(order.id)
    assert store.next_due() is None


@pytest.mark.parametrize("unknown", [order_id(7), "", "x" * 10_000, "\x00", "\ud800", "1 or 1=1"])
def test_an_unknown_order_is_an_error(store, unknown):
    for ask in (store.order, store.history, store.dossier):
        with pytest.raises(UnknownOrderError, match="unknown"):
            ask(unknown)


def test_pages_hold_every_order_once_newest_first(store, now):
    moments = [now + timedelta(seconds=number // 3) for number in range(25)]  # several at one moment
    for number, moment in enumerate(moments):
        submit(store, make_order(moment, number))
    seen, token = [], None
    while True:
        page = store.orders(limit=4, token=token)
        seen += page.orders
        submit(store, make_order(now + timedelta(days=1, seconds=len(seen)), 1000 + len(seen)))  # written meanwhile
        if (token := page.next_token) is None:
            break
    assert [(o.created, o.id) for o in seen] == sorted(((m, order_id(n)) for n, m in enumerate(moments)), reverse=True)


def test_a_history_is_paged_newest_first(store, now):
    order = submit(store, make_order(now))
    for number in range(6):
        at = now + timedelta(seconds=number + 1)
        status = OrderStatus.ACCEPTED
        store.record(store.dossier(order.id), change(status, at, details={"number": number}), now=at)
    first = store.history(order.id, limit=4)
    rest = store.history(order.id, limit=4, token=first.next_token)
    assert [c.at for c in first.changes + rest.changes] == [now + timedelta(seconds=s) for s in range(6, -1, -1)]
    assert first.changes[0].details == {"number": 5}
    assert rest.next_token is None


def _token(values: object) -> str:
    return urlsafe_b64encode(json.dumps(values).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        *("", "x", "é", "====", "A" * 100_000, urlsafe_b64encode(b"[" * 100_000).decode()),
        *(_token([]), _token([1]), _token(["a"]), _token({"a": 1}), _token([None, None])),
        *(_token([10**30]), _token([10**30, order_id(1)]), _token([1, "\ud800"]), _token([1.5, order_id(1)])),
    ],
)
def test_a_foreign_token_is_an_error(store, now, token):
    order = submit(store, make_order(now))
    with pytest.raises(InvalidTokenError, match="token"):
        store.orders(token=token)
    if token != _token([1]):
        with pytest.raises(InvalidTokenError, match="token"):
            store.history(order.id, token=token)


@pytest.mark.parametrize("limit", [0, -1, 1001, 10**30])
def test_a_limit_out_of_bounds_is_an_error(store, limit):
    with pytest.raises(InvalidTokenError, match="limit"):
        store.orders(limit=limit)


# ── changes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_change_outside_the_table_is_refused_and_nothing_of_it_stays(store, now):
    order = submit(store, make_order(now))
    before = store.dossier(order.id)
    wrong = replace(change(OrderStatus.COMPLETED, now), planned=(make_attempt(order),))
    with pytest.raises(IllegalTransitionError, match="received cannot become completed"):
        store.record(before, wrong, now=now)
    assert store.dossier(order.id) == before


def test_a_remark_needs_a_reason(store, now):
    order = submit(store, make_order(now))
    again = Outcome(changes=(StatusChange(status=OrderStatus.RECEIVED, at=now),))
    with pytest.raises(IllegalTransitionError, match="without a reason"):
        store.record(store.dossier(order.id), again, now=now)


def test_a_decision_on_an_old_reading_is_refused(store, now):
    """Two parts arriving at once must not both be judged as if the other were not there."""
    order = submit(store, make_order(now))
    old = store.dossier(order.id)
    store.record(old, change(OrderStatus.ACCEPTED, now), now=now)
    with pytest.raises(ConflictError, match="changed"):
        store.record(old, change(OrderStatus.USER_CANCELLED, now), now=now)
    remarked = store.dossier(order.id)
    store.record(remarked, change(OrderStatus.ACCEPTED, now), now=now)
    with pytest.raises(ConflictError, match="changed"):
        store.record(remarked, change(OrderStatus.USER_CANCELLED, now), now=now)


def test_attempts_and_credits_are_read_as_they_were_written(store, now):
    order = submit(store, make_order(now))
    one, two = make_attempt(order, 1), make_attempt(order, 2, satellite_id=None, off_nadir_deg=None)
    store.record(store.dossier(order.id), Outcome(planned=(one, two), versions={"sandbox-1": 0}), now=now)
    assert store.attempts(order.id) == (one, two)
    assert store.dossier(order.id).covered is None
    half = Footprint.of(box(5.0, 44.0, 5.05, 44.1))
    for attempt, state in ((one, AttemptStatus.TASKED), (one, AttemptStatus.DELIVERED)):
        after = replace(attempt, status=state, delivery="D1")
        store.record(store.dossier(order.id), Outcome(attempts=(after,)), now=now)
    done = replace(one, status=AttemptStatus.COMPLETED, delivery="D1", item_id="D1")
    credit = Credit(attempt_id=one.id, area=half)
    store.record(store.dossier(order.id), Outcome(attempts=(done,), credit=credit), now=now)
    dossier = store.dossier(order.id)
    assert dossier.attempts == (done, two)
    assert dossier.covered == half
    with pytest.raises(sa.exc.IntegrityError):  # an attempt is credited once
        store.record(dossier, Outcome(credit=credit), now=now)
    with pytest.raises(IllegalTransitionError, match="planned cannot become completed"):
        store.record(dossier, Outcome(attempts=(replace(two, status=AttemptStatus.COMPLETED),)), now=now)


def test_two_plans_on_one_satellite_at_one_moment_do_not_both_pass(store, now):
    orders = [submit(store, make_order(now, number)) for number in (1, 2)]
    window = TimeWindow(start=now - timedelta(days=1), end=now + timedelta(days=1))
    schedule = store.schedule(["sandbox-1", "sandbox-2"], window)
    assert schedule.versions == {"sandbox-1": 0, "sandbox-2": 0}
    first, second = (
        Outcome(planned=(make_attempt(order),), versions={"sandbox-1": schedule.versions["sandbox-1"]})
        for order in orders
    )
    store.record(store.dossier(orders[0].id), first, now=now)
    with pytest.raises(ConflictError, match="sandbox-1"):
        store.record(store.dossier(orders[1].id), second, now=now)
    assert store.attempts(orders[1].id) == ()
    again = store.schedule(["sandbox-1", "sandbox-2"], window)
    assert again.versions == {"sandbox-1": 1, "sandbox-2": 0}
    assert again.acquisitions == (("sandbox-1", now, now + timedelta(seconds=60), 12.5),)


def test_a_schedule_tells_only_what_holds_in_the_window(store, now):
    order = submit(store, make_order(now))
    store.record(store.dossier(order.id), Outcome(planned=(make_attempt(order),)), now=now)
    later = TimeWindow(start=now + timedelta(hours=1), end=None)
    assert store.schedule(["sandbox-1"], later).acquisitions == ()
    assert store.schedule(["sandbox-2"], TimeWindow(start=now, end=None)).acquisitions == ()
    off = replace(make_attempt(order), status=AttemptStatus.CANCELLED)
    assert len(store.schedule(["sandbox-1"], TimeWindow(start=now, end=None)).acquisitions) == 1
    store.record(store.dossier(order.id), Outcome(attempts=(off,)), now=now)
    assert store.schedule(["sandbox-1"], TimeWindow(start=now, end=None)).acquisitions == ()


def test_the_end_of_an_order_wakes_whoever_waits_for_it(store, now):
    order = submit(store, make_order(now), due=now + timedelta(days=3))
    other = submit(store, make_order(now, 2), due=now + timedelta(days=3))
    store.record(store.dossier(order.id), change(OrderStatus.USER_CANCELLED, now), now=now)
    assert [step.due for step in store.open_steps(order.id)] == [now]
    assert [step.due for step in store.open_steps(other.id)] == [now + timedelta(days=3)]


@pytest.mark.parametrize("statement", ["update order_history set at = 0", "delete from order_history"])
def test_the_history_is_append_only(store, tmp_path, now, statement):
    submit(store, make_order(now))
    with sqlite3.connect(tmp_path / "tasking.db") as connection, pytest.raises(sqlite3.IntegrityError, match="append"):
        connection.execute(statement)
    connection.close()


# ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_claimed_step_is_nobody_elses_until_its_lease_ends(store, now):
    submit(store, make_order(now))
    step = store.claim("a", now=now, lease=LEASE)
    assert (step.owner, step.due, step.claims, step.tries) == ("a", now + LEASE, 1, 1)
    assert store.claim("b", now=now + LEASE - timedelta(seconds=1), lease=LEASE) is None
    store.renew(step, now=now + timedelta(seconds=20), lease=LEASE)
    assert store.claim("b", now=now + LEASE, lease=LEASE) is None
    taken = store.claim("b", now=now + timedelta(seconds=51), lease=LEASE)
    assert (taken.id, taken.owner, taken.claims) == (step.id, "b", 2)


@pytest.mark.parametrize("owner", ["b", "a"])
def test_a_stale_owner_is_refused_even_under_its_own_name(store, now, owner):
    """A thread that stalled and its successor in the same process share the owner's token."""
    order = submit(store, make_order(now))
    stale = store.claim("a", now=now, lease=LEASE)
    later = now + LEASE
    current = store.claim(owner, now=later, lease=LEASE)
    dossier = store.dossier(order.id)
    outcome = change(OrderStatus.ACCEPTED, later)
    with pytest.raises(LeaseLostError, match="plan:"):
        store.finish(stale, now=later, dossier=dossier, outcome=outcome)
    with pytest.raises(LeaseLostError):
        store.renew(stale, now=later, lease=LEASE)
    with pytest.raises(LeaseLostError):
        store.retry(stale, error="late", at=later, now=later)
    assert store.dossier(order.id) == dossier
    store.finish(current, now=later, dossier=dossier, outcome=outcome)
    with pytest.raises(LeaseLostError):
        store.finish(current, now=later)
    assert [c.status for c in store.history(order.id).changes] == ["accepted", "received"]


def test_a_refused_outcome_leaves_the_step_claimed(store, now):
    order = submit(store, make_order(now))
    step = store.claim("a", now=now, lease=LEASE)
    with pytest.raises(IllegalTransitionError):
        store.finish(step, now=now, dossier=store.dossier(order.id), outcome=change(OrderStatus.COMPLETED, now))
    assert store.open_steps() == (step,)


def test_steps_are_claimed_in_the_order_in_which_they_are_due(store, now):
    for number, late in enumerate((5, 1, 3)):
        submit(store, make_order(now, number), due=now + timedelta(seconds=late))
    assert store.next_due() == now + timedelta(seconds=1)
    assert store.claim("a", now=now, lease=LEASE) is None
    claimed = [store.claim("a", now=now + timedelta(seconds=10), lease=LEASE).order_id for _ in range(3)]
    assert claimed == [order_id(1), order_id(2), order_id(0)]


def test_a_scene_that_is_here_does_not_wait_for_those_to_be_fetched(store, now):
    submit(store, make_order(now, 0), due=now)
    produce = NewStep(kind=StepKind.PRODUCE, key="produce:1", due=now + timedelta(seconds=5), order_id=order_id(0))
    store.add_step(produce)
    claimed = [store.claim("a", now=now + timedelta(seconds=10), lease=LEASE).kind for _ in range(2)]
    assert claimed == [StepKind.PRODUCE, StepKind.PLAN]


def test_a_step_that_fails_too_often_is_dead_until_a_person_opens_it(store, now):
    order = submit(store, make_order(now))
    for number in range(MAX_TRIES):
        assert store.dead_steps() == ()
        step = store.claim("a", now=now, lease=LEASE)
        assert step.tries == number + 1
        store.retry(step, error="no cable", at=now, now=now)
    assert store.claim("a", now=now, lease=LEASE) is None
    (dead,) = store.dead_steps()
    assert (dead.key, dead.error) == (step.key, "no cable")
    newest = store.history(order.id).changes[0]
    assert (newest.status, newest.reason_code) == ("received", "operator_needed")
    assert newest.reason_text == "The step plan waits for the operator: no cable"
    assert store.requeue(dead.id, now=now)
    assert not store.requeue(dead.id, now=now)
    assert store.claim("a", now=now, lease=LEASE).tries == 1


def test_a_step_that_kills_its_workers_is_dead_too(store, now):
    submit(store, make_order(now))
    for number in range(MAX_TRIES):
        assert store.claim("a", now=now + number * LEASE, lease=LEASE)
    assert store.claim("a", now=now + MAX_TRIES * LEASE, lease=LEASE) is None
    assert "ended 12 times" in store.dead_steps()[0].error


def test_a_step_that_comes_forward_starts_to_count_anew(store, now):
    submit(store, make_order(now))
    for number in range(3 * MAX_TRIES):
        step = store.claim("a", now=now + timedelta(seconds=number), lease=LEASE)
        store.finish(step, now=now, outcome=Outcome(again=now + timedelta(seconds=number + 1)))
    assert store.dead_steps() == ()


def test_a_conflict_with_a_known_key_adds_nothing(store, now):
    step = NewStep(kind=StepKind.INGEST, key="ingest:X", due=now, payload={"folder": "X"})
    assert store.add_step(step)
    assert not store.add_step(step)
    claimed = store.claim("a", now=now, lease=LEASE)
    assert claimed.payload == {"folder": "X"}
    store.finish(claimed, now=now)
    assert not store.add_step(step)  # done is done
    assert store.next_due() is None


def test_threads_that_claim_at_once_never_get_the_same_step(store, now):
    for number in range(60):
        submit(store, make_order(now, number))
    claimed: list[int] = []
    barrier = threading.Barrier(6)

    def work(name: str) -> None:
        barrier.wait()
        while (step := store.claim(name, now=now, lease=LEASE)) is not None:
            claimed.append(step.id)
            order = store.dossier(step.order_id)
            store.finish(step, now=now, dossier=order, outcome=change(OrderStatus.ACCEPTED, now))

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 60
    assert store.next_due() is None


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])))
def test_times_keep_their_microsecond(moment):
    kind, dialect = UtcTime(), sa.create_engine("sqlite://").dialect
    stored = kind.process_bind_param(moment, dialect)
    assert kind.process_result_value(stored, dialect) == moment
    assert kind.process_result_value(stored, dialect).tzinfo is UTC
    assert stored == (moment - EPOCH) // timedelta(microseconds=1)


def test_a_naive_time_is_our_own_bug():
    with pytest.raises(ValueError, match="no UTC offset"):
        UtcTime().process_bind_param(datetime(2026, 1, 1), sa.create_engine("sqlite://").dialect)  # noqa: DTZ001


@given(st.floats(-179, 178), st.floats(-89, 88), st.floats(1e-3, 1))
def test_areas_keep_their_last_bit(west, south, size):
    area = Footprint.of(box(west, south, west + size, south + size))
    kind, dialect = Area(), sa.create_engine("sqlite://").dialect
    assert kind.process_result_value(kind.process_bind_param(area, dialect), dialect) == area
