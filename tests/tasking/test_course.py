"""Lives of orders, as luck has it: whatever happens to attempts and workers, the rules hold to the end."""

import itertools
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from shapely import box

from catalog.extent import Footprint, TimeWindow
from tasking import course
from tasking.customer import cancel_order, submit_order
from tasking.errors import ConflictError, IllegalTransitionError, LeaseLostError
from tasking.order import (
    FINAL,
    TRANSITIONS,
    Attempt,
    AttemptStatus,
    Constraints,
    Order,
    OrderStatus,
    StatusChange,
)
from tasking.product import Product
from tasking.step import IN_FLIGHT, Dossier, Outcome, Step, StepKind
from tasking.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LEASE = timedelta(minutes=5)
PARTS = [Footprint.of(box(0.1 * part, 0, 0.1 * part + 0.1, 0.1)) for part in range(3)]
WHOLE = Footprint.of(box(0, 0, 0.3, 0.1))


def dossier(
    status: OrderStatus,
    *attempts: Attempt,
    covered: Footprint | None = None,
    last: StatusChange | None = None,
) -> Dossier:
    order = Order(
        id="o",
        product_id="p",
        area=WHOLE,
        window=TimeWindow(start=NOW, end=NOW + 3 * DAY),
        constraints=Constraints(max_cloud_cover_pct=20),
        request={},
        user="u",
        created=NOW,
        status=status,
    )
    return Dossier(
        order=order, version=1, attempts=attempts, covered=covered, last=last or StatusChange(status=status, at=NOW)
    )


def attempt(number: int, status: AttemptStatus, part: int = 0, *, hours: float = 1) -> Attempt:
    start = NOW + timedelta(hours=hours)
    return Attempt(
        id=f"o-{number}",
        order_id="o",
        product_id="p",
        satellite_id="s",
        area=PARTS[part],
        window=TimeWindow(start=start, end=start + timedelta(seconds=10)),
        off_nadir_deg=12.34,
        status=status,
    )


# ── one decision at a time ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_says_which_satellite_passes_when():
    new = attempt(1, AttemptStatus.PLANNED)
    outcome = course.planned(dossier(OrderStatus.RECEIVED), [new], versions={"s": 4}, now=NOW)
    assert [change.status for change in outcome.changes] == ["accepted", "scheduled"]
    assert outcome.changes[-1].reason_text == "s passes at 2026-03-01T01:00:05Z, 12.3° off nadir."
    assert [(step.kind, step.key) for step in outcome.steps] == [("task", "task:o-1")]
    assert outcome.versions == {"s": 4}


def test_clouds_send_the_order_back_and_plan_the_rest():
    flown = attempt(1, AttemptStatus.DELIVERED)
    outcome = course.attempt_failed(
        dossier(OrderStatus.PROCESSING, flown), flown, code="cloud_cover", text="Clouds.", now=NOW
    )
    assert [(change.status, change.reason_code) for change in outcome.changes] == [("accepted", "cloud_cover")]
    assert [(step.kind, step.key) for step in outcome.steps] == [("plan", "plan:o:o-1")]


def test_clouds_over_one_attempt_do_not_hide_the_other():
    """The order stands where its most advanced attempt stands; the setback is a remark or the change's reason."""
    flown, other = attempt(1, AttemptStatus.DELIVERED), attempt(2, AttemptStatus.TASKED, 1)
    outcome = course.attempt_failed(
        dossier(OrderStatus.PROCESSING, flown, other), flown, code="cloud_cover", text="Clouds.", now=NOW
    )
    assert [(c.status, c.reason_code) for c in outcome.changes] == [("tasked", "cloud_cover")]
    other = replace(other, status=AttemptStatus.DELIVERED)
    outcome = course.attempt_failed(
        dossier(OrderStatus.PROCESSING, flown, other), flown, code="cloud_cover", text="Clouds.", now=NOW
    )
    assert [(c.status, c.reason_code) for c in outcome.changes] == [("processing", "cloud_cover")]
    other = replace(other, status=AttemptStatus.PLANNED)
    outcome = course.attempt_failed(
        dossier(OrderStatus.PROCESSING, flown, other), flown, code="cloud_cover", text="Clouds.", now=NOW
    )
    assert [c.status for c in outcome.changes] == ["accepted", "scheduled"]


def test_a_cloudy_pass_is_not_flown_again():
    """The sandbox brings the pass before its time, so that it still lies ahead when the rest is planned."""
    flown = attempt(1, AttemptStatus.FAILED, hours=30)
    window = course.search_window(dossier(OrderStatus.ACCEPTED, flown), NOW)
    assert window.start == flown.window.end + course.SAME_CLOUDS
    assert window.end == NOW + 3 * DAY
    late = attempt(1, AttemptStatus.FAILED, hours=71.9)
    assert course.search_window(dossier(OrderStatus.ACCEPTED, late), NOW) is None
    ahead = attempt(1, AttemptStatus.TASKED, hours=30)
    assert course.search_window(dossier(OrderStatus.TASKED, ahead), NOW).start == NOW


def test_only_what_is_neither_covered_nor_under_way_is_open():
    assert course.open_area(dossier(OrderStatus.RECEIVED)) == WHOLE
    one, two = attempt(1, AttemptStatus.TASKED, 0), attempt(2, AttemptStatus.FAILED, 1)
    left = course.open_area(dossier(OrderStatus.TASKED, one, two, covered=PARTS[2]))
    assert left.area_km2 == pytest.approx(PARTS[1].area_km2, rel=1e-6)
    assert course.open_area(dossier(OrderStatus.TASKED, one, covered=PARTS[1].union(PARTS[2]))) is None


@pytest.mark.parametrize(("share", "status"), [(0.9895, "accepted"), (0.9905, "completed"), (1.0, "completed")])
def test_an_order_is_complete_at_its_share(share, status):
    flown = attempt(1, AttemptStatus.DELIVERED)
    shown = Footprint.of(box(-1, -1, 0.3 * share, 1))
    outcome = course.published(
        dossier(OrderStatus.PROCESSING, flown), flown, item_id="i", collection="c", footprint=shown, now=NOW
    )
    assert outcome.changes[-1].status == status
    assert outcome.changes[-1].details["covered_share"] == pytest.approx(share, abs=1e-4)
    assert outcome.credit.area.area_km2 == pytest.approx(share * WHOLE.area_km2, rel=1e-6)
    assert bool(outcome.steps) == (status == "accepted")


def test_what_completes_an_order_calls_off_the_other_attempts():
    flown, ahead = attempt(1, AttemptStatus.DELIVERED), attempt(2, AttemptStatus.TASKED, 1)
    here = attempt(3, AttemptStatus.DELIVERED, 2)
    outcome = course.published(
        dossier(OrderStatus.PROCESSING, flown, ahead, here),
        flown,
        item_id="i",
        collection="c",
        footprint=WHOLE,
        now=NOW,
    )
    assert {a.id: a.status for a in outcome.attempts} == {"o-1": "completed", "o-2": "cancelled"}


def test_no_pass_is_said_once_and_looked_for_again():
    first = course.without_pass(dossier(OrderStatus.RECEIVED), now=NOW)
    assert [(c.status, c.reason_code) for c in first.changes] == [("accepted", "no_opportunity")]
    assert "2026-03-04T00:00:00Z" in first.changes[0].reason_text
    assert first.again == NOW + course.REPLAN_AFTER
    again = course.without_pass(dossier(OrderStatus.ACCEPTED, last=first.changes[0]), now=NOW + 3 * DAY)
    assert again == Outcome(again=NOW + 3 * DAY)


def test_expiry_waits_for_what_was_acquired_in_time():
    end = NOW + 3 * DAY
    ahead, flown = attempt(1, AttemptStatus.PLANNED), attempt(2, AttemptStatus.TASKED, 1)
    assert course.expired(dossier(OrderStatus.TASKED, flown), now=end - DAY) == Outcome(again=end)
    outcome = course.expired(dossier(OrderStatus.TASKED, ahead, flown), now=end)
    assert (outcome.changes, outcome.again) == ((), end + course.DELIVERY_GRACE)
    assert [(a.id, a.status) for a in outcome.attempts] == [("o-1", "cancelled")]
    outcome = course.expired(dossier(OrderStatus.TASKED, flown), now=end + course.DELIVERY_GRACE)
    assert [c.status for c in outcome.changes] == ["expired"]
    assert [a.status for a in outcome.attempts] == ["cancelled"]
    stuck = replace(flown, status=AttemptStatus.DELIVERED)
    outcome = course.expired(dossier(OrderStatus.PROCESSING, stuck), now=end + course.DELIVERY_GRACE)
    assert [(c.status, c.reason_code) for c in outcome.changes] == [("failed", "production_failed")]


def test_expiry_tells_why_and_how_much():
    last = StatusChange(status=OrderStatus.ACCEPTED, at=NOW, reason_code="cloud_cover", reason_text="Clouds cover it.")
    outcome = course.expired(dossier(OrderStatus.ACCEPTED, covered=PARTS[0], last=last), now=NOW + 3 * DAY)
    assert outcome.changes[0].reason_code == "window_ended"
    assert outcome.changes[0].reason_text == (
        "The window ended at 2026-03-04T00:00:00Z; 33% of the area was covered. Before that: Clouds cover it."
    )


def test_a_delivery_is_taken_once():
    old = replace(attempt(1, AttemptStatus.FAILED), delivery="D")
    new = attempt(2, AttemptStatus.TASKED)
    assert course.delivered(dossier(OrderStatus.TASKED, old, new), new, Path("x/D"), now=NOW).attempts == ()
    outcome = course.delivered(dossier(OrderStatus.TASKED, old, new), new, Path("x/E"), now=NOW)
    assert [(a.status, a.delivery) for a in outcome.attempts] == [("delivered", "E")]
    assert outcome.steps[0].payload == {"folder": "x/E"}


@pytest.mark.parametrize(("cover", "refused"), [(None, False), (0.0, False), (20.0, False), (20.1, True)])
def test_clouds_are_judged_by_what_was_asked(cover, refused):
    assert (course.too_cloudy(dossier(OrderStatus.PROCESSING).order, cover) is not None) == refused


def test_a_scene_of_another_time_does_not_answer():
    order = dossier(OrderStatus.PROCESSING).order
    inside = TimeWindow(start=NOW + DAY, end=NOW + DAY)
    assert course.unasked(order, inside) is None
    archived = TimeWindow(start=NOW - 2 * DAY, end=NOW - DAY)
    assert "outside the ordered" in course.unasked(order, archived)


# ── whole lives ─────────────────────────────────────────────────────────────────────────────────────────────────────

PRODUCT = Product(
    id="p",
    title="",
    description="",
    provider="inbox",
    collection="c",
    max_area_km2=1e6,
    max_days=10,
    gsd_m=1,
)
LUCK = st.sampled_from(["good", "good", "good", "bad", "nothing"])


class Lives(RuleBasedStateMachine):
    """Workers do what `tasking.worker` does, but what the world answers is chosen at random."""

    migrated: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.migrated, self.folder / "tasking.db")
        self.store = Store(f"sqlite:///{self.folder / 'tasking.db'}")
        self.now = NOW
        self.orders: list[str] = []
        self.hands: list[tuple[Step, Dossier]] = []
        self.items: dict[str, list[str]] = {}

    @precondition(lambda self: len(self.orders) < 3)
    @rule()
    def submit(self):
        order = submit_order(
            self.store,
            PRODUCT,
            area=WHOLE,
            window=TimeWindow(start=self.now, end=self.now + 2 * DAY),
            constraints=Constraints(),
            request={},
            user="u",
            now=self.now,
        )
        self.orders.append(order.id)

    @rule(which=st.integers(0, 2))
    def cancel(self, which):
        if which < len(self.orders):
            free = {"received", "accepted", "scheduled"}
            if self.store.order(self.orders[which]).status in free:
                assert cancel_order(self.store, self.orders[which], now=self.now).status == "user_cancelled"
            else:
                with pytest.raises(IllegalTransitionError):
                    cancel_order(self.store, self.orders[which], now=self.now)

    @rule()
    def work_begins(self):
        step = self.store.claim("w", now=self.now, lease=LEASE)
        if step is not None:
            self.hands.append((step, self.store.dossier(step.order_id)))

    @precondition(lambda self: self.hands)
    @rule(luck=LUCK, part=st.integers(0, 3), count=st.integers(1, 2))
    def work_ends(self, luck, part, count):
        """Perhaps long after its lease, or after the order has changed."""
        step, seen = self.hands.pop(0)
        outcome = self.decide(step, seen, luck, part, count)
        try:
            self.store.finish(step, now=self.now, dossier=seen, outcome=outcome)
        except LeaseLostError:
            return
        except ConflictError:
            assert self.store.dossier(seen.order.id).version != seen.version
            self.store.retry(step, error="conflict", at=self.now, now=self.now)
            return
        for done in outcome.attempts:
            if done.item_id:
                self.items.setdefault(done.id, []).append(done.item_id)

    @rule()
    def a_day_of_work(self):
        """Everything that is due is done, with luck."""
        for _ in range(30):
            self.work_begins()
            if not self.hands:
                break
            self.work_ends("good", 3, 1)

    @rule(by=st.sampled_from([timedelta(minutes=6), timedelta(hours=13), DAY]))
    def time_passes(self, by):
        self.now += by

    def decide(self, step: Step, seen: Dossier, luck: str, part: int, count: int) -> Outcome:
        if step.kind is StepKind.PLAN:
            return self.plan(seen, luck, count)
        if step.kind is StepKind.EXPIRE:
            return course.expired(seen, now=self.now)
        return self.fly(step, seen, luck, (*PARTS, WHOLE)[part])

    def fly(self, step: Step, seen: Dossier, luck: str, shown: Footprint) -> Outcome:
        mine = seen.attempt(step.attempt_id)
        works_on = {"task": AttemptStatus.PLANNED, "collect": AttemptStatus.TASKED, "produce": AttemptStatus.DELIVERED}
        if mine.status is not works_on[step.kind]:
            return Outcome()
        if luck == "bad":
            return course.attempt_failed(seen, mine, code="cloud_cover", text="Bad luck.", now=self.now)
        if luck == "nothing":
            return Outcome(again=self.now + timedelta(hours=5))
        if step.kind is StepKind.TASK:
            return course.tasked(seen, mine, now=self.now)
        if step.kind is StepKind.COLLECT:
            return course.delivered(seen, mine, Path(f"at/{mine.id}"), now=self.now)
        return course.published(seen, mine, item_id=f"i-{mine.id}", collection="c", footprint=shown, now=self.now)

    def plan(self, seen: Dossier, luck: str, count: int) -> Outcome:
        area = course.open_area(seen)
        if seen.order.status in FINAL or area is None:
            return Outcome()
        if course.window_is_over(seen, self.now):
            return replace(course.expired(seen, now=self.now), again=None)
        window = course.search_window(seen, self.now)
        if luck == "nothing" or window is None:
            return course.without_pass(seen, now=self.now)
        if luck == "bad":
            return course.refused(seen, "geometry: it reaches too far", now=self.now)
        new = [course.new_attempt(seen, n, area=area, window=window, satellite_id="s") for n in range(count)]
        return course.planned(seen, new, versions={}, now=self.now)

    @invariant()
    def histories_keep_to_the_table(self):
        for order_id in self.orders:
            lines = self.store.history(order_id).changes[::-1]
            assert lines[0].status == "received"
            for before, after in itertools.pairwise(lines):
                assert after.status == before.status or after.status in TRANSITIONS[before.status]
                assert after.at >= before.at
            assert lines[-1].status == self.store.order(order_id).status

    @invariant()
    def no_order_is_forgotten(self):
        for order_id in self.orders:
            if self.store.order(order_id).status not in FINAL:
                assert self.store.open_steps(order_id)

    @invariant()
    def standing_follows_the_attempts(self):
        for order_id in self.orders:
            seen = self.store.dossier(order_id)
            states = {a.status for a in seen.attempts}
            if seen.order.status is OrderStatus.PROCESSING:
                assert AttemptStatus.DELIVERED in states
            if seen.order.status is OrderStatus.TASKED:
                assert AttemptStatus.TASKED in states
            if seen.order.status in (OrderStatus.RECEIVED, OrderStatus.ACCEPTED):
                assert not states & set(IN_FLIGHT)

    @invariant()
    def nothing_is_credited_beyond_the_order(self):
        for order_id in self.orders:
            seen = self.store.dossier(order_id)
            if seen.covered is not None:
                assert seen.covered.minus(WHOLE) is None
            if seen.order.status is OrderStatus.COMPLETED:
                assert course.covered_share(seen) >= course.COMPLETE_SHARE
            assert all(self.items.get(a.id, []) == ([a.item_id] if a.item_id else []) for a in seen.attempts)

    def teardown(self):
        """Time goes on, workers go on: every order comes to its end and nothing is left to do."""
        self.hands.clear()
        for _ in range(60):
            self.a_day_of_work()
            due = self.store.next_due()
            if due is None:
                break
            self.now = max(self.now, due)
        assert self.store.open_steps() == ()
        assert self.store.dead_steps() == ()
        for order_id in self.orders:
            seen = self.store.dossier(order_id)
            assert seen.order.status in FINAL
            assert not seen.in_flight()
        self.histories_keep_to_the_table()
        self.nothing_is_credited_beyond_the_order()
        self.store.close()
        shutil.rmtree(self.folder)


@pytest.mark.slow
def test_lives_of_orders(migrated):
    Lives.migrated = migrated
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
